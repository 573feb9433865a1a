// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/changes.h"

#include <vector>

#include <fmt/format.h>

namespace teal {

namespace {
constexpr size_t kMaxReasonBytes = 1024;
}

tl::expected<ChangeBody, Refusal> read_change(const Request& request,
                                              std::initializer_list<std::string_view> own) {
  // The history records the user of each change. Only a unix socket tells the user.
  if (!request.uid)
    return tl::unexpected(Refusal{403, "read_only", "changes are accepted on a unix socket only", ""});
  std::vector<std::string_view> known = own;
  known.insert(known.end(), {"if_generation", "reason", "dry_run"});
  auto fields = BodyFields::parse(request.body, known);
  if (!fields) return tl::unexpected(fields.error());
  ChangeBody change{std::move(*fields), {.uid = *request.uid}};
  change.options.client_is_gone = request.client_is_gone;
  change.options.if_generation = change.fields.number("if_generation");
  change.options.reason = change.fields.text("reason").value_or("");
  change.options.dry_run = change.fields.flag("dry_run").value_or(false);
  if (change.options.reason.size() > kMaxReasonBytes)
    return tl::unexpected(
        Refusal::bad_request(fmt::format("field \"reason\": expected at most {} bytes, got {}",
                                         kMaxReasonBytes, change.options.reason.size())));
  return change;
}

Selection read_selection(BodyFields& fields) {
  Selection selection;
  selection.services = fields.texts("services").value_or(std::vector<std::string>());
  selection.group = fields.text("group");
  return selection;
}

Answer to_answer(const ChangeExecutor::Result& result) {
  if (!result) return tl::unexpected(result.error());
  Json answer = {{"generation", result->generation}, {"dry_run", result->dry_run}};
  answer.update(result->fields);
  if (!result->dry_run) {  // a dry run publishes nothing that workers could adopt
    const Adoption& adoption = result->adoption;
    answer["workers"] = {{"live", adoption.live}, {"adopted", adoption.adopted}, {"asleep", adoption.asleep}};
    answer["slowest_us"] = adoption.slowest_us > 0 ? Json(adoption.slowest_us) : Json(nullptr);
  }
  answer["dataplane_running"] = result->dataplane_running;
  answer["recorded"] = result->recorded;
  answer["warnings"] = result->warnings;
  return as_json(answer);
}

}  // namespace teal
