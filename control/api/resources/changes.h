// SPDX-License-Identifier: Apache-2.0
//
// The fields that the requests of all changes have in common, and the fields that their answers have in
// common.
#pragma once

#include <initializer_list>
#include <string_view>

#include "control/api/resources/fields.h"
#include "control/api/resources/router.h"
#include "control/change/change.h"

namespace teal {

struct ChangeBody {
  BodyFields fields;  // the caller reads the verb's own fields, then checks fields.error()
  ChangeOptions options;
};

// Reads the fields that all changes have in common, and takes the user from the connection. `own` lists the
// verb's own fields.
tl::expected<ChangeBody, Refusal> read_change(const Request& request,
                                              std::initializer_list<std::string_view> own);

// Logs that the change was refused: who wanted it, and why. The answer does not wait for the user's name.
void note_refusal(Api& api, const asio::any_io_executor& executor, const Request& request,
                  const Refusal& refusal);

// Reads the fields "services" and "group".
Selection read_selection(BodyFields& fields);

// Reads a request for new flows of another colour: the services, and the fields "to" and "force".
tl::expected<RolloutRequest, Refusal> read_forward(BodyFields& fields, RolloutRequest::Verb verb);

// The answer has generation, revision and dry_run, the verb's own fields, and the result of the adoption.
Answer to_answer(const ChangeExecutor::Result& result);

}  // namespace teal
