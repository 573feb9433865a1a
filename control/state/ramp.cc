// SPDX-License-Identifier: Apache-2.0
#include "control/state/ramp.h"

#include "control/state/limits.h"

namespace teal {

nlohmann::ordered_json to_json(const Ramp& ramp) {
  return {{"id", generation_in_range(ramp.id)},
          {"steps", ramp.plan.steps},
          {"step", ramp.step},
          {"every_ms", in_range(ramp.plan.every.count(), kMaxDurationMs)},
          {"manual", ramp.plan.manual},
          {"paused", ramp.paused ? nlohmann::ordered_json(*ramp.paused) : nlohmann::ordered_json(nullptr)},
          {"slow_us", ramp.slow_us}};
}

Ramp read_ramp(ObjectReader& object) {
  Ramp ramp;
  ramp.id = static_cast<uint64_t>(object.integer("id", 0, kMaxGeneration));
  for (const int64_t share : object.rising("steps", 2, RampPlan::kMaxSteps, 1, kShareOne))
    ramp.plan.steps.push_back(static_cast<uint16_t>(share));
  if (!object.fine()) return ramp;
  if (ramp.plan.steps.back() != kShareOne) object.refuse("steps", "an array that ends with 10000");
  ramp.step =
      static_cast<uint32_t>(object.integer("step", 0, static_cast<int64_t>(ramp.plan.steps.size()) - 2));
  ramp.plan.every = std::chrono::milliseconds(object.integer("every_ms", 0, kMaxDurationMs));
  ramp.plan.manual = object.flag("manual");
  ramp.paused = object.text_or_null("paused");
  ramp.slow_us = static_cast<uint32_t>(object.integer("slow_us", 0, UINT32_MAX));
  return ramp;
}

std::string to_text(const Ramp& ramp) {
  return to_json(ramp).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

tl::expected<Ramp, std::string> parse_ramp(std::string_view text) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (json.is_discarded()) return tl::unexpected<std::string>("it is not JSON");
  std::string error;
  ObjectReader object(json, "", error);
  Ramp ramp;
  if (object.fine()) ramp = read_ramp(object);
  if (!error.empty()) return tl::unexpected(std::move(error));
  return ramp;
}

}  // namespace teal
