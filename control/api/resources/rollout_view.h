// SPDX-License-Identifier: Apache-2.0
//
// JSON views of a service's rollout: its ramp, its judgement, and what the judgement found.
#pragma once

#include "control/api/resources/router.h"

namespace teal {

Json view_ramp(const Api& api, const ServiceState& state);
// Null: nothing is judged.
Json view_trial(const Api& api, const ServiceState& state);
// Null: the judgement of the service's latest rollout has found nothing.
Json view_finding(const Api& api, const ServiceState& state);

}  // namespace teal
