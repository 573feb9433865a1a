// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_rollout.h"

#include <charconv>

#include "control/config/config_command.h"
#include "control/config/config_drain.h"

namespace teal {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kMaxBake = std::chrono::hours(24);
constexpr char kCapacityForm[] = "a part of the old colour's healthy weight such as \"80%\"";
constexpr char kHookForm[] =
    "a table such as { command = [\"/usr/lib/teal/hook\"], timeout = \"30s\" }, or \"none\"";
constexpr char kStepsForm[] = "shares that rise to 100%, such as [\"1%\", \"25%\", \"100%\"]";

// Reads decimal digits only, the whole text. Returns nothing for an empty text.
std::optional<uint32_t> parse_digits(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
  return value;
}

// Returns the command; nothing: the hook is "none", or wrong, which is reported.
std::optional<HookCommand> read_hook(const ConfigNode& node) {
  if (node.is_text()) {
    if (const auto word = node.text(kHookForm); word != "none")
      node.error("is " + in_quotes(*word) + ", expected " + kHookForm);
    return std::nullopt;
  }
  if (!node.expect_table(kHookForm)) return std::nullopt;
  node.allow_only({"command", "timeout"});
  HookCommand hook;
  if (const auto command = node.require("command", kCommandForm)) hook.command = read_command(*command);
  if (const auto timeout = node.find("timeout"))
    hook.timeout = timeout->duration(kMinHookTimeout, kMaxHookTimeout).value_or(hook.timeout);
  return hook;
}

void read_hooks(const ConfigNode& table, HookCommands& hooks) {
  if (!table.expect_table("a table of hooks such as { post_flip = { command = [\"/usr/lib/teal/hook\"] } }"))
    return;
  table.allow_only({kHookNames.begin(), kHookNames.end()});
  for (size_t hook = 0; hook < kHooks; ++hook)
    if (const auto node = table.find(kHookNames[hook])) hooks[hook] = read_hook(*node);
}

void read_rules(const ConfigNode& table, RolloutRules& rules) {
  if (const auto node = table.find("bake"))
    rules.bake = node->duration(milliseconds(0), kMaxBake).value_or(rules.bake);
  if (const auto node = table.find("on_bad")) {
    using OnBad = RolloutRules::OnBad;
    rules.on_bad = node->choice<OnBad>(
                           {{"rollback", OnBad::kRollback}, {"pause", OnBad::kPause}, {"tell", OnBad::kTell}})
                       .value_or(rules.on_bad);
  }
  if (const auto node = table.find("on_few")) {
    using OnFew = RolloutRules::OnFew;
    rules.on_few = node->choice<OnFew>({{"wait", OnFew::kWait}, {"pause", OnFew::kPause}, {"go", OnFew::kGo}})
                       .value_or(rules.on_few);
  }
  if (const auto node = table.find("min_capacity")) {
    const auto text = node->text(kCapacityForm);
    const auto share = text ? parse_share(*text) : std::nullopt;
    if (text && !share) node->error("is " + in_quotes(*text) + ", expected " + kCapacityForm);
    rules.min_capacity = share.value_or(rules.min_capacity);
  }
  if (const auto node = table.find("require_preview"))
    rules.require_preview = node->flag().value_or(rules.require_preview);
  if (const auto node = table.find("after_rollback")) {
    using After = RolloutRules::AfterRollback;
    rules.after_rollback = node->choice<After>({{"drain", After::kDrain}, {"reset", After::kReset}})
                               .value_or(rules.after_rollback);
  }
  if (const auto node = table.find("after_rollback_timeout")) {
    const auto timeout = node->duration(kMinTimeout, kMaxTimeout);
    if (timeout) rules.after_rollback_timeout = *timeout;
  }
  if (const auto node = table.find("hooks")) read_hooks(*node, rules.hooks);
}

// Returns the shares; none if one of them is wrong, which is reported.
std::vector<uint16_t> read_steps(const ConfigNode& node) {
  std::vector<std::string> texts;
  bool are_texts = true;
  for (const ConfigNode& element : node.elements(kStepsForm).value_or(std::vector<ConfigNode>())) {
    const auto text = element.text("a share such as \"25%\"");
    are_texts = are_texts && text;
    texts.push_back(text.value_or(""));
  }
  if (!are_texts) return {};
  auto steps = parse_steps(texts);
  if (!steps) node.error(steps.error());
  return steps ? std::move(*steps) : std::vector<uint16_t>();
}

}  // namespace

