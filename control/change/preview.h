// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/change.h"
#include "control/change/reach.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"
#include "dataplane/packet/ip_prefix.h"

namespace teal {

// The clients of a service that get its idle colour from now on; none: the preview ends.
struct PreviewRequest {
  std::string service;
  std::vector<IpPrefix> clients;
};

// Plans other clients of a preview. The request is refused if a network has another family than the VIP, or
// lies in the backends' own subnet: such clients cannot use the service. `on_link_bits(backend id)` is the
// prefix length of the backend's subnet in the mapped form; 0: the backend is behind a gateway.
tl::expected<Change, Refusal> plan_preview(const PreviewRequest& request, const Catalogue& catalogue,
                                           const std::function<uint8_t(uint16_t)>& on_link_bits);

// The gate of the services that require a preview: the new colour must have answered one since it is idle.
// Adds it to `closed`.
std::optional<Refusal> preview_gate(const RolloutPlan& plan, const Catalogue& catalogue,
                                    const Publisher& publisher, std::vector<ClosedGate>& closed);

}  // namespace teal
