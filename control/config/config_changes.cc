// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "control/config/config_rollout.h"

namespace teal {

namespace {

std::string ramp_text(const std::optional<RampPlan>& plan) {
  if (!plan) return "none";
  std::vector<std::string> steps;
  for (const uint16_t share : plan->steps) steps.push_back(share_text(share));
  return fmt::format("{} {} {}", fmt::join(steps, ","), plan->manual ? "by hand, every" : "every",
                     duration_text(plan->every));
}

// Arguments may be secret, so they are not shown.
std::string hook_change(const char* hook, const std::optional<HookCommand>& from,
                        const std::optional<HookCommand>& to) {
  const std::string before = from ? from->command.front() : "none";
  const std::string after = to ? to->command.front() : "none";
  if (before != after) return fmt::format("{} {} -> {}", hook, before, after);
  return fmt::format("{}: another timeout, or other arguments", hook);
}

}  // namespace

std::vector<std::string> rollout_changes(const ServiceConfig& before, const ServiceConfig& after) {
  std::vector<std::string> changes;
  const auto add = [&](const char* key, const std::string& from, const std::string& to) {
    if (from != to) changes.push_back(fmt::format("{} {} -> {}", key, from, to));
  };
  const RolloutRules &from = before.rules, &to = after.rules;
  const auto name = [](const auto& names, auto value) {
    return std::string(names[static_cast<size_t>(value)]);
  };
  const auto timeout = [](const RolloutRules& rules) {
    return rules.after_rollback_timeout ? duration_text(*rules.after_rollback_timeout)
                                        : std::string("the drain's");
  };
  add("rollout steps", ramp_text(before.rollout), ramp_text(after.rollout));
  add("bake", duration_text(from.bake), duration_text(to.bake));
  add("on_bad", name(kOnBadNames, from.on_bad), name(kOnBadNames, to.on_bad));
  add("on_few", name(kOnFewNames, from.on_few), name(kOnFewNames, to.on_few));
  add("min_capacity", share_text(from.min_capacity), share_text(to.min_capacity));
  add("require_preview", from.require_preview ? "true" : "false", to.require_preview ? "true" : "false");
  add("after_rollback", name(kAfterRollbackNames, from.after_rollback),
      name(kAfterRollbackNames, to.after_rollback));
  add("after_rollback_timeout", timeout(from), timeout(to));
  for (size_t hook = 0; hook < kHooks; ++hook)
    if (from.hooks[hook] != to.hooks[hook])
      changes.push_back(hook_change(kHookNames[hook], from.hooks[hook], to.hooks[hook]));
  return changes;
}

}  // namespace teal
