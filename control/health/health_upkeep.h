// SPDX-License-Identifier: Apache-2.0
//
// Does what follows from the board: gives the prober its list, writes the words for the workers, tells
// events, and keeps RUN_DIR/health.json. News are handled at once, then at most every kEvery: 4,096 backends
// that flap cost no more than a few.
#pragma once

#include <functional>
#include <string>

#include "control/health/health_board.h"
#include "control/health/health_policy.h"
#include "control/loop/coroutine.h"
#include "control/loop/events.h"

namespace teal {

class HealthUpkeep {
 public:
  static constexpr std::chrono::milliseconds kEvery{100};
  static constexpr std::chrono::milliseconds kLookEvery{1000};  // at a prober that may have become silent
  // The time of the latest report in the file is at most this old, and exact once the prober is silent.
  static constexpr std::chrono::milliseconds kKeepEvery{10'000};

  struct Means {
    std::function<const Catalogue&()> catalogue;
    std::function<void()> send_list;                  // the list of checks has changed
    std::function<void(const HealthWords&)> publish;  // to be called again for a new segment
  };

  // Everything that is passed by reference, and what `means` refers to, outlives the io_context of run().
  HealthUpkeep(HealthBoard& board, Events& events, const Clock& clock, std::string run_dir)
      : board_(board), events_(events), clock_(clock), run_dir_(std::move(run_dir)) {}

  // Runs for ever.
  Task<void> run(Means means);

  // There is something to do: reports, or a new segment.
  void has_news() {
    is_due_ = true;
    if (wake_ != nullptr) wake_->cancel();
  }
  // Checks, backends, weights or admin states may have changed.
  void has_new_catalogue() {
    catalogue_is_due_ = true;
    has_news();
  }
  const HealthWords& words() const { return words_; }

  // To be called before the io_context of run() is destroyed.
  void join() {
    wake_ = nullptr;
    disk_.join();
  }

 private:
  void act(const Means& means);
  void tell_turns();
  void tell_ejections();
  void tell_modes(const Catalogue& catalogue, const HealthWords& next);
  void tell_prober();
  bool file_is_out_of_date() const;
  Task<void> keep();

  HealthBoard& board_;
  Events& events_;
  const Clock& clock_;
  const std::string run_dir_;
  HealthWords words_;
  bool is_due_ = true, catalogue_is_due_ = true;
  bool was_fresh_ = false;
  std::optional<uint64_t> kept_version_ = 0;
  int64_t kept_heard_ms_ = 0;
  bool is_keeping_ = false;  // a write of the file is under way
  std::string file_problem_;
  asio::steady_timer* wake_ = nullptr;
  asio::thread_pool disk_{1};
};

}  // namespace teal
