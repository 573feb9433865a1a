// SPDX-License-Identifier: Apache-2.0
#include "control/cli/verbs/wait_for.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"
#include "control/cli/pages/health_words.h"
#include "control/cli/pages/rollout_lines.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause(200);
constexpr milliseconds kLongestPause(2000);
constexpr milliseconds kLongestAnswer(10'000);
constexpr milliseconds kMinPatience(1000);  // minimum timeout of an answer, even close to the deadline

constexpr const char* kNoDataplane = "the dataplane is not running";
constexpr const char* kNotCounted = ": the flows that are left are not counted yet";  // behind a service

using Lines = std::vector<std::string>;  // a line for each service that is not as wanted

// A segment that teald cannot use may belong to a running dataplane.
Lines dataplane_trouble(const nlohmann::json& dataplane) {
  if (const auto refused = text_or(dataplane, "segment_refused"); !refused.empty())
    return {"teald cannot use the dataplane's segment: " + refused};
  return dataplane.at("running").get<bool>() ? Lines() : Lines{kNoDataplane};
}

// The idle colour may have other flows: flows of a preview or of a ramp are younger than the flip, and no
// drain waits for them. `drained` is false where nothing drains but the flows are not counted yet.
std::optional<std::string> not_drained(const nlohmann::json& service) {
  const auto& draining = part(service, "draining");
  if (draining.is_null())
    return service.value("drained", true) ? std::nullopt : std::optional(text(service, "name") + kNotCounted);
  std::string line = fmt::format("{}: {} of {} left", text(service, "name"),
                                 counted(number(draining, "flows"), "flow"), text(draining, "colour"));
  if (const auto& estimate = part(draining, "estimate_seconds"); estimate.is_number())
    line += fmt::format(", done in about {}", span_text(estimate.get<double>()));
  if (const auto state = text_or(draining, "state"); state == "overdue" || state == "resetting")
    line += ", " + state;
  return line;
}

std::optional<std::string> not_healthy(const nlohmann::json& service, const std::string& colour) {
  std::vector<std::string> unresolved, sick;
  size_t taking = 0;
  for (const auto& backend : service.at("colours").at(colour).at("backends")) {
    if (!takes_new_flows(backend)) continue;
    ++taking;
    if (text(backend, "next_hop") == "resolved") {
      if (!is_healthy(backend)) sick.push_back(text(backend, "address") + ": " + health_cell(backend).text);
      continue;
    }
    const auto problem = text_or(backend, "next_hop_problem");
    unresolved.push_back(text(backend, "address") + (problem.empty() ? "" : ": " + problem));
  }
  if (taking == 0) return fmt::format("{}: no backend of {} is ready", text(service, "name"), colour);
  const auto which = [](const std::vector<std::string>& backends) {
    return backends.size() > 4 ? counted(backends.size(), "backend") : joined(backends, ", ");
  };
  if (!unresolved.empty())
    return fmt::format("{}: no next hop for {} ({})", text(service, "name"), which(unresolved), colour);
  if (sick.empty()) return std::nullopt;
  return fmt::format("{}: not up: {} ({})", text(service, "name"), which(sick), colour);
}

tl::expected<Lines, Failure> not_running(const Client& daemon) {
  const auto summary = get_summary(daemon);
  if (!summary) return tl::unexpected(summary.error());
  return dataplane_trouble(summary->at("dataplane"));
}

tl::expected<Lines, Failure> not_adopted(const Client& daemon) {
  const auto summary = get_summary(daemon);
  if (!summary) return tl::unexpected(summary.error());
  const auto& dataplane = summary->at("dataplane");
  if (const Lines trouble = dataplane_trouble(dataplane); !trouble.empty()) return trouble;
  const auto adopted = number(dataplane, "adopted_generation"), latest = number(*summary, "generation");
  if (adopted >= latest) return Lines();
  return Lines{fmt::format("a worker is on generation {}, the latest is {}", adopted, latest)};
}

// Returns the figures of both colours that say most.
std::string figures_of(const nlohmann::json& finding) {
  const auto& evidence = part(finding, "evidence");
  if (evidence.empty()) return "";
  return fmt::format(
      "; {} of {} flows of {} failed, {} of {} of the other colour, value of the test 1e{:.1f}",
      number(evidence, "failed"), number(evidence, "flows"), text(evidence, "tested"),
      number(evidence, "other_failed"), number(evidence, "other_flows"),
      evidence.at("log10_value").get<double>());
}

// Teal found the new colour bad and leaves the rest to the operator, as the config says (on_bad).
std::optional<Failure> found_bad(const nlohmann::json& service, const WaitFor& wanted) {
  const auto& finding = part(service, "finding");
  if (finding.is_null() || text(finding, "judgement") != "bad" || !is_of_present_rollout(finding, service))
    return std::nullopt;
  const auto& ramp = part(service, "ramp");
  // After an operator's resume, another reason may pause the ramp.
  const bool is_paused = !ramp.is_null() && text_or(ramp, "paused") == text(finding, "text");
  if (!is_paused && text_or(finding, "action") != "nothing") return std::nullopt;
  std::vector<std::string> moved;
  for (const auto& [name, colour] : wanted.active)
    if (!wanted.unchanged.contains(name)) moved.push_back(name);
  if (moved.empty()) moved.push_back(text(service, "name"));
  return Failure{.exit_code = kRolledBack,
                 .code = "found_bad",
                 .message = fmt::format("{}{}; {}", text(finding, "text"), figures_of(finding),
                                        is_paused ? "its ramp is paused" : "Teal leaves it there (on_bad)"),
                 .hint = fmt::format("teal rollback {} goes back", joined(moved, " "))};
}

// The service left the way to the colour that it was waited for.
Failure rolled_back(const nlohmann::json& service, const std::string& wanted) {
  const auto name = text(service, "name");
  Failure failure{.exit_code = kRolledBack, .code = "rolled_back", .message = {}};
  const auto& finding = part(service, "finding");
  if (!finding.is_null() && text_or(finding, "action") == "rollback") {
    failure.message = fmt::format("{} is {} again, because Teal rolled it back: {}{}", name,
                                  text(service, "active"), text(finding, "text"), figures_of(finding));
    failure.hint = fmt::format("teal history {} shows when", name);
  } else {
    failure.message =
        fmt::format("{} is {}, and no rollout to {} is under way", name, text(service, "active"), wanted);
    failure.hint = fmt::format("teal history {} shows who changed it, and why", name);
  }
  return failure;
}

// Returns what is left of a rollout before the drain counts; nothing: nothing is.
std::optional<std::string> not_rolled_out(const nlohmann::json& service) {
  const auto name = text(service, "name");
  if (const auto& ramp = part(service, "ramp"); !ramp.is_null()) {
    std::string line = fmt::format("{}: {:g}% of new flows on {}, step {} of {}", name,
                                   ramp.at("share_percent").get<double>(), text(ramp, "to"),
                                   number(ramp, "step"), ramp.at("steps_percent").size());
    if (!part(ramp, "paused").is_null()) return line + ", paused: " + text(ramp, "paused");
    if (const auto& left = part(ramp, "seconds_to_next"); left.is_number())
      line += fmt::format(", the next in {}", span_text(left.get<double>()));
    return line;
  }
  const auto& trial = part(service, "trial");
  if (trial.is_null())
    return text_or(service, "phase") == "baking" ? std::optional(name + ": the judgement begins")
                                                 : std::nullopt;
  if (text_or(trial, "kind") != "flip" || text(trial, "judgement") == "no_baseline") return std::nullopt;
  return fmt::format("{}: judged for {} more: {}", name,
                     span_text(trial.at("bake_seconds_left").get<double>()), text(trial, "text"));
}

tl::expected<Lines, Failure> what_is_left(const Client& daemon, const WaitFor& wanted) {
  const auto services = get_services(daemon, wanted.services);
  if (!services) return tl::unexpected(services.error());
  Lines lines;
  for (const auto& service : *services) {
    const auto goal = wanted.active.find(text(service, "name"));
    std::optional<std::string> line;
    if (goal != wanted.active.end()) {
      const auto& waiting = part(service, "waiting_release");
      const bool comes = !waiting.is_null() && text(waiting, "to") == goal->second;
      if (service.at("active") != goal->second && part(service, "ramp").is_null() && !comes)
        return tl::unexpected(rolled_back(service, goal->second));
      if (comes) {
        lines.push_back(text(service, "name") + ": the hook pre_flip runs");
        continue;
      }
      line = not_rolled_out(service);
      if (line || !wanted.unchanged.contains(text(service, "name")))
        if (auto bad = found_bad(service, wanted)) return tl::unexpected(std::move(*bad));
    }
    if (!line)
      line = wanted.condition == "healthy"
                 ? not_healthy(service, wanted.colour.value_or(text(service, "active")))
                 : not_drained(service);
    if (line) lines.push_back(std::move(*line));
  }
  auto adoption = wanted.condition == "settled" ? not_adopted(daemon) : not_running(daemon);
  if (!adoption) return adoption;
  // Without a dataplane no flow is counted: one line says so.
  if (!adoption->empty())
    std::erase_if(lines, [](const std::string& line) { return line.ends_with(kNotCounted); });
  lines.insert(lines.end(), adoption->begin(), adoption->end());
  return lines;
}

bool is_of_rollout(const std::string& line) {
  return line.find("% of new flows on ") != std::string::npos ||
         line.find(": judged for ") != std::string::npos || line.ends_with(": the judgement begins") ||
         line.ends_with(": the hook pre_flip runs");
}

std::string hint_for(const WaitFor& wanted, const Lines& left) {
  const auto name = left.empty() ? wanted.services.front() : left.front().substr(0, left.front().find(':'));
  if (left.size() == 1 && (left.front() == kNoDataplane || left.front().ends_with(kNotCounted)))
    return "systemctl status teal-dataplane";
  if (!left.empty() && is_of_rollout(left.front()))
    return fmt::format("it goes on; teal wait {} --for rolled-out --colour {} waits for its end",
                       joined(wanted.services, " "), wanted.active.begin()->second);
  if (wanted.condition == "healthy")
    return fmt::format(
        "teal backend list {} shows next hops and health; ip neigh shows the kernel's neighbours", name);
  if (left.size() == 1 && !left.front().starts_with(wanted.services.front() + ":") &&
      wanted.services.size() == 1)
    return "teal stats shows the generation of each worker";
  return fmt::format(
      "teal drain {} shows their clients; to end them: teal drain {} --timeout 1s --then reset", name, name);
}

class Progress {  // one line of a terminal, written over at each update
 public:
  explicit Progress(const Invocation& call)
      : around_(call.around), shown_(call.around.terminal && !call.json) {}
  ~Progress() {
    if (shown_) around_.out << "\r\033[K" << std::flush;
  }
  void show(std::string line, size_t more) {
    if (!shown_) return;
    if (more != 0) line += fmt::format(" (and {} more)", more);
    line.resize(std::min<size_t>(line.size(), around_.columns - 1));
    around_.out << "\r" << line << "\033[K" << std::flush;
  }

 private:
  Surroundings& around_;
  bool shown_;
};

}  // namespace

