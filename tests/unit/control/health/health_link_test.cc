// SPDX-License-Identifier: Apache-2.0
//
// The door between teald and teal-health: both of its sides, once with a prober that a test plays and once
// with the program itself, against servers on loopback.
#include "control/health/health_link.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include "control/api/http/listener.h"
#include "tests/unit/control/health/checked_shop.h"
#include "tests/unit/control/health/played_prober.h"
#include "tests/unit/control/prober/backends.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class HealthLinkTest : public testing::Test {
 protected:
  explicit HealthLinkTest(Config config = checked_shop())
      : catalogue(config, renumber({}, config)->inventory), board(clock) {
    board.follow(catalogue);
  }
  void open() {
    listener.emplace(std::move(*Listener::on_path(path(), {.owner = {}, .group = {}, .mode = 0600})));
    link.emplace(io, listener->release_fd(), board, clock, std::vector<uint32_t>{::geteuid()},
                 [this] { ++news; });
  }
  ~HealthLinkTest() override {
    link.reset();
    io.restart();
    io.run_for(100ms);
  }
  std::string path() const { return dir.file("health.sock"); }
  bool comes_true(const std::function<bool()>& condition, std::chrono::seconds at_most = 20s) {
    const auto end = std::chrono::steady_clock::now() + at_most;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io.restart();
      io.run_for(5ms);
    }
    return true;
  }
  // Lines that the prober got.
  bool hears(PlayedProber& prober, std::string& text, const std::string& wanted) {
    return comes_true([&] {
      (void)prober.hear(text);
      return text.find(wanted) != std::string::npos;
    });
  }
  bool loses(PlayedProber& prober, std::string& text) {
    return comes_true([&] { return !prober.hear(text); });
  }
  std::string report(uint16_t backend, bool up) const {
    return line_of(HealthReport{.revision = board.list().revision,
                                .backend = backend,
                                .up = up,
                                .passed = up,
                                .reason = up ? "" : "connection refused"});
  }

  // The real time, and what a test adds.
  struct LinkClock : Clock {
    Time now() const override { return Clock::now() + added; }
    Time::duration added{0};
  };

  const TempDir dir;
  LinkClock clock;
  Catalogue catalogue;
  HealthBoard board;
  asio::io_context io{1};
  std::optional<Listener> listener;
  std::optional<HealthLink> link;
  int news = 0;
};

TEST_F(HealthLinkTest, AProberGetsTheListAndReports) {
  open();
  PlayedProber prober(path());
  std::string heard;
  ASSERT_TRUE(hears(prober, heard, "]}\n"));
  heard.pop_back();
  EXPECT_EQ(std::get<CheckList>(*parse_to_prober(heard)).checks.size(), 5u);
  prober.say(report(0, false) + line_of(ProberAlive()));
  ASSERT_TRUE(comes_true([&] { return board.is_down(0); }));
  EXPECT_EQ(board.of(0)->reason, "connection refused");
  EXPECT_TRUE(board.is_fresh());
  EXPECT_GT(news, 0);
}

TEST_F(HealthLinkTest, AHookIsOrderedAndItsEndIsTold) {
  HookOrder order{.id = 0, .hook = Hook::kPostFlip, .run = {}, .input = "{}"};
  order.run.command = {"/x"};
  std::vector<std::optional<HookDone>> ends;
  const auto told = [&](std::optional<HookDone> done) { ends.push_back(std::move(done)); };
  open();
  EXPECT_FALSE(link->order(order, told)) << "no prober is connected";
  std::optional<PlayedProber> prober(path());
  std::string heard;
  ASSERT_TRUE(hears(*prober, heard, "]}\n"));
  heard.clear();
  ASSERT_TRUE(link->order(order, told));
  ASSERT_TRUE(link->order(order, told));
  ASSERT_TRUE(comes_true([&] {
    (void)prober->hear(heard);
    return std::count(heard.begin(), heard.end(), '\n') == 2;
  }));
  const auto first = std::get<HookOrder>(*parse_to_prober(heard.substr(0, heard.find('\n'))));
  EXPECT_EQ(first.run, order.run);
  prober->say(line_of(HookDone{.id = 1, .passed = true, .reason = ""}));  // of an earlier teald
  prober->say(line_of(HookDone{.id = first.id, .passed = false, .reason = "exit code 3"}));
  prober->say(line_of(HookDone{.id = first.id, .passed = true, .reason = ""}));  // again
  ASSERT_TRUE(comes_true([&] { return !ends.empty(); }));
  clock.added = HealthBoard::kLongestSilence;
  EXPECT_FALSE(link->order(order, told)) << "the prober is silent";
  prober.reset();
  ASSERT_TRUE(comes_true([&] { return ends.size() == 2; }));
  ASSERT_TRUE(ends[0]);
  EXPECT_EQ(ends[0]->reason, "exit code 3");
  EXPECT_FALSE(ends[1]) << "the prober is gone";
}

