// SPDX-License-Identifier: Apache-2.0
#include "control/hooks/hook_jobs.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "control/loop/wall_clock.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

std::string dumped_hook(const Json& input) {
  return input.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Colour> colour_in(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_string()) return std::nullopt;
  for (size_t colour = 0; colour < kColours; ++colour)
    if (*found == kColourNames[colour]) return static_cast<Colour>(colour);
  return std::nullopt;
}

Json service_json(const HookMove& move) {
  return {{"service", move.service},
          {"from", name_of(move.from)},
          {"to", name_of(move.to)},
          {"share", move.share}};
}

// An entry of a change, with its hook.
struct HookEntry {
  Hook hook;
  HookMove move;
};

// Reads an entry of "changed" as change_of() in control/change writes it: a flip has "from" and "to", an
// abort has "to" alone, and a step has neither, but "colour" and "share".
std::optional<HookEntry> entry_in(const Json& entry, std::string_view verb) {
  const auto service = entry.find("service");
  if (service == entry.end() || !service->is_string()) return std::nullopt;
  HookMove move{.service = service->get<std::string>(), .share = "100%"};
  const auto to = colour_in(entry, "to"), from = colour_in(entry, "from");
  if (to) {
    move.to = *to;
    move.from = other(*to);
    const bool is_back = !from || verb == "rollback";
    return HookEntry{is_back ? Hook::kRolledBack : Hook::kPostFlip, std::move(move)};
  }
  const auto colour = colour_in(entry, "colour");
  const auto share = entry.find("share");
  if (!colour || share == entry.end() || !share->is_object()) return std::nullopt;
  move.to = *colour;
  move.from = other(*colour);
  const auto of_now = share->find("to");
  if (of_now == share->end() || !of_now->is_string()) return std::nullopt;
  move.share = of_now->get<std::string>();
  return HookEntry{Hook::kStep, std::move(move)};
}

struct HookEntries {
  std::vector<HookEntry> entries;
  Json evidence;  // null: the change does not follow from a verdict
};

HookEntries entries_of(const HistoryRow& change) {
  constexpr std::string_view kVerbs[] = {"flip", "rollback", "ramp", "next", "step", "abort"};
  HookEntries result;
  const bool is_published = change.result == "done" || change.result == "adoption_timeout";
  if (!is_published || std::find(std::begin(kVerbs), std::end(kVerbs), change.verb) == std::end(kVerbs))
    return result;
  const Json entries = Json::parse(change.changes, nullptr, false);
  if (!entries.is_array()) return result;
  for (const Json& entry : entries) {
    if (!entry.is_object()) continue;
    if (const auto evidence = entry.find("evidence"); evidence != entry.end()) result.evidence = *evidence;
    if (auto read = entry_in(entry, change.verb)) result.entries.push_back(std::move(*read));
  }
  return result;
}

Json actor_json(const Actor& actor) {
  return {{"uid", actor.is_teald() ? Json(nullptr) : Json(actor.uid)}, {"user", actor.user}};
}

Json input_of_change(const HistoryRow& change, const Json& evidence) {
  Json input = {{"hook", nullptr},     {"id", change.id},           {"generation", change.generation},
                {"verb", change.verb}, {"services", Json::array()}, {"reason", change.reason}};
  input.update(actor_json(change.actor));
  input["at"] = rfc3339(change.finished_at_ms);
  input["result"] = change.result;
  input["verdict"] =
      evidence.is_null() ? Json(nullptr) : Json{{"text", change.reason}, {"evidence", evidence}};
  return input;
}

// Adds a service to the run of the same command, or makes a run with `input` for the service.
void add_to(std::vector<HookJob>& jobs, std::vector<Json>& inputs, Hook hook, const HookCommand& run,
            Json input, Json service) {
  const auto same = [&](const HookJob& job) { return job.hook == hook && job.run == run; };
  const auto known = std::find_if(jobs.begin(), jobs.end(), same);
  const auto index = static_cast<size_t>(known - jobs.begin());
  if (known == jobs.end()) {
    jobs.push_back({.hook = hook, .run = run, .services = {}, .input = ""});
    input["hook"] = name_of(hook);
    inputs.push_back(std::move(input));
  }
  jobs[index].services.push_back(service.at("service").get<std::string>());
  inputs[index]["services"].push_back(std::move(service));
}

std::vector<HookJob> finished(std::vector<HookJob> jobs, const std::vector<Json>& inputs) {
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i].input = dumped_hook(inputs[i]);
  return jobs;
}

const HookCommand* command_for(const HooksOf& hooks_of, const std::string& service, Hook hook) {
  const HookCommands* hooks = hooks_of(service);
  if (hooks == nullptr || !command_of(*hooks, hook)) return nullptr;
  return &*command_of(*hooks, hook);
}

}  // namespace

std::vector<HookJob> pre_flip_jobs(const std::vector<HookMove>& moves, const HookRequest& request,
                                   const HooksOf& hooks_of) {
  Json input = {{"hook", nullptr},           {"id", nullptr},
                {"generation", nullptr},     {"verb", request.verb},
                {"services", Json::array()}, {"reason", request.reason}};
  input.update(actor_json(request.actor));
  std::vector<HookJob> jobs;
  std::vector<Json> inputs;
  for (const HookMove& move : moves)
    if (const HookCommand* run = command_for(hooks_of, move.service, Hook::kPreFlip))
      add_to(jobs, inputs, Hook::kPreFlip, *run, input, service_json(move));
  return finished(std::move(jobs), inputs);
}

std::vector<HookJob> jobs_after(const HistoryRow& change, const HooksOf& hooks_of) {
  const HookEntries read = entries_of(change);
  std::vector<HookJob> jobs;
  std::vector<Json> inputs;
  for (const auto& [hook, move] : read.entries)
    if (const HookCommand* run = command_for(hooks_of, move.service, hook))
      add_to(jobs, inputs, hook, *run, input_of_change(change, read.evidence), service_json(move));
  return finished(std::move(jobs), inputs);
}

std::vector<PendingDrain> drains_of(const HistoryRow& change) {
  const HookEntries read = entries_of(change);
  std::vector<PendingDrain> drains;
  for (const auto& [hook, move] : read.entries) {
    if (hook == Hook::kStep) continue;  // both colours take new flows
    Json input = input_of_change(change, read.evidence);
    input["services"].push_back(service_json(move));
    drains.push_back({move.service, change.id, change.generation, dumped_hook(input)});
  }
  return drains;
}

std::vector<HookJob> drained_jobs(const std::vector<PendingDrain>& drains, const HooksOf& hooks_of) {
  std::vector<HookJob> jobs;
  std::vector<Json> inputs;
  for (const PendingDrain& drain : drains) {
    const HookCommand* run = command_for(hooks_of, drain.service, Hook::kDrained);
    Json input = Json::parse(drain.input, nullptr, false);
    if (run == nullptr || !input.is_object()) continue;
    const Json services = std::exchange(input["services"], Json::array());
    if (!services.is_array() || services.size() != 1 || !services.front().is_object()) continue;
    if (services.front().value("service", Json()) != drain.service) continue;
    add_to(jobs, inputs, Hook::kDrained, *run, std::move(input), services.front());
  }
  return finished(std::move(jobs), inputs);
}

}  // namespace teal
