// SPDX-License-Identifier: Apache-2.0
#include "control/state/recorder.h"

#include <pwd.h>

namespace teal {

namespace {

std::string look_up_user(uint32_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) return "";
  return found->pw_name;
}

}  // namespace

Task<std::string> Recorder::user_name(uint32_t uid) {
  auto work = [uid] { return look_up_user(uid); };
  co_return co_await run_on(disk_, std::move(work));
}

Task<Recorder::Recorded<int64_t>> Recorder::intend(Intent intent, std::shared_ptr<const Inventory> whole) {
  auto work = [this, intent = std::move(intent), whole = std::move(whole)]() mutable {
    intent.actor.user = look_up_user(intent.actor.uid);
    return state_.intend(intent, whole.get());
  };
  co_return co_await run_on(disk_, std::move(work));
}

Task<State::Done> Recorder::finish(int64_t intent, Outcome outcome, int64_t at_ms, int64_t duration_us,
                                   std::string detail, ChangeRecord record) {
  auto work = [this, intent, outcome, at_ms, duration_us, detail = std::move(detail),
               record = std::move(record)] {
    return state_.finish(intent, outcome, at_ms, duration_us, detail, record);
  };
  co_return co_await run_on(disk_, std::move(work));
}

Task<State::Done> Recorder::save(Inventory inventory) {
  auto work = [this, inventory = std::move(inventory)] { return state_.save(inventory); };
  co_return co_await run_on(disk_, std::move(work));
}

Task<Recorder::Recorded<std::vector<HistoryRow>>> Recorder::history(HistoryQuery query) {
  auto work = [this, query = std::move(query)] { return state_.history(query); };
  co_return co_await run_on(disk_, std::move(work));
}

Task<Recorder::Recorded<std::optional<int64_t>>> Recorder::superseded_at_ms(uint64_t generation) {
  auto work = [this, generation] { return state_.superseded_at_ms(generation); };
  co_return co_await run_on(disk_, std::move(work));
}

Task<Recorder::Recorded<std::optional<std::vector<std::string>>>> Recorder::flips_since(uint64_t generation) {
  auto work = [this, generation]() -> Recorded<std::optional<std::vector<std::string>>> {
    const auto known = state_.knows_generation(generation);
    if (!known) return tl::unexpected(known.error());
    if (!*known) return std::nullopt;
    const auto rows = state_.published_since(generation);
    if (!rows) return tl::unexpected(rows.error());
    std::vector<std::string> flips;
    for (const HistoryRow& row : *rows) flips.push_back(row.changes);
    return flips;
  };
  co_return co_await run_on(disk_, std::move(work));
}

}  // namespace teal
