// SPDX-License-Identifier: Apache-2.0
//
// What all changes have in common: fields of the request, and of the answer.
#pragma once

#include <initializer_list>
#include <string_view>

#include "control/api/resources/fields.h"
#include "control/api/resources/router.h"
#include "control/change/change.h"

namespace teal {

struct ChangeBody {
  BodyFields fields;  // the verb's own are still to be read; then look at fields.error()
  ChangeOptions options;
};

// The body's if_generation, reason and dry_run, and whose it is. `own` are the verb's fields.
tl::expected<ChangeBody, Refusal> read_change(const Request& request,
                                              std::initializer_list<std::string_view> own);

// The fields "services" and "group".
Selection read_selection(BodyFields& fields);

// generation and dry_run, the verb's own fields, and how the adoption went.
Answer to_answer(const ChangeExecutor::Result& result);

}  // namespace teal
