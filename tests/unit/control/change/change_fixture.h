// SPDX-License-Identifier: Apache-2.0
//
// teald's changes without a daemon: one thread, a clock that the tests set, and workers that adopt only when
// a test, or a sleep of the code under test, steps them.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "control/change/recovery.h"
#include "control/change/upkeep.h"
#include "control/change/verbs.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/stepped_clock.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {

// A dataplane whose workers do nothing by themselves.
class SteppedDataplane {
 public:
  explicit SteppedDataplane(const std::string& run_dir, uint32_t workers = 1);
  ~SteppedDataplane();

  // Each worker loads the word and passes a quiescent state. A dead dataplane does nothing.
  void step();
  // Ends as after SIGKILL: the workers stay registered as readers.
  void die();

  FakeDataplane& operator*() { return dataplane_; }
  FakeDataplane* operator->() { return &dataplane_; }
  uint64_t acknowledged() { return dataplane_.segment().header().acknowledged; }

 private:
  // A reader whose destructor does not run when the dataplane dies.
  struct Reader {
    alignas(PublicationReader) std::byte bytes[sizeof(PublicationReader)];
    PublicationReader* reader = nullptr;
  };

  FakeDataplane dataplane_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

// The parts of a teald, as a start makes them.
struct Teald {
  Teald(const std::string& run_dir, const std::string& state_dir, const std::string& config_path,
        const Clock& clock, Recorder::Limits limits, const std::function<void(const ToldEvent&)>& listener);
  ~Teald() {
    disk.join();
    lookups.join();
    files.join();
  }

  template <typename T>
  T run(Task<T> task) {
    std::optional<T> result;
    const auto keep = [](Task<T> work, std::optional<T>& kept) -> Task<void> {
      kept.emplace(co_await std::move(work));
    };
    run(keep(std::move(task), result));
    return std::move(*result);
  }
  void run(Task<void> task);

  // A second connection, for the tests to look into the database.
  State& state();
  const std::string state_dir;
  std::optional<State> looked_into;
  Publisher publisher;
  asio::thread_pool disk{1}, lookups{1}, files{1};
  Recorder recorder;
  Journal journal{recorder};
  UserNames users{lookups};
  Events events;
  Steering steering;
  HopStates hop_states;  // empty: nothing is known about any backend
  HealthBoard health;    // the same
  // What the counters of each service, by id, show in each colour; a test counts.
  std::map<uint16_t, std::array<TrialCells, kColours>> counted;
  AnswerTimes answer_times{};                      // of all services in both colours
  std::optional<FlipJudge::OldColour> old_colour;  // what a check of the old colour says; nothing: no check
  Trials trials;
  ChangeExecutor executor;
  Upkeep upkeep;
  Verbs verbs;
  asio::io_context io{1};
};

class ChangeFixture : public testing::Test {
 protected:
  using Result = ChangeExecutor::Result;

  ChangeFixture();

  void start_dataplane(uint32_t workers = 1);
  void lose_segment();                                              // the file; who has mapped it keeps it
  void start_teald();                                               // in place of the one that there is
  void write_with(const std::string& from, const std::string& to);  // kShopToml with this replacement
  void write_without_service_c();

  Upkeep::Followed follow() { return teald->run(teald->upkeep.follow_segment()); }
  void tidy() { teald->run(teald->upkeep.tidy()); }
  Result flip(const std::string& service, Colour to, ChangeOptions options = {});
  Result rollback(const std::string& service, ChangeOptions options = {});
  Result set_backend(const std::string& address, AdminState state, ChangeOptions options = {});
  Result set_drain(std::chrono::milliseconds timeout, DrainConfig::Then then, ChangeOptions options = {});
  Result reload(ChangeOptions options = {}) { return teald->run(teald->verbs.reload(std::move(options))); }
  Result lock(ChangeOptions options = {}) { return teald->run(teald->verbs.lock(std::move(options))); }
  Result unlock(ChangeOptions options = {}) { return teald->run(teald->verbs.unlock(std::move(options))); }

  void break_disk();
  void repair_disk();
  void set_flows(uint16_t backend, Colour colour, uint32_t flows);

  // The types of the events since the last call: "intended published adopted done".
  std::string take_events();
  // Field of the latest event with this field, as JSON text.
  std::string told(const std::string& field) const;
  HistoryRow latest() { return teald->state().history({.service = {}, .limit = 1, .before = {}})->front(); }
  const ServiceState& service(const std::string& name) {
    return *teald->executor.catalogue().inventory().service(name);
  }

  const TempDir dir;
  SteppedClock clock;
  Recorder::Limits limits;  // of the next teald
  std::optional<SteppedDataplane> dataplane;
  std::optional<Teald> teald;
  std::function<void(const std::string& type)> on_event = [](const std::string&) {};

 private:
  std::vector<ToldEvent> events_;
  size_t taken_ = 0;
};

}  // namespace teal
