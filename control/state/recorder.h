// SPDX-License-Identifier: Apache-2.0
//
// The event loop's access to the database (state.h). Each call runs on the disk's thread, so a slow disk
// delays only the change that waits for the disk.
//
// A disk may also hang. So each call has a time limit. A call that exceeds it fails, and until it returns
// every other call fails at once.
//
// Two teald must not use one database. So the disk's thread takes STATE_DIR/daemon.lock before it reads the
// database, and the lock is held until the Recorder ends. A reader beside another Recorder takes no lock.
// Where the lock file can be neither opened nor created (a disk that is read-only or full), the database is
// read, and takes no writes.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "control/loop/coroutine.h"
#include "control/state/state.h"
#include "dataplane/shm/process_lock.h"

namespace teal {

class Recorder {
 public:
  template <typename T>
  using Recorded = tl::expected<T, std::string>;

  struct Limits {
    std::chrono::steady_clock::duration commit = std::chrono::seconds(1);
    std::chrono::steady_clock::duration query = std::chrono::seconds(5);
  };

  // The part of the database that a start reads.
  struct Stored {
    Inventory inventory;
    std::vector<OpenIntent> intents;
    std::vector<KnownRequest> requests;
    std::optional<std::string> config;  // the text of the latest one that was in force
    std::vector<Intent> unrecorded;     // changes that are in force, and that the database lacks
  };

  // The pool has one thread. It must be joined before the io_context of the callers is destroyed.
  Recorder(std::string state_dir, asio::thread_pool& disk) : Recorder(std::move(state_dir), disk, Limits()) {}
  enum class Role { kOwner, kReader };
  Recorder(std::string state_dir, asio::thread_pool& disk, Limits limits, Role role = Role::kOwner)
      : state_dir_(std::move(state_dir)), disk_(disk), limits_(limits), role_(role) {}

  void set_limits(Limits limits) { limits_ = limits; }  // of the calls from now on

  // Opens the database and reads it, for a start: blocks the caller, at most for the query's time limit. The
  // result may be readable without being open: then the disk takes no writes. Until it is open, every call
  // but reopen() fails.
  Recorded<Stored> open();
  // The same in two parts, for a coroutine. After a successful reopen(), calls still fail until take_over(),
  // which succeeds only if the database is open then. An opening that comes after its time limit is the
  // result of the next reopen().
  Task<Recorded<void>> reopen();
  Recorded<Stored> take_over();
  // The state that was taken over cannot be used: calls fail again until the next reopen() and take_over().
  void close(std::string why);
  bool is_open() const { return open_; }
  // Returns whether another process holds the state directory. why_closed() names both.
  bool is_held() const { return held_; }
  const std::string& why_closed() const { return why_closed_; }
  // Says why calls fail at present, or why the latest commit failed; "": the disk works, as far as is known.
  std::string trouble() const;
  // Since when a call has not returned. Then the pool cannot be joined.
  std::optional<std::chrono::steady_clock::time_point> hangs_since() const { return hangs_since_; }

  // `late` is called if the call returns after it was given up.
  Task<Recorded<int64_t>> intend(Intent intent, std::shared_ptr<const Inventory> whole,
                                 std::function<void(Recorded<int64_t>)> late);
  Task<Recorded<std::vector<int64_t>>> record(std::shared_ptr<const std::vector<Unrecorded>> changes,
                                              std::function<void(Recorded<std::vector<int64_t>>)> late);
  // If the latest commit has failed: tries a small one, which shows whether the disk works again.
  Task<State::Done> probe();
  Task<State::Done> release_reserve();
  Task<State::Done> name_actor(int64_t intent, std::string user);
  Task<State::Done> forget_old(int64_t now_ms);
  Task<State::Done> remember(CarriedOut request, int64_t at_ms);
  Task<Recorded<std::optional<std::string>>> answer(std::string request);
  Task<Recorded<std::vector<HistoryRow>>> history(HistoryQuery query);
  Task<Recorded<std::vector<HistoryRow>>> changes_after(int64_t id, uint32_t limit);
  Task<Recorded<HookMemory>> hook_memory();
  Task<State::Done> keep(HookMemory memory);
  Task<Recorded<int64_t>> latest_change(uint64_t generation);
  Task<Recorded<std::optional<int64_t>>> superseded_at_ms(uint64_t generation);
  // The changes of the flips and rollbacks since `generation`, newest first, as the history shows them.
  // Nothing: the history has no such generation.
  Task<Recorded<std::optional<std::vector<std::string>>>> flips_since(uint64_t generation);

 private:
  // A disk may be able to read, and take no commits. So only commits show whether the disk works.
  enum class Kind { kRead, kCommit };
  // Calls work(State&) on the disk's thread.
  template <typename Work, typename Result = std::invoke_result_t<Work&, State&>>
  Task<Result> within(
      Kind kind, std::chrono::steady_clock::duration limit, Work work,
      std::function<void(Result)> late = [](Result) {});
  // Calls work() there.
  template <typename Work, typename Result = std::invoke_result_t<Work&>>
  Task<Result> on_disk(Kind kind, std::chrono::steady_clock::duration limit, Work work,
                       std::function<void(Result)> late);
  // Describes an attempt to open the database. `stored` may have been read although it is not open.
  struct Opening {
    Recorded<Stored> stored;
    std::string why_closed;  // "": open
    bool held = false;       // by another process
  };
  enum class IfClosed { kRead, kFail };  // what to do with a database that takes no writes
  Opening open_on_disk(IfClosed if_closed);
  State::Done lock_on_disk();
  Recorded<Stored> took(Opening opening);
  void give_up(std::chrono::steady_clock::duration after);
  void landed();
  void note_commit(const std::string& failure);

  std::string state_dir_;
  asio::thread_pool& disk_;
  Limits limits_;
  const Role role_ = Role::kOwner;
  std::optional<State> state_;       // used on the disk's thread only
  std::optional<ProcessLock> lock_;  // of the state directory; used on the disk's thread only
  bool open_ = false, held_ = false;
  std::string why_closed_ = "it was not opened";
  std::string commit_failure_;  // of the latest commit; "": it succeeded
  size_t given_up_ = 0;         // calls that have not returned
  std::optional<std::chrono::steady_clock::time_point> hangs_since_;
  std::future<Opening> opening_;     // of an open() that was given up
  std::optional<Opening> reopened_;  // for take_over()
};

Recorder::Recorded<Recorder::Stored> read_stored(State& state, bool with_answers = false);

}  // namespace teal
