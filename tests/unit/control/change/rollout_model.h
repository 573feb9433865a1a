// SPDX-License-Identifier: Apache-2.0
//
// The plainest version of a rollout: one service, one command, and what the service is afterwards. It knows
// no disk, no clock, no dataplane and no judgement.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "control/state/inventory.h"

namespace teal {

struct PlainRamp {
  std::vector<uint16_t> steps;
  size_t step = 0;
  bool manual = false, paused = false;

  bool goes_on() const { return !manual && !paused; }
  friend bool operator==(const PlainRamp&, const PlainRamp&) = default;
};

struct PlainService {
  Colour active = Colour::kBlue;
  std::optional<Colour> undo;  // a rollback goes to this colour
  std::optional<PlainRamp> ramp;

  uint16_t share() const { return ramp ? ramp->steps[ramp->step] : 0; }
  // Returns the colour that a rollback takes the flows from; nothing: a rollback changes nothing.
  std::optional<Colour> tested() const {
    if (ramp) return other(active);
    return undo ? std::optional(active) : std::nullopt;
  }
  // The last step is a flip.
  void step_on() {
    ramp->paused = false;
    if (++ramp->step + 1 == ramp->steps.size()) flip(active);
  }
  void flip(std::optional<Colour> undone_by) {
    active = other(active);
    undo = undone_by;
    ramp.reset();
  }
  friend bool operator==(const PlainService&, const PlainService&) = default;
};

enum class PlainVerb { kFlip, kFlipNow, kRamp, kNext, kAbort, kRollback, kPause, kResume };
inline constexpr const char* kPlainVerbNames[] = {"flip",  "flip --now", "ramp",  "next",
                                                  "abort", "rollback",   "pause", "resume"};

struct PlainRequest {
  PlainVerb verb = PlainVerb::kFlip;
  Colour to = Colour::kBlue;  // of a flip or ramp
  PlainRamp ramp;             // of a ramp
  bool takes_back = true;     // of a flip: it brings no service anything new
};

// Returns the service after the request; nothing: it is refused. `configured` are the steps of a plain flip;
// none: it has no steps. The latest flip is less than an hour old.
inline std::optional<PlainService> after(const PlainRequest& request, const std::vector<uint16_t>& configured,
                                         PlainService service) {
  switch (request.verb) {
    case PlainVerb::kFlip:
    case PlainVerb::kFlipNow:
      if (request.to == service.active) {
        service.ramp.reset();
      } else if (request.verb == PlainVerb::kFlipNow || configured.empty() ||
                 (service.undo && request.takes_back)) {
        service.flip(service.undo && request.takes_back ? std::nullopt : std::optional(service.active));
      } else if (!service.ramp) {
        service.undo.reset();
        service.ramp = PlainRamp{configured};
      }
      break;
    case PlainVerb::kRamp:
      if (service.ramp) return std::nullopt;
      if (request.to == service.active) break;
      service.undo.reset();
      service.ramp = request.ramp;
      break;
    case PlainVerb::kNext:
      if (service.ramp) service.step_on();
      break;
    case PlainVerb::kRollback:
      if (!service.ramp && service.undo) service.flip(std::nullopt);
      [[fallthrough]];
    case PlainVerb::kAbort:
      service.ramp.reset();
      break;
    case PlainVerb::kPause:
    case PlainVerb::kResume:
      if (service.ramp) service.ramp->paused = request.verb == PlainVerb::kPause;
      break;
  }
  return service;
}

// Returns the plain version of a state of teald.
inline PlainService plain(const ServiceState& state) {
  PlainService service{.active = state.active, .undo = {}, .ramp = {}};
  if (state.undo) service.undo = state.undo->to;
  if (state.ramp)
    service.ramp = PlainRamp{state.ramp->plan.steps, state.ramp->step, state.ramp->plan.manual,
                             state.ramp->paused.has_value()};
  return service;
}

inline std::string text_of(const PlainService& service) {
  std::string text = name_of(service.active);
  if (service.undo) text += ", to undo";
  if (!service.ramp) return text;
  text +=
      ", step " + std::to_string(service.ramp->step) + " of " + std::to_string(service.ramp->steps.size());
  return text + (service.ramp->paused ? ", paused" : service.ramp->manual ? ", manual" : "");
}

inline void PrintTo(const PlainService& service, std::ostream* stream) {
  *stream << text_of(service);
}

}  // namespace teal
