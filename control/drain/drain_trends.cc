// SPDX-License-Identifier: Apache-2.0
#include "control/drain/drain_trends.h"

#include <algorithm>
#include <chrono>

#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "control/loop/run_file.h"

namespace teal {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

constexpr auto kTrendWindow = 30s;
constexpr int kFileVersion = 1;

std::string drains_path(const std::string& run_dir) {
  return run_dir + "/drains.json";
}

// `live_of(backend id)` says which flows count as live.
template <typename LiveOf>
ColourFlows sum_of(const CatalogueService& service, Colour colour, const Publisher& publisher,
                   const LiveOf& live_of) {
  ColourFlows sum;
  const auto add = [&](const std::vector<PoolMember>& members) {
    for (const PoolMember& member : members) {
      const uint64_t live = live_of(member.id);
      sum.live += live;
      sum.closing += publisher.flows(member.id, colour).closing;
      if (live != 0) ++sum.backends;
    }
  };
  add(service.pools[static_cast<size_t>(colour)]);
  // A backend of both pools that left this one may still have flows of this colour.
  for (const PoolMember& member : service.pools[static_cast<size_t>(other(colour))]) {
    const auto is_same = [&](const PoolMember& here) { return here.id == member.id; };
    const std::vector<PoolMember>& here = service.pools[static_cast<size_t>(colour)];
    if (std::none_of(here.begin(), here.end(), is_same)) add({member});
  }
  add(service.retired);
  return sum;
}

}  // namespace

ColourFlows flows_of(const CatalogueService& service, Colour colour, const Publisher& publisher) {
  return sum_of(service, colour, publisher,
                [&](uint16_t backend) { return publisher.flows(backend, colour).live; });
}

ColourFlows draining_of(const CatalogueService& service, Colour colour, uint64_t flip_generation,
                        const Publisher& publisher) {
  return sum_of(service, colour, publisher,
                [&](uint16_t backend) { return publisher.draining(backend, colour, flip_generation); });
}

bool is_draining(const CatalogueService& service, const ServiceState& state, const Publisher& publisher) {
  return state.flip_generation != 0 && publisher.splits() != nullptr &&
         draining_of(service, other(state.active), state.flip_generation, publisher).live != 0;
}

bool is_drained(const CatalogueService& service, const ServiceState& state, const Publisher& publisher) {
  if (state.flip_generation == 0) return true;
  if (!publisher.refused().empty()) return false;
  if (!publisher.attached()) return true;
  // The flows are read last: a start of the dataplane, or an adoption, may end meanwhile.
  return publisher.counts_are_exact() && publisher.adopted_generation(true) >= state.flip_generation &&
         !is_draining(service, state, publisher);
}

// --- the file ---

std::string drains_text(const std::vector<KnownDrain>& drains) {
  Json entries = Json::array();
  for (const KnownDrain& drain : drains)
    entries.push_back({{"service", drain.service},
                       {"generation", drain.flip_generation},
                       {"colour", name_of(drain.colour)}});
  return Json{{"version", kFileVersion}, {"drains", std::move(entries)}}.dump() + "\n";
}

tl::expected<std::vector<KnownDrain>, std::string> parse_drains(std::string_view text) {
  const auto bad = [](const char* what) { return tl::unexpected(std::string(what)); };
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return bad("it is not a JSON object");
  if (json.value("version", Json()) != kFileVersion) return bad("it has another version");
  const auto entries = json.find("drains");
  if (entries == json.end() || !entries->is_array()) return bad("it lacks a field");
  std::vector<KnownDrain> drains;
  for (const Json& entry : *entries) {
    if (!entry.is_object()) return bad("a drain is not an object");
    const Json service = entry.value("service", Json()), generation = entry.value("generation", Json()),
               colour = entry.value("colour", Json());
    const bool is_green = colour == name_of(Colour::kGreen);
    if (!service.is_string() || !generation.is_number_unsigned() ||
        (!is_green && colour != name_of(Colour::kBlue)))
      return bad("a drain lacks a field");
    drains.push_back({service, generation, is_green ? Colour::kGreen : Colour::kBlue});
  }
  return drains;
}

