// SPDX-License-Identifier: Apache-2.0
//
// Readers of status.sock beside operators on control.sock.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "control/api/resources/lane.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/state/databases.h"

namespace teal {
namespace {

// Clients of status.sock who ask for the same again and again.
class Readers {
 public:
  Readers(const DaemonHome& home, const std::string& target, int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, socket = home.run_dir() + "/status.sock", target] {
        while (!ended_)
          if (call(socket, "GET", target).status != 0) ++answered_;
      });
    }
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;
  ~Readers() {
    ended_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  int answered() const { return answered_; }

 private:
  std::atomic<bool> ended_{false};
  std::atomic<int> answered_{0};
  std::vector<std::thread> threads_;
};

class LaneTest : public testing::Test {
 protected:
  // A read of the history of "nobody" looks at 7,500,000 JSON values, which takes about half a second.
  void fill_history() {
    run_sql(home.dir().file("state/teal.db"),
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) "
            "INSERT INTO history (at_ms, generation, event, verb, changes) SELECT 1, 0, 'intended', 'flip', "
            "'[\"nobody\"' || replace(hex(zeroblob(30000)), '00', ',1') || ']' FROM n");
  }

  DaemonHome home;
  RunningDaemon daemon{home};
};

TEST_F(LaneTest, ReadersOnStatusSockDoNotHoldUpAnOperator) {
  fill_history();
  Readers readers(home, "/v1/history?service=nobody", 8);
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return readers.answered() != 0; }, std::chrono::seconds(30)));
  const int before = readers.answered();
  EXPECT_EQ(home.get("/v1/services").status, 200u);
  EXPECT_LT(readers.answered() - before, 4) << "the operator's status came after theirs";
  const ApiReply flip = home.flip("service-a", "green");
  EXPECT_EQ(flip.status, 200u) << flip.body;
  EXPECT_EQ(flip.body["recorded"], true);
}

// One event loop serves all sockets. Each of the changes' steps waits for a round of the loop.
TEST_F(LaneTest, ARoundOfTheLoopMakesAFewShortReadsOnly) {
  asio::io_context io{1};
  asio::thread_pool disk{1};
  const Recorder recorder(home.dir().file("state"), disk);
  Lane lane(recorder, home.dir().file("state"), {});
  int made = 0, most = 0;
  const auto read = [&]() -> Task<void> {
    const Semaphore::Permit place = co_await lane.enter(false);
    ++made;
  };
  const auto change = [&]() -> Task<void> {
    while (made < 128) {
      const int before = made;
      co_await yield_to_loop();
      most = std::max(most, made - before);
    }
  };
  asio::co_spawn(io, change(), asio::detached);  // before the reads: it sees their first round
  for (int i = 0; i < 128; ++i) asio::co_spawn(io, read(), asio::detached);
  io.run();
  EXPECT_EQ(made, 128);
  EXPECT_LE(most, 4);
  lane.history.join();
  disk.join();
}

}  // namespace
}  // namespace teal
