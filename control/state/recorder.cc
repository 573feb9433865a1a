// SPDX-License-Identifier: Apache-2.0
#include "control/state/recorder.h"

#include <spdlog/spdlog.h>

#include "control/loop/wall_clock.h"

namespace teal {

namespace {

using SteadyClock = std::chrono::steady_clock;

std::string no_answer(std::string_view state_dir, SteadyClock::duration since) {
  return fmt::format("{}: the disk has not answered since {}", state_dir,
                     rfc3339(wall_clock_ms() - since / std::chrono::milliseconds(1)));
}

std::string lock_path_in(const std::string& state_dir) {
  return state_dir + "/daemon.lock";
}

// The coroutine that waits for a call, and the call's result. Both are used on the event loop's thread only.
template <typename Result>
struct Call {
  asio::steady_timer* waiter = nullptr;  // null: given up
  std::optional<Result> result;
};

}  // namespace

Recorder::Recorded<Recorder::Stored> read_stored(State& state, bool with_answers) {
  auto inventory = state.load();
  if (!inventory) return tl::unexpected(inventory.error());
  auto intents = state.open_intents();
  if (!intents) return tl::unexpected(intents.error());
  auto requests = state.requests(with_answers);
  if (!requests) return tl::unexpected(requests.error());
  auto config = state.good_config();
  if (!config) return tl::unexpected(config.error());
  return Recorder::Stored{
      std::move(*inventory), std::move(*intents), std::move(*requests), std::move(*config), {}};
}

// The timer ends the wait: by its expiry, or because the call's result cancels it.
template <typename Work, typename Result>
Task<Result> Recorder::on_disk(Kind kind, SteadyClock::duration limit, Work work,
                               std::function<void(Result)> late) {
  if (hangs_since_) co_return tl::unexpected(no_answer(state_dir_, SteadyClock::now() - *hangs_since_));
  const auto home = co_await asio::this_coro::executor;
  asio::steady_timer waiter(home, limit);
  auto call = std::make_shared<Call<Result>>();
  call->waiter = &waiter;
  asio::post(disk_, [this, kind, home, call, work = std::move(work), late = std::move(late)]() mutable {
    Result result = work();
    asio::post(home, [this, kind, call, late = std::move(late), result = std::move(result)]() mutable {
      if (kind == Kind::kCommit) note_commit(result ? std::string() : result.error());
      if (call->waiter == nullptr) {
        landed();
        return late(std::move(result));
      }
      call->result.emplace(std::move(result));
      call->waiter->cancel();
    });
  });
  boost::system::error_code cancelled;
  co_await waiter.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  call->waiter = nullptr;
  if (call->result) co_return std::move(*call->result);
  give_up(limit);
  co_return tl::unexpected(no_answer(state_dir_, limit));
}

void Recorder::give_up(SteadyClock::duration after) {
  ++given_up_;
  if (!hangs_since_) hangs_since_ = SteadyClock::now() - after;
}

void Recorder::landed() {
  if (--given_up_ == 0) hangs_since_.reset();
}

void Recorder::note_commit(const std::string& failure) {
  if (commit_failure_.empty() && !failure.empty()) spdlog::error("the disk took no commit: {}", failure);
  if (!commit_failure_.empty() && failure.empty()) spdlog::warn("the disk takes commits again");
  commit_failure_ = failure;
}

template <typename Work, typename Result>
Task<Result> Recorder::within(Kind kind, SteadyClock::duration limit, Work work,
                              std::function<void(Result)> late) {
  if (!open_) co_return tl::unexpected(why_closed_);
  auto on_state = [this, work = std::move(work)]() mutable -> Result { return work(*state_); };
  co_return co_await on_disk<decltype(on_state), Result>(kind, limit, std::move(on_state), std::move(late));
}

State::Done Recorder::lock_on_disk() {
  if (lock_ || role_ == Role::kReader) return {};
  if (State::Done made = State::make_directory(state_dir_); !made) return made;
  auto lock = ProcessLock::acquire(lock_path_in(state_dir_));
  if (!lock) return tl::unexpected(std::move(lock.error()));
  lock_.emplace(std::move(*lock));
  return {};
}

Recorder::Opening Recorder::open_on_disk(IfClosed if_closed) {
  const State::Done locked = lock_on_disk();
  if (!locked && ProcessLock::is_held(lock_path_in(state_dir_))) {
    std::string why = "another teald already uses this state directory: " + locked.error();
    return {tl::unexpected(why), why, true};
  }
  tl::expected<State, std::string> opened = tl::unexpected(locked ? std::string() : locked.error());
  if (locked) opened = State::open(state_dir_);
  if (opened) {
    Recorded<Stored> stored = read_stored(*opened);
    if (stored) state_.emplace(std::move(*opened));
    return {stored, stored ? "" : stored.error()};
  }
  if (if_closed == IfClosed::kFail) return {tl::unexpected(opened.error()), opened.error()};
  auto readable = State::open_to_read(state_dir_);
  if (!readable) return {tl::unexpected(opened.error()), opened.error()};
  return {read_stored(*readable), opened.error()};
}

Recorder::Recorded<Recorder::Stored> Recorder::took(Opening opening) {
  why_closed_ = std::move(opening.why_closed);
  open_ = why_closed_.empty();
  held_ = opening.held;
  return std::move(opening.stored);
}

Recorder::Recorded<Recorder::Stored> Recorder::open() {
  auto opening = std::make_shared<std::promise<Opening>>();
  std::future<Opening> opened = opening->get_future();
  asio::post(disk_, [this, opening] { opening->set_value(open_on_disk(IfClosed::kRead)); });
  if (opened.wait_for(limits_.query) == std::future_status::ready) return took(opened.get());
  opening_ = std::move(opened);
  give_up(limits_.query);
  why_closed_ = no_answer(state_dir_, limits_.query);
  return tl::unexpected(why_closed_);
}

Task<Recorder::Recorded<void>> Recorder::reopen() {
  if (opening_.valid() && opening_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    reopened_ = opening_.get();
    landed();
  }
  if (reopened_) co_return Recorded<void>();
  auto work = [this]() -> Recorded<Opening> { return open_on_disk(IfClosed::kFail); };
  std::function<void(Recorded<Opening>)> late = [this](Recorded<Opening> opening) {
    if (opening) reopened_ = std::move(*opening);
  };
  auto opening = co_await on_disk<decltype(work), Recorded<Opening>>(Kind::kRead, limits_.query,
                                                                     std::move(work), std::move(late));
  if (!opening) co_return tl::unexpected(opening.error());
  reopened_ = std::move(*opening);
  co_return Recorded<void>();
}

Recorder::Recorded<Recorder::Stored> Recorder::take_over() {
  if (!reopened_) return tl::unexpected(why_closed_);
  Recorded<Stored> stored = took(std::move(*std::exchange(reopened_, std::nullopt)));
  if (!open_) return tl::unexpected(why_closed_);
  return stored;
}

void Recorder::close(std::string why) {
  open_ = false;
  why_closed_ = std::move(why);
}

std::string Recorder::trouble() const {
  if (hangs_since_) return no_answer(state_dir_, SteadyClock::now() - *hangs_since_);
  return open_ ? commit_failure_ : why_closed_;
}

Task<Recorder::Recorded<int64_t>> Recorder::intend(Intent intent, std::shared_ptr<const Inventory> whole,
                                                   std::function<void(Recorded<int64_t>)> late) {
  auto work = [intent = std::move(intent), whole = std::move(whole)](State& state) {
    return state.intend(intent, whole.get());
  };
  co_return co_await within(Kind::kCommit, limits_.commit, std::move(work), std::move(late));
}

Task<Recorder::Recorded<std::vector<int64_t>>> Recorder::record(
    std::shared_ptr<const std::vector<Unrecorded>> changes,
    std::function<void(Recorded<std::vector<int64_t>>)> late) {
  auto work = [changes = std::move(changes)](State& state) { return state.record(*changes); };
  co_return co_await within(Kind::kCommit, limits_.commit, std::move(work), std::move(late));
}

Task<State::Done> Recorder::probe() {
  if (commit_failure_.empty()) co_return State::Done();
  auto work = [](State& state) { return state.probe(); };
  co_return co_await within(Kind::kCommit, limits_.commit, std::move(work));
}

Task<State::Done> Recorder::release_reserve() {
  auto work = [](State& state) { return state.release_reserve(); };
  co_return co_await within(Kind::kCommit, limits_.commit, std::move(work));
}

Task<State::Done> Recorder::name_actor(int64_t intent, std::string user) {
  auto work = [intent, user = std::move(user)](State& state) { return state.name_actor(intent, user); };
  co_return co_await within(Kind::kCommit, limits_.commit, std::move(work));
}

Task<State::Done> Recorder::remember(CarriedOut request, int64_t at_ms) {
  auto work = [request = std::move(request), at_ms](State& state) { return state.remember(request, at_ms); };
  co_return co_await within(Kind::kCommit, limits_.commit, std::move(work));
}

Task<Recorder::Recorded<std::optional<std::string>>> Recorder::answer(std::string request) {
  auto work = [request = std::move(request)](State& state) { return state.answer(request); };
  co_return co_await within(Kind::kRead, limits_.query, std::move(work));
}

Task<State::Done> Recorder::forget_old(int64_t now_ms) {
  auto work = [now_ms](State& state) { return state.forget_old(now_ms, State::KeptChanges()); };
  co_return co_await within(Kind::kCommit, limits_.query, std::move(work));
}

Task<Recorder::Recorded<std::vector<HistoryRow>>> Recorder::history(HistoryQuery query) {
  auto work = [query = std::move(query)](State& state) { return state.history(query); };
  co_return co_await within(Kind::kRead, limits_.query, std::move(work));
}

Task<Recorder::Recorded<std::vector<HistoryRow>>> Recorder::changes_after(int64_t id, uint32_t limit) {
  auto work = [id, limit](State& state) { return state.changes_after(id, limit); };
  co_return co_await within(Kind::kRead, limits_.query, std::move(work));
}

Task<Recorder::Recorded<HookMemory>> Recorder::hook_memory() {
  auto work = [](State& state) { return state.hook_memory(); };
  co_return co_await within(Kind::kRead, limits_.query, std::move(work));
}

Task<State::Done> Recorder::keep(HookMemory memory) {
  auto work = [memory = std::move(memory)](State& state) { return state.keep(memory); };
  co_return co_await within(Kind::kCommit, limits_.commit, std::move(work));
}

Task<Recorder::Recorded<int64_t>> Recorder::latest_change(uint64_t generation) {
  auto work = [generation](State& state) { return state.latest_change(generation); };
  co_return co_await within(Kind::kRead, limits_.query, std::move(work));
}

Task<Recorder::Recorded<std::optional<int64_t>>> Recorder::superseded_at_ms(uint64_t generation) {
  auto work = [generation](State& state) { return state.superseded_at_ms(generation); };
  co_return co_await within(Kind::kRead, limits_.query, std::move(work));
}

Task<Recorder::Recorded<std::optional<std::vector<std::string>>>> Recorder::flips_since(uint64_t generation) {
  auto work = [generation](State& state) -> Recorded<std::optional<std::vector<std::string>>> {
    const auto known = state.knows_generation(generation);
    if (!known) return tl::unexpected(known.error());
    if (!*known) return std::nullopt;
    const auto rows = state.published_since(generation);
    if (!rows) return tl::unexpected(rows.error());
    std::vector<std::string> flips;
    for (const HistoryRow& row : *rows) flips.push_back(row.changes);
    return flips;
  };
  co_return co_await within(Kind::kRead, limits_.query, std::move(work));
}

}  // namespace teal
