// SPDX-License-Identifier: Apache-2.0
//
// The first work of a start: bring the database, the segment that lived on, and the config file in line.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/config/config.h"
#include "control/loop/clock.h"
#include "control/publish/publisher.h"
#include "control/state/inventory.h"
#include "control/state/recorder.h"

namespace teal {

// The state that the database and the segment have, without a config.
struct Known {
  Inventory inventory;
  std::vector<KnownRequest> requests;  // that were carried out
  std::vector<Unrecorded> to_record;   // the results of the intents that were open
  bool knows_colours = true;           // false: nothing is known but ids, and the config's colours count
};

struct Recovered {
  Inventory inventory;                 // in line with the segment and with the config
  std::vector<KnownRequest> requests;  // that were carried out
  std::vector<Unrecorded> to_record;   // the inventory, and the results of the intents that were open
};

// Adds what the copy in the run directory has and the database lacks. The state is the copy's if the database
// could not be read or was lost, or if it lacks the result of a change that the copy has. Otherwise the
// database is as late as the copy, and nothing changes.
void take_over_copy(Recorder::Stored copy, Recorder::Stored& stored);

// Open intents are done if the segment's log has their generation, else interrupted. `publisher` must have
// looked for the segment already. If it refused the segment, nothing is known about flows and intents:
// nothing retired is dropped, no intent is closed, and nothing is to be recorded.
Known learn(Recorder::Stored stored, const Publisher& publisher, const Clock& clock);

// Brings what is known in line with the config. The error: no id is free.
tl::expected<Recovered, std::string> bring_in_line(Known known, const Publisher& publisher,
                                                   const Config& config);

// Both.
tl::expected<Recovered, std::string> recover(Recorder::Stored stored, const Publisher& publisher,
                                             const Config& config, const Clock& clock);

// For a recovery later than the start: adds the changes that were made meanwhile, whose results are not on
// the disk. `present` is the inventory that they were made in.
void add_unrecorded(const std::deque<Unrecorded>& changes, const Inventory& present, Recovered& recovered);

// Returns "" if the Maglev tables of all pools fit into a ruleset, else the error.
std::string too_large(const Config& config);

}  // namespace teal
