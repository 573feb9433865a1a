// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/table.h"
#include "control/cli/verb.h"

namespace teal::cli {
namespace {

using nlohmann::json;

// Backends are shown for the services that are named, and for all while they fit a screen.
constexpr size_t kBackendsOnAScreen = 24;

constexpr std::chrono::seconds kDefaultInterval(1);
constexpr char kClearScreen[] = "\033[H\033[2J\033[3J";

uint64_t number(const json& object, const char* key) {
  return object.at(key).get<uint64_t>();
}
std::string text(const json& object, const char* key) {
  return object.at(key).get<std::string>();
}

Failure unknown_service(const std::string& name, const json& services) {
  std::string names;
  for (const auto& service : services) names += (names.empty() ? "" : ", ") + text(service, "name");
  return {.code = "unknown_service",
          .message = fmt::format("no service \"{}\"; there are: {}", name, names.empty() ? "none" : names),
          .hint = "teal list"};
}

// Leaves the named services only, in their order in the file.
Outcome select(json& services, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  const std::set<std::string> wanted(names.begin(), names.end());
  json chosen = json::array();
  for (const auto& service : services) {
    if (wanted.contains(text(service, "name"))) chosen.push_back(service);
  }
  for (const auto& name : wanted) {
    const bool there = std::any_of(chosen.begin(), chosen.end(),
                                   [&](const json& service) { return service.at("name") == name; });
    if (!there) return tl::unexpected(unknown_service(name, services));
  }
  services = std::move(chosen);
  return {};
}

std::string summary_line(const json& reply) {
  const auto generation = number(reply, "generation");
  const auto& dataplane = reply.at("dataplane");
  std::string line = fmt::format("generation {}; ", generation);
  if (!dataplane.at("running").get<bool>()) return line + "the dataplane is not running\n";
  const auto workers = number(dataplane, "workers");
  line += fmt::format("dataplane {}: {} worker{}", dataplane.at("pid").get<int64_t>(), workers,
                      workers == 1 ? "" : "s");
  const auto adopted = number(dataplane, "adopted_generation");
  if (adopted != generation) line += fmt::format(" (on generation {})", adopted);
  return line + fmt::format("; {} of {} flow entries\n", number(dataplane, "flow_entries"),
                            number(dataplane, "flow_capacity"));
}

Cell state_of_colour(const json& service, const std::string& colour) {
  if (service.at("active") == colour) return "active";
  const auto& draining = service.at("draining");
  if (draining.is_null() || draining.at("colour") != colour) return "";
  return {"draining", Style::kWarning};
}

Cell state_of_backend(const json& backend) {
  if (backend.value("next_hop", "resolved") != "resolved") return {"no next hop", Style::kWarning};
  if (number(backend, "weight") == 0) return {"weight 0"};
  return "";
}

void add_rows(Table& table, const json& service, bool with_backends) {
  std::string name = text(service, "name");
  for (const std::string colour : {"blue", "green"}) {
    const auto& pool = service.at("colours").at(colour);
    const auto& backends = pool.at("backends");
    table.rows.push_back({std::exchange(name, ""),
                          {colour, style_of(colour)},
                          fmt::format("{} backend{}", backends.size(), backends.size() == 1 ? "" : "s"),
                          std::to_string(number(pool, "flows")),
                          std::to_string(number(pool, "closing")),
                          std::to_string(number(pool, "new_flows")),
                          state_of_colour(service, colour)});
    if (!with_backends) continue;
    for (const auto& backend : backends) {
      table.rows.push_back({"", "", "  " + text(backend, "address"), std::to_string(number(backend, "flows")),
                            std::to_string(number(backend, "closing")), "", state_of_backend(backend)});
    }
  }
}

// What else is to know of a service that was named.
std::string detail_line(const json& service) {
  std::string line = fmt::format("{}: {} {}, active {}", text(service, "name"), text(service, "vip"),
                                 text(service, "protocol"), text(service, "active"));
  if (service.at("previous").is_string()) line += fmt::format(", before {}", text(service, "previous"));
  line += "\n";
  if (service.at("flipped_at").is_string()) {
    line += fmt::format("  flipped at {} in generation {}\n", text(service, "flipped_at"),
                        number(service, "generation_of_flip"));
  }
  return line;
}

std::string drain_line(const json& service) {
  const auto& draining = service.at("draining");
  if (draining.is_null()) return {};
  const auto backends = number(draining, "backends");
  return fmt::format("draining: {} {}, {} flows left on {} backend{}\n", text(service, "name"),
                     text(draining, "colour"), number(draining, "flows"), backends, backends == 1 ? "" : "s");
}

std::string drift_line(const json& service) {
  const auto file_active = service.value("file_active", text(service, "active"));
  if (service.at("active") == file_active) return {};
  return fmt::format("note: {} is {}, the file says {} (for the first start only)\n", text(service, "name"),
                     text(service, "active"), file_active);
}

std::string page(const json& reply, bool named, const Surroundings& around) {
  const auto& services = reply.at("services");
  size_t backends = 0;
  for (const auto& service : services) {
    for (const auto& pool : service.at("colours")) backends += pool.at("backends").size();
  }
  const bool with_backends = named || backends <= kBackendsOnAScreen;
  Table table{.columns = {{"SERVICE", kLeft, true},
                          {"COLOUR"},
                          {"BACKEND", kLeft, true},
                          {"FLOWS", kRight},
                          {"CLOSING", kRight},
                          {"BEGUN", kRight},
                          {"STATE", kLeft, true}},
              .rows = {}};
  std::string result = summary_line(reply), drains, notes;
  for (const auto& service : services) {
    add_rows(table, service, with_backends);
    if (named) result += detail_line(service);
    drains += drain_line(service);
    notes += drift_line(service);
  }
  result += "\n" + table.text(around.columns, around.colour) + drains + notes;
  if (!with_backends) result += "teal status SERVICE shows a service's backends\n";
  return result;
}

tl::expected<json, Failure> fetch(const Invocation& call) {
  auto reply = call.daemon.get("/v1/services");
  if (!reply) return reply;
  const auto selected = select(reply->at("services"), call.arguments.positional);
  if (!selected) return tl::unexpected(selected.error());
  return reply;
}

std::string clock_line(std::chrono::milliseconds interval) {
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  return fmt::format("{:02}:{:02}:{:02}, every {} ms\n", local.tm_hour, local.tm_min, local.tm_sec,
                     interval.count());
}

// One page or one line of JSON after the other. A daemon that goes away is waited for: it may be restarting.
Outcome watch(const Invocation& call, std::chrono::milliseconds interval) {
  auto reply = fetch(call);
  if (!reply) return tl::unexpected(reply.error());
  auto& out = call.around.out;
  do {
    if (!reply && reply.error().exit_code != kUnreachable) return tl::unexpected(reply.error());
    if (call.json) {
      out << (reply ? *reply : to_json(reply.error())).dump() << std::endl;
    } else {
      // In one write: a terminal that shows half a page flickers.
      std::string text = call.around.terminal ? kClearScreen : "";
      text += clock_line(interval);
      text += reply ? page(*reply, !call.arguments.positional.empty(), call.around)
                    : reply.error().message + "; trying again\n";
      if (!call.around.terminal) text += "\n";
      out << text << std::flush;
    }
    if (!out || !call.around.pause(interval)) return {};
    reply = fetch(call);
  } while (true);
}

}  // namespace

Outcome run_status(const Invocation& call) {
  const auto interval = call.arguments.duration("interval");
  if (!interval) return tl::unexpected(interval.error());
  if (call.arguments.has("watch")) return watch(call, interval->value_or(kDefaultInterval));
  if (*interval)
    return tl::unexpected(usage_failure("--interval goes with --watch", "teal status --watch --interval 2s"));

  const auto reply = fetch(call);
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
  } else {
    call.around.out << page(*reply, !call.arguments.positional.empty(), call.around);
  }
  return {};
}

}  // namespace teal::cli
