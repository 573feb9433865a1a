// SPDX-License-Identifier: Apache-2.0
//
// A probe with an injected clock and checks that a test answers.
#include "control/prober/probe.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/unit/control/prober/backends.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

// Time passes in waits only.
class ProbeClock : public Clock {
 public:
  Time now() const override { return now_; }
  int64_t wall_ms() const override { return 1'700'000'000'000 + (now_ - Time()) / 1ms; }
  Task<void> wait(asio::steady_timer&, Time until) const override {
    now_ = std::max(now_, until);
    co_await yield_to_loop();
  }
  void pass(Time::duration span) const { now_ += span; }

 private:
  mutable Time now_ = Time(std::chrono::hours(1));
};

class ProbeTest : public testing::Test {
 protected:
  // Runs checks with these results, then stops: '+', '-', or '.' and ' ' for checks that were not made.
  void run(const std::string& results, CheckOrder order, bool hurries = false) {
    probe = std::make_shared<Probe>(std::move(order), means, io.get_executor());
    probe->report_as(1);
    wanted = results;
    probe->start();
    if (hurries) probe->hurry();
    io.run();
    io.restart();
  }
  std::string told() const {
    std::string lines;
    for (const HealthReport& report : reports)
      lines += std::string(report.up ? "up" : "down") + (report.passed ? " passed " : " failed ") +
               report.reason + "\n";
    return lines;
  }
  static CheckOrder order(std::optional<bool> known = {}) {
    CheckOrder order = order_of(CheckKind::kTcp, "198.18.2.11:8080");
    order.up = known;
    return order;
  }

  asio::io_context io{1};
  ProbeClock clock;
  std::string wanted;
  size_t made = 0;
  std::vector<Clock::Time> begun;
  std::vector<HealthReport> reports;
  Clock::Time::duration check_takes{0}, failure_takes{0};
  double random = 0.5;
  std::string reason = "connection refused";
  Probe::Means means{.clock = clock,
                     .check = [this](const CheckOrder&) -> Task<CheckResult> {
                       begun.push_back(clock.now());
                       const char result = made < wanted.size() ? wanted[made] : ' ';
                       clock.pass(result == '-' ? failure_takes : check_takes);
                       if (++made >= wanted.size()) asio::post(io, [this] { probe->stop(); });
                       if (result == '-') co_return CheckResult::failed(reason);
                       if (result == '.' || result == ' ')
                         co_return CheckResult::not_made("no file descriptor");
                       co_return CheckResult();
                     },
                     .report = [this](const HealthReport& report) { reports.push_back(report); },
                     .random = [this] { return random; }};
  std::shared_ptr<Probe> probe;
};

TEST_F(ProbeTest, ReportsTurnsWithTheirReasons) {
  run("+---++ ", order());
  EXPECT_EQ(told(),
            "up passed \n"
            "up failed connection refused\n"
            "down failed connection refused\n"
            "down passed connection refused\n"
            "up passed \n");
  EXPECT_EQ(reports[2].at_ms - reports[0].at_ms, 3000) << "since when it is down";
  EXPECT_EQ(reports[3].at_ms, reports[2].at_ms);
  EXPECT_EQ(reports[0].backend, 7u);
  EXPECT_EQ(reports[0].revision, 1u);
}

TEST_F(ProbeTest, NothingIsReportedBeforeAnythingIsKnown) {
  run("-- ", order());
  EXPECT_EQ(told(), "");
}

TEST_F(ProbeTest, ABackendThatWasDownNeedsItsRiseAlsoForANewProber) {
  run("+ ", order(false));
  EXPECT_EQ(told(), "down passed \n");
  reports.clear();
  made = 0;
  run("++ ", order(false));
  EXPECT_EQ(told(), "down passed \nup passed \n");
}

TEST_F(ProbeTest, AProbeThatIsHurriedAtItsStartDoesNotWait) {
  const Clock::Time now = clock.now();
  run("+ ", order(), true);
  ASSERT_FALSE(begun.empty());
  EXPECT_EQ(begun[0], now);
}

TEST_F(ProbeTest, AHeldBackendSaysSo) {
  run("---++---++ ", order(true));
  EXPECT_NE(told().find("down passed passes its checks, and is held down for 5s: it has gone down 2 times\n"),
            std::string::npos)
      << told();
}

TEST_F(ProbeTest, AReasonIsReportedAtMostOnceASecond) {
  CheckOrder often = order();
  often.check.interval = 100ms;
  often.check.fall = 100;
  run("+" + std::string(20, '-') + " ", often);
  EXPECT_EQ(reports.size(), 2u) << told();
  EXPECT_GE(reports.size(), 2u);
  reports.clear();
  made = 0;
  run("+-+-+-+-+-+-+-+-+-+-+-+- ", often);
  EXPECT_LE(reports.size(), 4u) << "2.4 s of flapping checks";
}

TEST_F(ProbeTest, AnotherListIsAnsweredWithEverythingAgain) {
  run("+---", order());
  reports.clear();
  probe->report_as(2);
  EXPECT_EQ(told(), "down failed connection refused\n");
  EXPECT_EQ(reports.front().revision, 2u);
}

TEST_F(ProbeTest, ACheckThatWasNotMadeChangesNothing) {
  run("+--.-. ", order());
  EXPECT_TRUE(probe->state().up() == false) << "three failures in a row";
  made = 0;
  run("+...... ", order());
  EXPECT_TRUE(probe->state().up() == true);
}

TEST_F(ProbeTest, ChecksThatAreNotMadeFillNoLog) {
  run(std::string(25, '.') + "+", order());
  EXPECT_EQ(means.unlogged, 4u) << "25 s: warnings after 0, 10 and 20 s";
}

TEST_F(ProbeTest, ChecksBeginAnIntervalApartWithJitter) {
  for (const double at : {0.0, 0.5, 1.0}) {
    random = at;
    made = 0;
    begun.clear();
    run("+++", order());
    const auto first = begun[1] - begun[0];
    EXPECT_EQ(first / 1ms, 1000 * (0.95 + 0.1 * at)) << at;
    EXPECT_EQ(begun[2] - begun[1], first);
  }
}

TEST_F(ProbeTest, ASlowCheckDelaysTheNextAndOverlapsNone) {
  check_takes = 2500ms;
  run("+++", order());
  EXPECT_EQ(begun[1] - begun[0], 2500ms);
  EXPECT_EQ(begun[2] - begun[1], 2500ms);
}

// The backend stops right after a check. With the defaults and the longest jitter it is down 4.15 s later.
TEST_F(ProbeTest, ABackendThatHangsIsDownWithin4Point5Seconds) {
  random = 1.0;
  failure_takes = 1000ms;
  run("+--- ", order());
  ASSERT_EQ(reports.size(), 3u) << told();
  ASSERT_FALSE(reports.back().up);
  EXPECT_EQ(reports.back().at_ms - reports.front().at_ms, 4150);
}

}  // namespace
}  // namespace teal
