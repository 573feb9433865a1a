// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <tl/expected.hpp>

#include "control/change/change.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

struct BackendRequest {  // sets at least one of state and weight
  struct Weight {
    std::optional<uint32_t> value;  // nothing: the weight of the config file
  };
  std::string service;
  Colour colour = Colour::kBlue;
  Socket address;  // its protocol is ignored
  std::optional<AdminState> state;
  std::optional<Weight> weight;
};

// Plans another admin state or weight of a backend in one pool. Refused if no other backend of the active
// colour would take new flows.
tl::expected<Change, Refusal> plan_backend(const BackendRequest& request, const Catalogue& catalogue,
                                           const Publisher& publisher);

}  // namespace teal
