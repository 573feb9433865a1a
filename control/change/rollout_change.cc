// SPDX-License-Identifier: Apache-2.0
//
// The change that a plan of rollout.h makes.
#include <algorithm>

#include <fmt/format.h>

#include "control/change/rollout.h"
#include "control/config/config_rollout.h"

namespace teal {

namespace {

using Verb = RolloutRequest::Verb;
using Kind = ColourChange::Kind;

struct VerbWords {
  const char* name;  // in the history
  FlipVerb flips;    // who made the present colour active
};

VerbWords words_of(Verb verb) {
  switch (verb) {
    case Verb::kFlip:
      return {"flip", FlipVerb::kFlip};
    case Verb::kRollback:
      return {"rollback", FlipVerb::kRollback};
    case Verb::kRamp:
      return {"ramp", FlipVerb::kRamp};
    case Verb::kNext:
      return {"next", FlipVerb::kRamp};
    case Verb::kAbort:
      break;
  }
  return {"abort", FlipVerb::kAbort};
}

ServiceState state_after(const ColourChange& change, FlipVerb verb, ServiceState state) {
  state.ramp = change.ramp;
  state.undo.reset();
  if (change.kind == Kind::kShare) return state;
  state.active = change.to;
  // After an abort, the active colour is the one that most packets without an entry belong to.
  state.previous = change.kind == Kind::kAbort ? change.to : change.from;
  state.drain_timeout.reset();
  state.drain_then.reset();
  if (change.is_release) state.undo = Undo{.to = change.from};
  state.flipped_by = FlippedBy{.verb = verb};
  return state;
}

// A change of the share alone has no "from": the service keeps its active colour.
nlohmann::ordered_json entry_of(const ColourChange& change) {
  nlohmann::ordered_json entry = {{"service", change.name}};
  if (change.kind == Kind::kFlip) entry["from"] = name_of(change.from);
  if (change.kind != Kind::kShare) entry["to"] = name_of(change.to);
  if (change.kind == Kind::kShare || change.share_before != 0) {
    entry["colour"] = name_of(change.kind == Kind::kAbort ? change.from : change.to);
    const uint16_t after = change.ramp ? change.ramp->share() : change.kind == Kind::kFlip ? kShareOne : 0;
    entry["share"] = {{"from", share_text(change.share_before)}, {"to", share_text(after)}};
  }
  if (change.undoes) entry["undoes"] = {*change.undoes};
  return entry;
}

// The command that undoes the plan, for a hint.
std::string way_back(const RolloutPlan& plan) {
  constexpr size_t kNamed = 10;
  std::string names;
  for (const ColourChange& change : plan.changes) names += " " + change.name;
  if (plan.changes.size() > kNamed) names = " SERVICE...";
  const auto all = [&](const auto& is) { return std::all_of(plan.changes.begin(), plan.changes.end(), is); };
  if (all([](const ColourChange& change) { return change.kind == Kind::kShare; }))
    return "teal abort" + names;
  if (all([](const ColourChange& change) { return change.kind == Kind::kAbort; }))
    return fmt::format("teal ramp{} --to {}", names, name_of(plan.changes.front().from));
  // A rollback aborts the ramps.
  if (all([](const ColourChange& change) { return change.kind == Kind::kShare || change.is_release; }))
    return "teal rollback" + names;
  const Colour from = plan.changes.front().from;
  return all([&](const ColourChange& change) { return change.kind == Kind::kFlip && change.from == from; })
             ? fmt::format("teal flip{} --to {}", names, name_of(from))
             : "teal flip SERVICE --to COLOUR";
}

}  // namespace

nlohmann::ordered_json ramps_json(const RolloutPlan& plan) {
  auto ramps = nlohmann::ordered_json::array();
  for (const ColourChange& change : plan.changes) {
    if (!change.ramp || change.ramp->id != 0) continue;
    auto steps = nlohmann::ordered_json::array();
    for (const uint16_t share : change.ramp->plan.steps) steps.push_back(share_text(share));
    ramps.push_back({{"service", change.name},
                     {"steps", std::move(steps)},
                     {"every_seconds", std::chrono::duration<double>(change.ramp->plan.every).count()},
                     {"manual", change.ramp->plan.manual}});
  }
  return ramps;
}

Change change_of(const RolloutPlan& plan, RolloutRequest::Verb verb, const Catalogue& catalogue) {
  const VerbWords words = words_of(verb);
  Change change{.verb = words.name};
  change.despite_disk = !goes_forward(verb);
  nlohmann::ordered_json changed = nlohmann::ordered_json::array();
  for (const ColourChange& colour : plan.changes) {
    change.services.push_back(state_after(colour, words.flips, *catalogue.service(colour.service)));
    if (colour.kind != Kind::kShare) change.flips.push_back(colour.service);
    changed.push_back(entry_of(colour));
  }
  change.fields = {{"changed", std::move(changed)}, {"unchanged", plan.unchanged}};
  if (verb == Verb::kFlip) change.fields["on_a_ramp"] = plan.on_a_ramp;
  if (!plan.changes.empty()) change.way_back = way_back(plan);
  return change;
}

}  // namespace teal
