// SPDX-License-Identifier: Apache-2.0
//
// The table of all verbs. Dispatch, help, man page and completion are made from it.
#pragma once

#include <span>
#include <string_view>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

std::span<const Verb> verbs();

// The verb of that name. The failure's hint names the most similar verb.
tl::expected<const Verb*, Failure> verb_named(std::string_view name);

}  // namespace teal::cli
