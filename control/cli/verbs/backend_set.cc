// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/verbs/verbs.h"
#include "dataplane/config/nearest.h"

namespace teal::cli {
namespace {

constexpr uint64_t kMaxWeight = 1000;
constexpr std::array<std::string_view, 3> kStates = {"ready", "drain", "maint"};

// "web/blue/198.18.2.11:8080", as `teal backend list` prints it.
tl::expected<nlohmann::json, Failure> read_backend(const std::string& text) {
  static constexpr std::string_view kColours[] = {"blue", "green"};
  const auto parts = split(text, '/');
  if (parts.size() != 3 || parts[0].empty() || parts[2].empty()) {
    return tl::unexpected(
        usage_failure(fmt::format("\"{}\" names no backend, SERVICE/COLOUR/ADDRESS was expected", text),
                      "as web/blue/198.18.2.11:8080; teal backend list shows them"));
  }
  if (parts[1] != kColours[0] && parts[1] != kColours[1]) {
    return tl::unexpected(usage_failure(fmt::format("unknown colour \"{}\" in \"{}\"", parts[1], text),
                                        nearest_hint(parts[1], kColours, "the colours are blue and green")));
  }
  return nlohmann::json{{"service", parts[0]}, {"colour", parts[1]}, {"address", parts[2]}};
}

tl::expected<void, Failure> add_state(const std::string& state, nlohmann::json& request) {
  if (std::find(kStates.begin(), kStates.end(), state) == kStates.end()) {
    return tl::unexpected(
        usage_failure(fmt::format("unknown state \"{}\" of a backend", state),
                      nearest_hint(state, kStates, "the states are ready, drain and maint")));
  }
  request["state"] = state;
  return {};
}

// What the new state does to the flows, for whoever reads "maint" and thinks of "drain".
std::string consequence(const nlohmann::json& changed) {
  for (const auto& change : changed) {
    const auto& state = part(change, "state");
    if (!state.is_object()) continue;
    const auto to = text(state, "to");
    if (to == "maint") return ": it takes no new flows, and the flows it has are reset";
    if (to == "drain") return ": it takes no new flows, and the flows it has go on until they end";
    return ": it takes new flows";
  }
  return {};
}

}  // namespace

Outcome run_backend_set(const Invocation& call) {
  const auto& words = call.arguments.positional;
  auto request = read_backend(words[0]);
  if (!request) return tl::unexpected(request.error());
  if (words.size() == 2) {
    if (const auto added = add_state(words[1], *request); !added) return tl::unexpected(added.error());
  }
  if (call.arguments.value("weight") == "file") {
    (*request)["weight"] = "file";
  } else {
    const auto weight = call.arguments.number("weight", 0, kMaxWeight);
    if (!weight) return tl::unexpected(weight.error());
    if (*weight) (*request)["weight"] = **weight;
  }
  if (!request->contains("state") && !request->contains("weight")) {
    return tl::unexpected(usage_failure("teal backend set: what to set is missing",
                                        "one of ready, drain and maint, or --weight N, or both"));
  }
  const auto reply = post_change(call, "/v1/backend", *request);
  if (!reply) return tl::unexpected(reply.error());
  if (call.json) {
    call.print(*reply);
    return {};
  }
  ChangeWords answer{.done = changes_text(reply->at("changed"), call.around.colour)};
  if (!answer.done.empty()) answer.done += consequence(reply->at("changed"));
  answer.would = "set " + answer.done;
  answer.nothing = clean(words[0]) + " is so already";
  print_change(call, *reply, answer);
  return {};
}

}  // namespace teal::cli
