// SPDX-License-Identifier: Apache-2.0
#include "control/cli/verbs/rollout.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/invocation/drain_ends.h"
#include "control/cli/verbs/wait_for.h"

namespace teal::cli {
namespace {

constexpr size_t kMaxServiceLines = 8;

// Says why services have nothing to undo, one line each.
std::string nothing_to_undo_lines(const nlohmann::json& services) {
  std::string lines;
  for (size_t i = 0; i < services.size() && i < kMaxServiceLines; ++i)
    lines += fmt::format("{}: {}\n", text(services[i], "service"), with_times(text(services[i], "text")));
  if (services.size() > kMaxServiceLines)
    lines +=
        fmt::format("{} more: nothing to undo\n", counted(services.size() - kMaxServiceLines, "service"));
  return lines;
}

// Says which hooks a change would wait for, one line each.
std::string pre_flip_lines(const nlohmann::json& hooks) {
  std::string lines;
  for (size_t i = 0; i < hooks.size() && i < kMaxServiceLines; ++i)
    lines += fmt::format("would first run the hook pre_flip of {}: {}, within {}\n",
                         names_or_count(texts(hooks[i], "services")), text(hooks[i], "command"),
                         span_text(hooks[i].at("timeout_seconds").get<double>()));
  return lines;
}

// Says which steps each ramp would take, one line for services with the same steps.
std::string ramp_lines(const nlohmann::json& ramps) {
  std::map<std::string, std::vector<std::string>> services;  // by steps
  for (const auto& ramp : ramps) {
    const auto steps = joined(texts(ramp, "steps"), ", ");
    const auto when = flag(ramp, "manual") ? std::string("each at teal next")
                                           : "one every " + span_text(ramp.at("every_seconds").get<double>());
    services[fmt::format("steps {}, {}", steps, when)].push_back(text(ramp, "service"));
  }
  std::string lines;
  for (const auto& [steps, names] : services)
    lines += fmt::format("would ramp {}: {}\n", names_or_count(names), steps);
  return lines;
}

// Says how Teal would judge the new colour, one line for services with the same rules.
std::string judged_lines(const nlohmann::json& judged) {
  std::map<std::pair<double, std::string>, std::vector<std::string>> services;  // by bake and on_bad
  for (const auto& each : judged)
    services[{each.at("bake_seconds").get<double>(), text(each, "on_bad")}].push_back(text(each, "service"));
  std::string lines;
  for (const auto& [rules, names] : services)
    lines += fmt::format("would judge {}: bake {}, on_bad {}\n", names_or_count(names),
                         span_text(rules.first), rules.second);
  return lines;
}

ChangeWords words_of(const nlohmann::json& reply, std::string_view would, const Surroundings& around) {
  ChangeWords words = rollout_words(reply, would, "already there", around);
  const auto& nothing = part(reply, "nothing_to_undo");
  if (!nothing.empty()) {
    words.nothing = "no flip is left to undo";
    words.lines += nothing_to_undo_lines(nothing);
    if (words.done.empty())
      words.hint =
          "for another colour: teal flip SERVICE --to COLOUR, or teal rollback SERVICE --to-generation N";
    return words;
  }
  if (const auto ramps = texts(reply, "on_a_ramp"); !ramps.empty()) {
    words.nothing =
        fmt::format("{} {} on a ramp there", names_or_count(ramps), ramps.size() == 1 ? "is" : "are");
    words.hint = "teal status SERVICE shows the ramp; --now ends it with all new flows there";
  }
  add_unchanged(reply, words);
  if (const auto added = texts(reply, "added_since"); !added.empty())
    words.lines += fmt::format("did not exist in that generation: {}\n", names_or_count(added));
  return words;
}

// The end of a rollout is the end of its ramps, its bake and its drains. A service that needs no change may
// still be in its bake, or on a ramp there. `to` is the colour that the request names, or "".
WaitFor end_of(const nlohmann::json& reply, const std::string& to, std::chrono::milliseconds timeout) {
  WaitFor wanted{.services = texts(reply, "unchanged"), .condition = "drained", .timeout = timeout};
  if (!to.empty())
    for (const std::string& name : wanted.services) {
      wanted.active[name] = to;
      wanted.unchanged.insert(name);
    }
  for (const auto& change : reply.at("changed")) {
    const auto name = text(change, "service");
    wanted.services.push_back(name);
    wanted.active[name] = text(change, part(change, "to").is_null() ? "colour" : "to");
  }
  return wanted;
}

}  // namespace

ChangeWords rollout_words(const nlohmann::json& reply, std::string_view would, std::string_view nothing,
                          const Surroundings& around) {
  ChangeWords words{.done = changes_text(reply.at("changed"), around.colour)};
  words.would = fmt::format("{} {}", would, words.done);
  words.nothing = unchanged_text(reply, nothing);
  words.lines = drain_end_lines(reply, around.columns);
  if (flag(reply, "dry_run"))
    words.lines += pre_flip_lines(part(reply, "pre_flip")) + ramp_lines(part(reply, "ramps")) +
                   judged_lines(part(reply, "judged"));
  return words;
}

void add_unchanged(const nlohmann::json& reply, ChangeWords& words) {
  const auto unchanged = texts(reply, "unchanged");
  if (!words.done.empty() && !unchanged.empty())
    words.lines += fmt::format("unchanged: {}\n", names_or_count(unchanged));
}

Outcome finish_rollout(const Invocation& call, nlohmann::json reply, const std::string& to,
                       std::chrono::milliseconds timeout) {
  if (call.arguments.has("wait") && !flag(reply, "dry_run")) {
    const WaitFor wanted = end_of(reply, to, timeout);
    const auto took = wait_for(call, wanted);
    if (!took) {
      Failure failure = took.error();
      if (failure.exit_code != kRolledBack && !reply.at("changed").empty())
        failure.message += "; the change itself stays in force";
      failure.done = std::make_shared<const nlohmann::json>(std::move(reply));
      return tl::unexpected(std::move(failure));
    }
    if (call.json) {
      reply["waited"] = {{"condition", wanted.condition}, {"seconds", took->count()}};
    } else {
      call.around.out << waited_text(wanted, *took);
    }
  }
  if (call.json) call.print(reply);
  return {};
}

Outcome roll(const Invocation& call, const std::string& target, nlohmann::json request,
             std::string_view would) {
  const auto timeout = call.arguments.duration("timeout");
  if (!timeout) return tl::unexpected(timeout.error());
  const std::string to = text_or(request, "to");
  auto reply = post_change(call, target, std::move(request));
  if (!reply) return tl::unexpected(reply.error());
  if (!call.json) print_change(call, *reply, words_of(*reply, would, call.around));

  const bool begins_ramps = std::any_of(reply->at("changed").begin(), reply->at("changed").end(),
                                        [](const auto& change) { return part(change, "to").is_null(); });
  if (begins_ramps && !call.json)
    call.around.err << "hint: a ramp begins; teal status SERVICE shows its steps, and --now flips at once\n";
  return finish_rollout(call, std::move(*reply), to, timeout->value_or(kDefaultWait));
}

}  // namespace teal::cli
