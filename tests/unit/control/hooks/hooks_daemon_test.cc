// SPDX-License-Identifier: Apache-2.0
//
// Hooks in a whole teald, run by the program teal-health.
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "control/state/state.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class HooksDaemon : public testing::Test {
 protected:
  HooksDaemon() {
    std::filesystem::create_directories(home.run_dir());
    home.write_config(kShopToml);
  }
  ~HooksDaemon() override { end_health(SIGKILL); }

  // Hooks whose command is a line for the shell.
  void write_hooks(const std::vector<std::pair<std::string, std::string>>& hooks,
                   const std::string& timeout = "30s") {
    std::string table;
    for (const auto& [name, line] : hooks)
      table += (table.empty() ? "" : ", ") + name + " = { command = [\"/bin/sh\", \"-c\", '" + line +
               "'], timeout = \"" + timeout + "\" }";
    std::string toml = kShopToml;
    const std::string after = "on_few = \"go\"\n";
    toml.insert(toml.find(after) + after.size(), "hooks = { " + table + " }\n");
    home.write_config(toml);
  }
  // A line for the shell that appends what the hook hears to a file.
  std::string writes(const std::string& name) const { return "cat >> " + home.dir().file(name); }
  std::vector<json> heard(const std::string& name) const {
    std::vector<json> lines;
    std::ifstream file(home.dir().file(name));
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line, nullptr, false));
    return lines;
  }
  bool hears(const std::string& name, size_t count) {
    return FakeDataplane::wait_for([&] { return heard(name).size() >= count; });
  }
  // Passes the pauses between the tries of a hook at 20 times the real speed. A try that has no end within
  // the hook's timeout comes again, so hooks of these tests have one of 10 minutes: 30 s at that speed.
  bool hears_after_pauses(const std::string& name, size_t count) {
    return FakeDataplane::wait_for(
        [&] {
          home.clock().skip(1s);
          std::this_thread::sleep_for(50ms);
          return heard(name).size() >= count;
        },
        30s);
  }
  void start_health() {
    const std::string run_dir =
        home.run_dir();  // the child allocates nothing: another thread may hold that lock
    health = ::fork();
    if (health == 0) {
      ::execl(TEAL_HEALTH, "teal-health", "--run-dir", run_dir.c_str(), "--log-level", "off", nullptr);
      ::_exit(127);
    }
    ASSERT_TRUE(
        FakeDataplane::wait_for([&] { return home.get("/v1/health").body["prober"]["connected"] == true; }));
  }
  void end_health(int signal) {
    if (health <= 0) return;
    ::kill(health, signal);
    ::waitpid(std::exchange(health, -1), nullptr, 0);
  }
  // Waits until the disk has the latest change as delivered.
  bool is_delivered() {
    const int64_t latest = home.get("/v1/history").body["changes"][0]["id"];
    return FakeDataplane::wait_for([&] {
      auto state = State::open(home.dir().file("state"));
      if (!state) return false;
      const auto memory = state->hook_memory();
      return memory && memory->delivered == latest;
    });
  }
  unsigned flip(const std::string& service) { return home.flip(service, "green").status; }
  unsigned roll_back(const std::string& service) {
    return home.post("/v1/rollback", R"({"services":[")" + service + "\"]}").status;
  }

  DaemonHome home;
  pid_t health = -1;
};

TEST_F(HooksDaemon, HooksFollowAReleaseAndItsRollback) {
  write_hooks({{"post_flip", writes("post_flip")},
               {"step", writes("step")},
               {"drained", writes("drained")},
               {"rolled_back", writes("rolled_back")}});
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  start_health();
  const ApiReply flipped =
      home.post("/v1/flip", R"({"services":["service-a"],"to":"green","reason":"release 42"})");
  ASSERT_EQ(flipped.status, 200u) << flipped.body;
  ASSERT_TRUE(hears("post_flip", 1));
  const json told = heard("post_flip")[0];
  EXPECT_EQ(told["hook"], "post_flip");
  EXPECT_EQ(told["generation"], flipped.body["generation"]);
  EXPECT_EQ(told["id"], home.get("/v1/history").body["changes"][0]["id"]);
  EXPECT_EQ(told["reason"], "release 42");
  EXPECT_EQ(told["services"].dump(),
            R"([{"from":"blue","service":"service-a","share":"100%","to":"green"}])");
  ASSERT_TRUE(hears("drained", 1)) << "no flow is left";
  EXPECT_EQ(heard("drained")[0]["id"], told["id"]);
  ASSERT_EQ(roll_back("service-a"), 200u);
  ASSERT_TRUE(hears("rolled_back", 1));
  EXPECT_EQ(heard("rolled_back")[0]["services"][0]["to"], "blue");
  ASSERT_EQ(
      home.post("/v1/ramp", R"({"services":["service-b"],"to":"green","steps":["5%","100%"],"manual":true})")
          .status,
      200u);
  ASSERT_TRUE(hears("step", 1));
  EXPECT_EQ(heard("step")[0]["services"][0]["share"], "5%");
  ASSERT_TRUE(hears("drained", 2)) << "of the rollback";
  EXPECT_EQ(heard("post_flip").size(), 1u);
  EXPECT_EQ(heard("rolled_back").size(), 1u);
}