TEST_F(HealthLinkTest, AChangedListIsSentWhole) {
  open();
  PlayedProber prober(path());
  std::string heard;
  ASSERT_TRUE(hears(prober, heard, "]}\n"));
  Config after = checked_shop();
  after.services[0].check.reset();
  catalogue.replace(after, catalogue.inventory());
  ASSERT_TRUE(board.follow(catalogue));
  link->send_list();
  heard.clear();
  ASSERT_TRUE(hears(prober, heard, "]}\n"));
  heard.pop_back();
  const auto list = std::get<CheckList>(*parse_to_prober(heard));
  EXPECT_EQ(list.revision, 2u);
  EXPECT_EQ(list.checks.size(), 2u);
}

TEST_F(HealthLinkTest, ASecondProberIsRefused) {
  open();
  PlayedProber first(path());
  std::string heard;
  ASSERT_TRUE(hears(first, heard, "]}\n"));
  PlayedProber second(path());
  std::string refusal;
  ASSERT_TRUE(loses(second, refusal));
  EXPECT_EQ(refusal, "{\"type\":\"refused\",\"why\":\"another teal-health is connected\"}\n");
  first.say(report(0, false));
  EXPECT_TRUE(comes_true([&] { return board.is_down(0); })) << "the first one goes on";
}

TEST_F(HealthLinkTest, ASilentProberLosesItsPlaceToAnother) {
  open();
  PlayedProber first(path());
  std::string heard;
  ASSERT_TRUE(hears(first, heard, "]}\n"));
  first.say(report(0, false));
  ASSERT_TRUE(comes_true([&] { return board.is_down(0); }));
  clock.added = 3s;
  EXPECT_FALSE(board.is_fresh());
  PlayedProber second(path());
  std::string also_heard;
  ASSERT_TRUE(hears(second, also_heard, "\"up\":false")) << "it is told what is known";
  EXPECT_TRUE(loses(first, heard));
  EXPECT_TRUE(board.is_fresh());
  EXPECT_TRUE(board.is_down(0));
}

TEST_F(HealthLinkTest, OtherUsersAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  open();
  ASSERT_EQ(::chmod(path().c_str(), 0666), 0);
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  std::string refusal;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    PlayedProber stranger(path());
    if (!stranger.is_connected()) ::_exit(3);
    std::string heard;
    for (int i = 0; i < 1000 && stranger.hear(heard); ++i) ::usleep(5000);
    ::_exit(heard.find("this user may not report health") == std::string::npos ? 1 : 0);
  }
  int status = -1;
  EXPECT_TRUE(comes_true([&] { return ::waitpid(child, &status, WNOHANG) == child; }));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(board.is_connected());
}

TEST_F(HealthLinkTest, GarbageEndsTheConnectionAndKeepsWhatWasKnown) {
  open();
  const std::string lines[] = {"nonsense\n", std::string(5000, 'x'), "{\"type\":\"checks\"}\n",
                               std::string(1, '\0') + "\n"};
  for (const std::string& line : lines) {
    PlayedProber prober(path());
    std::string heard;
    ASSERT_TRUE(hears(prober, heard, "]}\n"));
    prober.say(report(0, false) + line);
    EXPECT_TRUE(loses(prober, heard));
    ASSERT_TRUE(comes_true([&] { return !board.is_connected(); }));
    EXPECT_TRUE(board.is_down(0));
    EXPECT_FALSE(board.is_fresh());
  }
}

TEST_F(HealthLinkTest, AProberThatReadsNothingHoldsUpNothing) {
  open();
  PlayedProber prober(path());
  for (int i = 0; i < 2000; ++i) {
    link->send_list();
    prober.say(report(0, i % 2 == 0));
    io.restart();
    io.run_for(100us);
  }
  prober.say(report(1, false));
  EXPECT_TRUE(comes_true([&] { return board.is_down(1); }));
}

TEST_F(HealthLinkTest, FourThousandReportsASecondAreTaken) {
  open();
  PlayedProber prober(path());
  std::string heard;
  ASSERT_TRUE(hears(prober, heard, "]}\n"));
  std::string lines;
  for (int i = 0; i < 4095; ++i) lines += report(static_cast<uint16_t>(i % 3), i % 2 == 0);
  lines += report(0, false);
  std::thread talker([&] {
    for (size_t at = 0; at < lines.size();) {
      prober.say(std::string_view(lines).substr(at, 4096));
      at += 4096;
      ::usleep(500);
    }
  });
  EXPECT_TRUE(comes_true([&] { return board.take_turns().size() + board.version() > 4000; }));
  talker.join();
}

