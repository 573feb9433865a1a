// SPDX-License-Identifier: Apache-2.0
//
// Turns the judgement of a rollout (control/trial/trials.h) into changes: a rollback or a pause. Says whether
// the next step of a ramp may begin.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/change/change.h"
#include "control/change/rollout.h"
#include "control/state/catalogue.h"
#include "control/trial/trials.h"

namespace teal {

// Returns the services of the finding whose rollout is still the one that was judged.
std::vector<std::string> still_on(const Finding& finding, const Catalogue& catalogue);

// Makes a planned rollback or pause the answer to a finding. The history then shows the evidence, and no lock
// holds the change up. The flows that are left on the bad colour end as `after_rollback` says.
void make_answer(const Finding& finding, const Catalogue& catalogue, Change& change);

// Says what Teal does if the new colour of each service turns out to be bad. A way back is not judged.
// [{"service","bake_seconds","on_bad"}]: Judged in docs/openapi.yaml.
nlohmann::ordered_json judged_json(const RolloutPlan& plan, const Catalogue& catalogue);

// Returns whether Teal only tells if the new colour of these services is bad.
bool are_only_told(const std::vector<std::string>& services, const Catalogue& catalogue);

// Returns what the services of one ramp do at the end of a step with too few flows: the most careful of
// their rules.
RolloutRules::OnFew on_few_of(const std::vector<std::string>& services, const Catalogue& catalogue);

}  // namespace teal
