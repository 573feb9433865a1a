// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>

#include "control/state/catalogue.h"
#include "control/trial/trials.h"

namespace teal {

// Writes the metrics of rollouts: shares, ramps, and what Teal found about new colours.
void write_rollouts(std::ostream& out, const Catalogue& catalogue, const Trials& trials);

}  // namespace teal
