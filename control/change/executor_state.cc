// SPDX-License-Identifier: Apache-2.0
//
// How the executor keeps the state in line between the changes: the catalogue with the segment, and the
// database and the copy in the run directory with the catalogue.
#include "control/change/executor.h"
#include "control/state/splits.h"

namespace teal {

Task<void> ChangeExecutor::learn_from_segment(const Turn&) {
  if (publisher_.splits() == nullptr) co_return;
  Inventory inventory = catalogue_.inventory();
  const std::vector<uint16_t> learned =
      learn_splits(inventory, publisher_.generation(), *publisher_.splits(), clock_.tick(), clock_.wall_ms());
  if (learned.empty()) co_return;
  for (const uint16_t id : learned)
    inventory.revision = std::max(inventory.revision, inventory.service(id)->flip_generation);
  catalogue_.replace(std::move(inventory));
  save_due_ = true;
  co_await keep_copy();
}

Task<void> ChangeExecutor::save_if_due(const Turn&) {
  if (!save_due_) co_return;
  save_due_ = false;
  Unrecorded whole{.inventory = std::make_shared<const Inventory>(catalogue_.inventory())};
  (void)co_await journal_.record(std::move(whole));
}

Task<void> ChangeExecutor::record_what_is_missing(const Turn&) {
  if (journal_.unrecorded().empty())
    (void)co_await journal_.probe();
  else
    (void)co_await journal_.flush();
}

Task<void> ChangeExecutor::replace(const Turn&, Inventory inventory) {
  catalogue_.replace(std::move(inventory));
  steering_.want(catalogue_.inventory());
  need_hops_();
  co_await keep_copy();
}

void ChangeExecutor::name_lock(uint32_t uid, const std::string& user) {
  std::optional<ChangeLock> lock = catalogue_.inventory().lock;
  if (!lock || lock->uid != uid || !lock->user.empty()) return;
  lock->user = user;
  catalogue_.set_lock(std::move(lock));
}

}  // namespace teal
