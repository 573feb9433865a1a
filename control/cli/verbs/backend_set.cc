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

// Parses "web/blue/198.18.2.11:8080", as `teal backend list` prints it.
tl::expected<nlohmann::json, Failure> read_backend(const std::string& text) {
  static constexpr std::string_view kColours[] = {"blue", "green"};
  const auto parts = split(text, '/');
  if (parts.size() != 3 || parts[0].empty() || parts[2].empty()) {
    return tl::unexpected(
        usage_failure(fmt::format("\"{}\" is not a backend; expected SERVICE/COLOUR/ADDRESS", text),
                      "for example web/blue/198.18.2.11:8080; teal backend list shows the backends"));
  }
  if (parts[1] != kColours[0] && parts[1] != kColours[1]) {
    return tl::unexpected(
        usage_failure(fmt::format("the colour in \"{}\" is \"{}\"; expected blue or green", text, parts[1]),
                      nearest_hint(parts[1], kColours, {})));
  }
  return nlohmann::json{{"service", parts[0]}, {"colour", parts[1]}, {"address", parts[2]}};
}

tl::expected<void, Failure> add_state(const std::string& state, nlohmann::json& request) {
  if (std::find(kStates.begin(), kStates.end(), state) == kStates.end()) {
    return tl::unexpected(
        usage_failure(fmt::format("unknown state \"{}\"; expected ready, drain or maint", state),
                      nearest_hint(state, kStates, {})));
  }
  request["state"] = state;
  return {};
}

// Says what happens to the backend's flows: an operator may confuse "maint" with "drain".
std::string consequence(const nlohmann::json& changed) {
  for (const auto& change : changed) {
    const auto& state = part(change, "state");
    if (!state.is_object()) continue;
    const auto to = text(state, "to");
    if (to == "maint") return ": it takes no new flows, and its flows are reset";
    if (to == "drain") return ": it takes no new flows, and its flows continue until they end";
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
    return tl::unexpected(usage_failure("teal backend set needs a state, a weight, or both",
                                        "the state is ready, drain or maint; the weight is --weight N|file"));
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
  answer.nothing = clean(words[0]) + " has this state and weight already";
  print_change(call, *reply, answer);
  return {};
}

}  // namespace teal::cli
