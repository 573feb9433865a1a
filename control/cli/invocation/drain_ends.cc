// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/drain_ends.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {
namespace {

using nlohmann::json;

constexpr size_t kMaxDrainLines = 8;

std::string wait_text(const json& drain, bool dry_run) {
  const double seconds_left = drain.at("seconds_left").get<double>();
  const std::string deadline = time_text(text(drain, "deadline"));
  const bool one = number(drain, "flows") == 1;
  return fmt::format("{} until {}; {}",
                     dry_run ? "would stay"
                     : one   ? "stays"
                             : "stay",
                     one ? "it ends" : "they end",
                     seconds_left > 0 ? fmt::format("deadline {}, in {}", deadline, span_text(seconds_left))
                                      : "the deadline was " + deadline);
}

std::string reset_text(const json& drain, bool dry_run, bool dataplane_running) {
  const double seconds_left = drain.at("seconds_left").get<double>();
  const std::string deadline = time_text(text(drain, "deadline"));
  const std::string verb = dry_run                       ? "would be reset"
                           : number(drain, "flows") == 1 ? "is reset"
                                                         : "are reset";
  if (seconds_left > 0) return fmt::format("{} at {}, in {}", verb, deadline, span_text(seconds_left));
  return fmt::format("{} {}: the deadline was {}", verb, dataplane_running ? "now" : "when a dataplane runs",
                     deadline);
}

}  // namespace

std::string drain_end_lines(const json& reply, unsigned columns) {
  const bool dry_run = flag(reply, "dry_run"), running = flag(reply, "dataplane_running");
  const json& drains = part(reply, "drains");
  std::string lines;
  uint64_t flows_left_out = 0;
  for (size_t i = 0; i < drains.size(); ++i) {
    const json& drain = drains[i];
    const uint64_t flows = number(drain, "flows");
    if (i >= kMaxDrainLines) {
      flows_left_out += flows;
      continue;
    }
    const bool waits = text(drain, "then") == "wait";
    lines += filled(
        fmt::format("{}: {} of {} {}", text(drain, "service"), counted(flows, "flow"), text(drain, "colour"),
                    waits ? wait_text(drain, dry_run) : reset_text(drain, dry_run, running)),
        2, columns);
  }
  if (drains.size() > kMaxDrainLines)
    lines += fmt::format("and {}, of {}\n", counted(drains.size() - kMaxDrainLines, "more drain"),
                         counted(flows_left_out, "flow"));
  return lines;
}

}  // namespace teal::cli