// --- teal-health itself ---

// Each service has one backend of each colour on loopback.
Config loopback_shop(const std::vector<std::string>& blue) {
  Config config;
  config.path = "teal.toml";
  std::vector<BackendConfig> backends;
  for (const std::string& address : blue) backends.push_back({tcp(address), 1});
  config.services = {service_config("web", "198.18.0.10:80", backends, pool({"127.0.0.1:9"}))};
  config.services[0].check = HealthCheck{.kind = CheckKind::kHttp, .interval = 100ms, .timeout = 300ms};
  return config;
}

class ProberProgram : public HealthLinkTest {
 protected:
  ProberProgram() : HealthLinkTest(loopback_shop({"127.0.0.1:1"})) {}
  ~ProberProgram() override {
    if (prober > 0) end(SIGKILL);
  }
  // In place of the shop that the fixture has.
  void check(Config config) {
    catalogue.replace(config, renumber({}, config)->inventory);
    board.follow(catalogue);
    if (link) link->send_list();
  }
  void start() {
    const std::string log = dir.file("log");
    prober = ::fork();
    if (prober == 0) {
      const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(fd, STDERR_FILENO);
      ::execl(TEAL_HEALTH, "teal-health", "--run-dir", dir.path().c_str(), nullptr);
      ::_exit(127);
    }
  }
  int end(int signal) {
    int status = 0;
    ::kill(prober, signal);
    ::waitpid(std::exchange(prober, -1), &status, 0);
    return status;
  }
  std::string health() const {
    std::string words;
    for (const CheckOrder& order : board.list().checks) {
      if (order.colour != "blue") continue;
      const BackendHealth& known = *board.of(order.backend);
      words += std::string(name_of(known.health)) + (known.reason.empty() ? "" : " " + known.reason) + ";";
    }
    return words;
  }
  pid_t prober = -1;
};

TEST_F(ProberProgram, ChecksReportsAndEndsAtSigterm) {
  TcpBackend good(answers("HTTP/1.1 200 OK\r\n\r\n"));
  TcpBackend bad(answers("HTTP/1.1 503 Sick\r\n\r\n"));
  TcpBackend hangs(nullptr);
  check(loopback_shop({good.address(), bad.address(), hangs.address(), "127.0.0.1:1"}));
  open();
  start();
  EXPECT_TRUE(comes_true([&] {
    return health() ==
           "up;down HTTP 503, expected 200 to 399;down no answer within 300 ms;down connection refused;";
  })) << health();
  EXPECT_TRUE(board.is_fresh());
  const int status = end(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(comes_true([&] { return !board.is_connected(); }));
  EXPECT_TRUE(health().starts_with("up;down HTTP 503")) << "the last known health stays";
}

TEST_F(ProberProgram, WaitsForTealdAndConnectsAgain) {
  TcpBackend good(answers("HTTP/1.1 200 OK\r\n\r\n"));
  check(loopback_shop({good.address()}));
  start();
  ::usleep(300'000);
  open();
  EXPECT_TRUE(comes_true([&] { return health() == "up;"; })) << health();
  link.reset();  // teald ends, and comes back with another list
  listener.reset();
  io.restart();
  io.run_for(50ms);
  check(loopback_shop({good.address(), "127.0.0.1:1"}));
  open();
  EXPECT_TRUE(comes_true([&] { return health() == "up;down connection refused;"; })) << health();
}

TEST_F(ProberProgram, ANewProberTakesUpWhatTealdKnows) {
  std::atomic<bool> is_good = true;
  TcpBackend backend([&](int fd, const TcpBackend&) {
    (void)TcpBackend::request(fd);
    (void)TcpBackend::say(fd, is_good ? "HTTP/1.1 200 OK\r\n\r\n" : "HTTP/1.1 500 X\r\n\r\n");
  });
  check(loopback_shop({backend.address()}));
  open();
  is_good = false;
  start();
  ASSERT_TRUE(comes_true([&] { return health() == "down HTTP 500, expected 200 to 399;"; })) << health();
  EXPECT_EQ(WTERMSIG(end(SIGKILL)), SIGKILL);
  ASSERT_TRUE(comes_true([&] { return !board.is_connected(); }));
  EXPECT_EQ(health(), "down HTTP 500, expected 200 to 399;");
  is_good = true;
  start();
  EXPECT_TRUE(comes_true([&] { return health() == "up;"; })) << health();
}

}  // namespace
}  // namespace teal
