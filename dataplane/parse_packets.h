// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/burst.h"

namespace teal {

// Fills the parsed form of each packet.
void parse_packets(Burst& burst);

}  // namespace teal
