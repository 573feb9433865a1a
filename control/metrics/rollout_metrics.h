// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "control/publish/publisher.h"
#include "control/state/catalogue.h"
#include "control/trial/trials.h"

namespace teal {

// Writes the metrics of rollouts: phases, shares, ramps, and what Teal found about new colours.
void write_rollouts(std::ostream& out, const Catalogue& catalogue, const Trials& trials,
                    const Publisher& publisher);

}  // namespace teal
