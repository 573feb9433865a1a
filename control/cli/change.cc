// SPDX-License-Identifier: Apache-2.0
#include "control/cli/change.h"

#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/table.h"

namespace teal::cli {
namespace {

// Names up to this number are listed, more are counted: the line stays readable with 1,024 services.
constexpr size_t kNamesListed = 8;

std::string names_or_count(const std::vector<std::string>& names) {
  if (names.size() > kNamesListed) return fmt::format("{} services", names.size());
  return fmt::format("{}", fmt::join(names, ", "));
}

// "service-a, service-b blue -> green, service-c green -> blue": a rollback can go both ways.
std::string moves(const nlohmann::json& changed, bool colour) {
  std::vector<std::pair<std::pair<std::string, std::string>, std::vector<std::string>>> by_move;
  for (const auto& change : changed) {
    const std::pair move(change.at("from").get<std::string>(), change.at("to").get<std::string>());
    if (by_move.empty() || by_move.back().first != move) by_move.push_back({move, {}});
    by_move.back().second.push_back(change.at("service").get<std::string>());
  }
  std::string text;
  for (const auto& [move, names] : by_move) {
    if (!text.empty()) text += ", ";
    text +=
        fmt::format("{} {} -> {}", names_or_count(names), styled(move.first, style_of(move.first), colour),
                    styled(move.second, style_of(move.second), colour));
  }
  return text;
}

std::string adoption(const nlohmann::json& reply) {
  if (!reply.value("dataplane_running", true))
    return "no dataplane is running, it will start with this generation";
  const auto& workers = reply.at("workers");
  const auto live = workers.at("live").get<uint64_t>();
  std::string text = fmt::format("adopted by {} of {} worker{}", workers.at("adopted").get<uint64_t>(), live,
                                 live == 1 ? "" : "s");
  if (const auto asleep = workers.value("asleep", uint64_t{0}); asleep > 0)
    text += fmt::format(" ({} asleep)", asleep);
  const auto slowest = reply.find("slowest_us");
  if (slowest != reply.end() && slowest->is_number())
    text += fmt::format(", slowest {:.1f} us", slowest->get<double>());
  return text;
}

}  // namespace

tl::expected<nlohmann::json, Failure> change_request(const Invocation& call, std::string_view verb) {
  const auto& arguments = call.arguments;
  const auto group = arguments.value("group");
  const std::string help = fmt::format("teal {} --help", verb);
  if (group && !arguments.positional.empty()) {
    return tl::unexpected(usage_failure(
        fmt::format("teal {}: either SERVICE... or --group was expected, not both", verb), help));
  }
  if (!group && arguments.positional.empty()) {
    return tl::unexpected(usage_failure(fmt::format("teal {}: SERVICE... or --group GROUP is missing", verb),
                                        "teal list shows services and groups"));
  }
  nlohmann::json request = nlohmann::json::object();
  if (group) {
    request["group"] = *group;
  } else {
    request["services"] = arguments.positional;
  }
  const auto if_generation = arguments.number("if-generation", 0, std::numeric_limits<int64_t>::max());
  if (!if_generation) return tl::unexpected(if_generation.error());
  if (*if_generation) request["if_generation"] = **if_generation;
  if (const auto reason = arguments.value("reason")) request["reason"] = *reason;
  return request;
}

Outcome post_change(const Invocation& call, const std::string& target, const nlohmann::json& request) {
  const auto reply = call.daemon.post(target, request);
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  call.around.out << change_sentence(*reply, call.around.colour);
  if (const auto warnings = reply->find("warnings"); warnings != reply->end()) {
    for (const auto& warning : *warnings)
      call.around.err << "warning: " << warning.get<std::string>() << '\n';
  }
  return {};
}

std::string change_sentence(const nlohmann::json& reply, bool colour) {
  const auto generation = reply.at("generation").get<uint64_t>();
  const auto& changed = reply.at("changed");
  const auto unchanged = reply.value("unchanged", std::vector<std::string>());
  if (changed.empty()) {
    return fmt::format("generation {}: nothing to change, {} already there\n", generation,
                       names_or_count(unchanged) + (unchanged.size() == 1 ? " is" : " are"));
  }
  std::string text =
      fmt::format("generation {}: {}; {}\n", generation, moves(changed, colour), adoption(reply));
  if (!unchanged.empty()) {
    text += fmt::format("unchanged: {}\n", names_or_count(unchanged));
  }
  return text;
}

}  // namespace teal::cli