// --- the trends ---

DrainTrends::DrainTrends(std::string run_dir) : run_dir_(std::move(run_dir)) {
  auto drains = read_run_file(drains_path(run_dir_), parse_drains);
  if (drains)
    of_last_teald_ = std::move(*drains);
  else
    spdlog::warn("drains that ended while teald was down get no event: {}", drains.error());
}

void DrainTrends::take_over(const Catalogue& catalogue) {
  for (KnownDrain& drain : std::exchange(of_last_teald_, {}))
    if (const CatalogueService* service = catalogue.find(drain.service))
      trends_[service->id] = {.drain = std::move(drain)};
    else
      ended_.push_back({std::move(drain), std::nullopt});
}

void DrainTrends::flip(const std::vector<ServiceState>& states, const Catalogue& catalogue,
                       const Publisher& publisher) {
  take_over(catalogue);
  for (const ServiceState& state : states) {
    if (const auto known = trends_.find(state.id); known != trends_.end())
      end_by_flip(*catalogue.find(state.name), known->second.drain, publisher);
    trends_[state.id] = {.drain = {state.name, state.flip_generation, other(state.active)}};
  }
  keep();
}

void DrainTrends::sample(const Catalogue& catalogue, const Publisher& publisher, Time now) {
  take_over(catalogue);
  std::map<uint16_t, Trend> before = std::exchange(trends_, {});
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    if (state.flip_generation == 0) continue;
    const KnownDrain drain = {state.name, state.flip_generation, other(state.active)};
    const uint64_t flows = draining_of(service, drain.colour, drain.flip_generation, publisher).live;
    auto known = before.extract(service.id);
    if (!known.empty() && known.mapped().drain.flip_generation != drain.flip_generation) {
      // The last teald was killed in this flip.
      end_by_flip(service, known.mapped().drain, publisher);
      known.mapped() = {.drain = drain};
    }
    if (flows == 0) {
      if (!known.empty()) ended_.push_back({drain, flows});
      continue;
    }
    Trend trend = known.empty() ? Trend{.drain = drain} : std::move(known.mapped());
    trend.samples.push_back({now, flows});
    while (trend.samples.front().at + kTrendWindow < now) trend.samples.pop_front();
    trends_.emplace(service.id, std::move(trend));
  }
  for (auto& [id, gone] : before) ended_.push_back({std::move(gone.drain), std::nullopt});
  keep();
}

void DrainTrends::end_by_flip(const CatalogueService& service, const KnownDrain& drain,
                              const Publisher& publisher) {
  ended_.push_back({drain, draining_of(service, drain.colour, drain.flip_generation, publisher).live});
}

void DrainTrends::keep() {
  std::vector<KnownDrain> drains;
  for (const auto& [id, trend] : trends_) drains.push_back(trend.drain);
  std::string text = drains_text(drains);
  if (text == kept_) return;
  kept_ = std::move(text);
  const auto written = replace_run_file(drains_path(run_dir_), kept_);
  if (!written) kept_.clear();  // the next sample tries again
  if (std::exchange(is_kept_, written.has_value()) && !written)
    spdlog::warn("if teald restarts, drains that end meanwhile get no event: {}", written.error());
}

std::optional<double> DrainTrends::seconds_to_end(uint16_t service) const {
  const auto trend = trends_.find(service);
  if (trend == trends_.end() || trend->second.samples.size() < 2) return std::nullopt;
  const Sample &first = trend->second.samples.front(), &last = trend->second.samples.back();
  if (last.flows >= first.flows) return std::nullopt;
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  return static_cast<double>(last.flows) * seconds / static_cast<double>(first.flows - last.flows);
}

}  // namespace teal
