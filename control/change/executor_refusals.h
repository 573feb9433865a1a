// SPDX-License-Identifier: Apache-2.0
//
// The executor's answers when it does not carry a change out, or not to its end, and its warnings.
#pragma once

#include <cstdint>
#include <string>

#include "control/change/change.h"
#include "control/change/refusal.h"
#include "dataplane/shm/publication.h"

namespace teal {

// `what`: "generation" or "revision".
Refusal conflict(std::string_view what, uint64_t expected, uint64_t present);
Refusal id_of_another_request(const std::string& id);
Refusal answer_is_lost(const std::string& why);
Refusal not_recorded(const std::string& why);
Refusal segment_refused(const std::string& why);
Refusal no_free_slot();
// `way_back` is the command that undoes the change; "": there is none.
Refusal not_adopted(uint64_t generation, const Adoption& adoption, const std::string& way_back);

// Says in the answer that the change is in force, but not on disk yet.
void say_not_recorded(const std::string& why, const ChangeOptions& options, ChangeResult& result);

// Adds a warning if no dataplane is running, unless the change is a lock.
void warn_without_dataplane(const Change& change, ChangeResult& result);

}  // namespace teal