TEST_F(HooksDaemon, PreFlipRefusesAFlipAndSaysWhy) {
  write_hooks({{"pre_flip", "echo no such release; exit 3"}});
  RunningDaemon daemon(home);
  ApiReply refused = home.flip("service-a", "green");
  EXPECT_EQ(refused.status, 422u);
  EXPECT_EQ(refused.body["error"]["details"][0], "service-a: pre_flip /bin/sh: no teal-health answers");
  start_health();
  refused = home.flip("service-a", "green");
  EXPECT_EQ(refused.status, 422u);
  EXPECT_EQ(refused.body["error"]["code"], "refused");
  EXPECT_EQ(refused.body["error"]["details"][0],
            "service-a: pre_flip /bin/sh: the command ended with exit code 3: no such release");
  const ApiReply forced = home.post("/v1/flip", R"({"services":["service-a"],"to":"green","force":true})");
  EXPECT_EQ(forced.status, 200u);
  EXPECT_EQ(home.get("/v1/history").body["changes"][0]["changes"][0]["forced"],
            json::parse(R"(["pre_flip"])"));
}

TEST_F(HooksDaemon, APreFlipThatHangsIsCutAndDelaysNoRollback) {
  write_hooks({{"pre_flip", "[ -e " + home.dir().file("good") + " ] || { touch " + home.dir().file("hangs") +
                                "; sleep 1000; }"}},
              "2s");
  std::ofstream(home.dir().file("good")) << "";
  RunningDaemon daemon(home);
  start_health();
  ASSERT_EQ(flip("service-b"), 200u);
  std::filesystem::remove(home.dir().file("good"));
  ApiReply refused;
  std::thread flips([&] { refused = home.flip("service-a", "green"); });
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return std::filesystem::exists(home.dir().file("hangs")); }));
  EXPECT_EQ(roll_back("service-b"), 200u);
  EXPECT_EQ(refused.status, 0u) << "the flip still waits";
  flips.join();
  EXPECT_EQ(refused.status, 422u);
  EXPECT_EQ(refused.body["error"]["details"][0],
            "service-a: pre_flip /bin/sh: the command did not end within 2 s");
}

TEST_F(HooksDaemon, AHookRunsAgainIfTealHealthIsKilled) {
  write_hooks({{"post_flip", writes("post_flip") + "; [ -e " + home.dir().file("go") + " ] || sleep 1000"}},
              "10m");
  RunningDaemon daemon(home);
  start_health();
  ASSERT_EQ(flip("service-a"), 200u);
  ASSERT_TRUE(hears("post_flip", 1));
  end_health(SIGKILL);
  std::ofstream(home.dir().file("go")) << "";
  ASSERT_TRUE(
      FakeDataplane::wait_for([&] { return home.get("/v1/health").body["prober"]["connected"] == false; }));
  start_health();
  EXPECT_TRUE(hears_after_pauses("post_flip", 2));
}

TEST_F(HooksDaemon, ARestartOfTealdGoesOnWhereItWas) {
  write_hooks({{"post_flip", writes("post_flip")}});
  {
    RunningDaemon daemon(home);
    start_health();
    ASSERT_EQ(flip("service-a"), 200u);
    ASSERT_TRUE(hears("post_flip", 1));
    ASSERT_TRUE(is_delivered());  // otherwise it runs again
    end_health(SIGTERM);
    ASSERT_TRUE(
        FakeDataplane::wait_for([&] { return home.get("/v1/health").body["prober"]["connected"] == false; }));
    ASSERT_EQ(flip("service-b"), 200u);
  }
  RunningDaemon daemon(home);
  start_health();
  ASSERT_TRUE(hears("post_flip", 2));
  EXPECT_EQ(heard("post_flip").back()["services"][0]["service"], "service-b");
  ASSERT_EQ(flip("service-c"), 200u);
  ASSERT_TRUE(hears("post_flip", 3));
  EXPECT_EQ(heard("post_flip").back()["services"][0]["service"], "service-c");
}

TEST_F(HooksDaemon, OldChangesAreNotToldToNewHooks) {
  RunningDaemon daemon(home);
  start_health();
  ASSERT_EQ(flip("service-a"), 200u);
  write_hooks({{"post_flip", writes("post_flip")}});
  ASSERT_EQ(home.post("/v1/reload", "{}").status, 200u);
  ASSERT_EQ(flip("service-b"), 200u);
  ASSERT_TRUE(hears("post_flip", 1));
  EXPECT_EQ(heard("post_flip")[0]["services"][0]["service"], "service-b");
}

TEST_F(HooksDaemon, AHookThatFailsIsToldAndGivenUp) {
  write_hooks({{"post_flip", writes("post_flip") + "; echo out of order; exit 7"}}, "10m");
  RunningDaemon daemon(home);
  start_health();
  ASSERT_EQ(flip("service-a"), 200u);
  EXPECT_TRUE(hears_after_pauses("post_flip", 3));
  ASSERT_EQ(flip("service-b"), 200u);
  ASSERT_TRUE(hears_after_pauses("post_flip", 4));
  EXPECT_EQ(heard("post_flip")[3]["services"][0]["service"], "service-b") << "the next one";

  const int events = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  home.socket().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::connect(events, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET /v1/events?since=0 HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_EQ(::send(events, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string stream;
  char buffer[4096];
  while (stream.find("\"last\":true") == std::string::npos) {
    const ssize_t got = ::recv(events, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    stream.append(buffer, static_cast<size_t>(got));
  }
  ::close(events);
  EXPECT_NE(stream.find(
                R"("hook":"post_flip","command":"/bin/sh","attempt":3,"last":true,"text":"the command ended )"
                R"(with exit code 7: out of order","count":1,"members":["service-a"])"),
            std::string::npos)
      << stream;
}

}  // namespace
}  // namespace teal
