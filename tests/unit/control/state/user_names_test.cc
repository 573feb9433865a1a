// SPDX-License-Identifier: Apache-2.0
//
// A name service that hangs, or answers late, holds up nothing but the name.
#include "control/state/user_names.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

// Each lookup waits until the test lets it go on.
class HangingNames {
 public:
  std::string operator()(uint32_t) {
    ++asked_;
    std::unique_lock hold(mutex_);
    answers_.wait(hold, [&] { return !name_.empty(); });
    return name_;
  }
  void answer(const std::string& name) {
    const std::lock_guard hold(mutex_);
    name_ = name;
    answers_.notify_all();
  }
  int asked() const { return asked_; }

 private:
  std::atomic<int> asked_{0};
  std::mutex mutex_;
  std::condition_variable answers_;
  std::string name_;
};

class UserNamesTest : public testing::Test {
 protected:
  UserNamesTest() {
    std::filesystem::create_directories(home.run_dir());
    home.name_users_with([this](uint32_t uid) { return names(uid); });
  }
  // A teald that ends while a lookup hangs ends this process, too.
  void TearDown() override {
    names.answer("late");
    daemon.reset();
  }
  // Returns the user of the latest change.
  std::string user() {
    const nlohmann::json page = home.get("/v1/history?limit=1").body;
    return page["changes"][0]["user"].is_null() ? "" : page["changes"][0]["user"];
  }
  bool is_asked(int times = 1) {
    return FakeDataplane::wait_for([&] { return names.asked() >= times; });
  }

  HangingNames names;
  DaemonHome home;
  std::optional<RunningDaemon> daemon;
};

TEST_F(UserNamesTest, AHangingNameServiceHoldsUpNoChangeAndALateNameComesIntoTheHistory) {
  const FakeDataplane dataplane(home.run_dir());
  daemon.emplace(home);
  const auto asked = std::chrono::steady_clock::now();
  const ApiReply flip = home.flip("service-a", "green");
  EXPECT_EQ(flip.status, 200u);
  EXPECT_EQ(flip.body["recorded"], true) << "the commit does not wait, either";
  ASSERT_TRUE(is_asked());
  EXPECT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  EXPECT_EQ(home.post("/v1/unlock", "{}").status, 200u);
  EXPECT_EQ(home.post("/v1/rollback", R"({"services":["service-a"]})").status, 200u);
  EXPECT_EQ(home.flip("nope", "green").status, 404u);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, 4s) << "no lookup has ended by then";
  EXPECT_EQ(user(), "");
  names.answer("alice");
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return user() == "alice"; }));
  const nlohmann::json changes = home.get("/v1/history?limit=4").body["changes"];
  EXPECT_TRUE(FakeDataplane::wait_for([&] {
    const nlohmann::json rows = home.get("/v1/history?limit=4").body["changes"];
    return std::all_of(rows.begin(), rows.end(),
                       [](const nlohmann::json& row) { return row["user"] == "alice"; });
  })) << changes;
}

TEST_F(UserNamesTest, AHangingNameServiceHoldsUpNoReload) {
  daemon.emplace(home);
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  ASSERT_TRUE(is_asked());
  std::atomic<unsigned> status{0};
  std::thread asks([&] { status = home.post("/v1/reload", "{}").status; });
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return status != 0; })) << "the reload waits for the name";
  names.answer("alice");
  asks.join();
  EXPECT_EQ(status, 200u);
}

TEST_F(UserNamesTest, AHangingNameServiceHoldsUpNoStop) {
  const auto changes_and_stops = [this] {
    spdlog::set_default_logger(spdlog::stderr_logger_mt("ending"));
    RunningDaemon ending(home);
    (void)home.flip("service-a", "green");
    (void)is_asked();
    (void)ending.stop();
  };
  EXPECT_EXIT(changes_and_stops(), testing::ExitedWithCode(0), "ending without the name service");
}

// Otherwise each change would queue one more lookup.
TEST_F(UserNamesTest, AUserIsLookedUpOnceAtATime) {
  daemon.emplace(home);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(home.flip("service-a", i % 2 == 0 ? "green" : "blue").status, 200u);
  ASSERT_TRUE(is_asked());
  names.answer("alice");
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return user() == "alice"; }));
  EXPECT_EQ(names.asked(), 1);
}

}  // namespace
}  // namespace teal
