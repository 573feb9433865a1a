// SPDX-License-Identifier: Apache-2.0
//
// `teal completion SHELL` prints a script that completes teal's words in that shell. The scripts know no
// verbs and no options: they call `teal completion --offer -- WORD...` and show what it prints, see offers.h.
#pragma once

#include "control/cli/invocation/verb.h"

namespace teal::cli {

Outcome run_completion(const Invocation& call);

}  // namespace teal::cli