tl::expected<std::chrono::duration<double>, Failure> wait_for(const Invocation& call, const WaitFor& wanted) {
  const auto start = call.around.now();
  const auto deadline = start + wanted.timeout;
  Client daemon = call.daemon;
  Progress progress(call);
  auto pause = kFirstPause;
  std::optional<Lines> left;
  while (true) {
    const auto rest = std::chrono::ceil<milliseconds>(deadline - call.around.now());
    daemon.set_timeout(std::clamp(rest, kMinPatience, kLongestAnswer));
    const auto asked_at = call.around.now();
    auto still_left = what_is_left(daemon, wanted);
    if (still_left) {
      if (still_left->empty()) return call.around.now() - start;
      left = std::move(*still_left);
      progress.show(left->front(), left->size() - 1);
    } else if (!may_pass(still_left.error()) || !left) {
      return tl::unexpected(still_left.error());
    } else {  // it has answered before, so it is probably being restarted
      left = Lines{still_left.error().message};
      progress.show(left->front(), 0);
    }
    const auto now = call.around.now();
    if (now >= deadline) break;
    // A daemon that takes long to answer is asked less often.
    const auto longest = std::chrono::ceil<milliseconds>(deadline - now);
    const auto considerate = std::chrono::duration_cast<milliseconds>(4 * (now - asked_at));
    if (!call.around.pause(std::min(std::max(pause, considerate), longest))) break;
    pause = std::min(pause * 5 / 4, kLongestPause);
  }
  return tl::unexpected(Failure{
      .exit_code = kTimeout,
      .code = "timeout",
      .message =
          fmt::format("{} within {}",
                      is_of_rollout(left->front()) ? "the rollout is not over" : "not " + wanted.condition,
                      span_text(std::chrono::duration<double>(wanted.timeout).count())),
      .hint = hint_for(wanted, *left),
      .details = std::move(*left)});
}

std::string waited_text(const WaitFor& wanted, std::chrono::duration<double> took) {
  return fmt::format("{} {} {} ({})\n", names_or_count(wanted.services),
                     wanted.services.size() == 1 ? "is" : "are", wanted.condition, span_text(took.count()));
}

}  // namespace teal::cli