std::optional<uint16_t> parse_share(std::string_view text) {
  if (text.size() < 2 || text.size() > 7 || text.back() != '%') return std::nullopt;
  text.remove_suffix(1);
  const size_t point = text.find('.');
  const auto percent = parse_digits(text.substr(0, point));
  std::optional<uint32_t> hundredths = 0;
  if (point != std::string_view::npos) {
    const std::string_view digits = text.substr(point + 1);
    if (digits.size() > 2) return std::nullopt;
    hundredths = digits.empty() ? std::nullopt : parse_digits(digits);
    if (hundredths && digits.size() == 1) *hundredths *= 10;
  }
  if (!percent || !hundredths || *percent * 100 + *hundredths > kShareOne) return std::nullopt;
  return static_cast<uint16_t>(*percent * 100 + *hundredths);
}

std::string share_text(uint16_t share) {
  std::string text = std::to_string(share / 100);
  if (const uint16_t hundredths = share % 100; hundredths != 0) {
    text += hundredths < 10 ? ".0" : ".";
    text += std::to_string(hundredths % 10 == 0 ? hundredths / 10 : hundredths);
  }
  return text + "%";
}

tl::expected<std::vector<uint16_t>, std::string> parse_steps(const std::vector<std::string>& texts) {
  if (texts.size() < 2 || texts.size() > RampPlan::kMaxSteps)
    return tl::unexpected("has " + std::to_string(texts.size()) + (texts.size() == 1 ? " step" : " steps") +
                          ", expected 2 to " + std::to_string(RampPlan::kMaxSteps) + ": " + kStepsForm);
  std::vector<uint16_t> steps;
  for (const std::string& text : texts) {
    const auto share = parse_share(text);
    if (!share || *share == 0)
      return tl::unexpected(
          "has the step " + in_quotes(text) +
          ", expected more than 0% and at most 100%, with at most two digits behind the point");
    if (!steps.empty() && *share <= steps.back())
      return tl::unexpected("has " + share_text(*share) + " after " + share_text(steps.back()) +
                            ", expected " + kStepsForm);
    steps.push_back(*share);
  }
  if (steps.back() != kShareOne)
    return tl::unexpected("ends with " + share_text(steps.back()) + ", expected " + kStepsForm);
  return steps;
}

RolloutRules read_rollout_defaults(const ConfigNode& root) {
  RolloutRules rules;
  const auto table = root.find("rollout");
  if (!table || !table->expect_table("a table [rollout]")) return rules;
  table->allow_only({"bake", "on_bad", "on_few", "min_capacity", "require_preview", "after_rollback",
                     "after_rollback_timeout", "hooks"});
  read_rules(*table, rules);
  return rules;
}

std::optional<RampPlan> read_rollout(const ConfigNode& table, RolloutRules& rules) {
  if (!table.expect_table("a table [service.rollout]")) return std::nullopt;
  table.allow_only({"steps", "every", "manual", "bake", "on_bad", "on_few", "min_capacity", "require_preview",
                    "after_rollback", "after_rollback_timeout", "hooks"});
  read_rules(table, rules);
  const auto steps = table.find("steps");
  if (!steps) {
    for (const char* key : {"every", "manual"})
      if (const auto node = table.find(key)) node->error("has no use alone, expected \"steps\" beside it");
    return std::nullopt;
  }
  RampPlan plan{.steps = read_steps(*steps)};
  if (const auto node = table.find("every"))
    plan.every = node->duration(kMinStepTime, kMaxStepTime).value_or(plan.every);
  if (const auto node = table.find("manual")) plan.manual = node->flag().value_or(false);
  if (plan.steps.empty()) return std::nullopt;  // reported above
  return plan;
}

}  // namespace teal
