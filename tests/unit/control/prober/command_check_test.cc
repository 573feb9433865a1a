// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fcntl.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "control/prober/command.h"
#include "tests/unit/control/prober/backends.h"
#include "tests/unit/control/prober/run_check.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

CheckOrder shell(const std::string& script, std::chrono::milliseconds timeout = 10s) {
  CheckOrder order = order_of(CheckKind::kCommand, "198.18.2.11:8080", timeout);
  order.check.command = {"/bin/sh", "-c", script};
  return order;
}

class CommandCheck : public testing::Test {
 protected:
  void SetUp() override { Command::adopt_orphans(); }
  // A command and each of its children write their pid there.
  std::vector<pid_t> pids() const {
    std::vector<pid_t> found;
    std::ifstream list(file());
    for (pid_t pid = 0; list >> pid;) found.push_back(pid);
    return found;
  }
  std::string file() const { return directory.path() + "/pids"; }
  // Gives orphans that were killed a moment to end, as the prober does each second.
  static bool ends(pid_t pid) {
    for (int tries = 0; tries < 500; ++tries) {
      Command::end_orphans();
      if (::kill(pid, 0) != 0) return true;
      ::usleep(10'000);
    }
    return false;
  }

  TempDir directory;
};

struct CommandCase {
  const char* name;
  const char* script;
  CheckResult result;
};
class CommandResult : public testing::TestWithParam<CommandCase> {};

TEST_P(CommandResult, ComesFromItsExitCodeAndItsLastLine) {
  EXPECT_EQ(run_check(shell(GetParam().script)), GetParam().result);
}

const CommandCase kCommandCases[] = {
    {"Good", "echo fine; exit 0", kPassed},
    {"BadWithReason", "echo one; echo 'the queue is full' >&2; exit 1", failed("the queue is full")},
    {"ReasonWithoutLineEnd", "printf 'no disk'; exit 1", failed("no disk")},
    {"EmptyLinesAreNoReason", "echo 'no disk'; echo; echo '   '; exit 1", failed("no disk")},
    {"Silent", "exit 3", failed("the command ended with exit code 3")},
    {"Killed", "kill -9 $$", failed("the command was ended by signal 9")},
    {"ControlCharactersAreNoReason", "printf '\\033[31mred\\007'; exit 1", failed("[31mred")},
    {"NotUtf8", "printf 'a\\377b'; exit 1",
     failed("a\xEF\xBF\xBD"
            "b")},
    {"ClosesItsOutput", "exec >&- 2>&-; exit 4", failed("the command ended with exit code 4")},
    {"HasNoInput", "read line || exit 0; exit 1", kPassed},
};
INSTANTIATE_TEST_SUITE_P(All, CommandResult, testing::ValuesIn(kCommandCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(CommandCheck, KnowsItsBackendFromItsEnvironmentAlone) {
  ::setenv("TEAL_SECRET", "1", 1);
  EXPECT_EQ(run_check(shell("echo $TEAL_BACKEND $TEAL_SERVICE $TEAL_COLOUR; env | wc -l; exit 0")), kPassed);
  EXPECT_EQ(run_check(shell("echo $TEAL_BACKEND $TEAL_SERVICE $TEAL_COLOUR $TEAL_SECRET $(pwd); exit 1")),
            failed("198.18.2.11:8080 web blue /"));
  ::unsetenv("TEAL_SECRET");
}

TEST_F(CommandCheck, GetsItsArgumentsAsTheyAre) {
  CheckOrder order = shell("");
  order.check.command = {"/bin/sh", "-c", "echo \"$1|$2\"; exit 1", "x", "a b", "$HOME;*"};
  EXPECT_EQ(run_check(order), failed("a b|$HOME;*"));
}

TEST_F(CommandCheck, AProgramThatIsMissingSaysSo) {
  CheckOrder order = shell("");
  order.check.command = {"/no/such/program"};
  EXPECT_EQ(run_check(order), failed("cannot run the command: No such file or directory"));
}

TEST_F(CommandCheck, SeesSigpipeAndNoOtherFiles) {
  std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(run_check(shell("(kill -PIPE $$); echo survived; exit 1")),
            failed("the command was ended by signal 13"));
  const int open_here = ::open("/dev/null", O_RDONLY);
  EXPECT_EQ(run_check(shell("for fd in 3 4 5 6 7 8 9 10 11 12 13 14 15; do "
                            "[ -e /proc/$$/fd/$fd ] && echo \"$fd is open\"; done; exit 1")),
            failed("the command ended with exit code 1"));
  ::close(open_here);
  std::signal(SIGPIPE, SIG_DFL);
}

TEST_F(CommandCheck, ACommandThatNeverEndsIsKilledWithItsChildren) {
  const std::string script = "echo $$ >> " + file() + "; sleep 1000 & echo $! >> " + file() + "; wait";
  EXPECT_EQ(run_check(shell(script, 500ms)), failed("the command did not end within 500 ms"));
  ASSERT_EQ(pids().size(), 2u);
  for (const pid_t pid : pids()) EXPECT_TRUE(ends(pid)) << pid;
}

TEST_F(CommandCheck, AnIgnoredSignalSavesNobody) {
  const std::string script = "trap '' TERM INT HUP; echo $$ >> " + file() + "; while :; do sleep 1000; done";
  EXPECT_EQ(run_check(shell(script, 500ms)), failed("the command did not end within 500 ms"));
  ASSERT_EQ(pids().size(), 1u);
  EXPECT_TRUE(ends(pids().front()));
}

TEST_F(CommandCheck, AChildThatHoldsTheOutputDoesNotDelayTheEnd) {
  const std::string script = "sleep 1000 & echo $! >> " + file() + "; echo done; exit 0";
  EXPECT_EQ(run_check(shell(script)), kPassed);
  ASSERT_EQ(pids().size(), 1u);
  EXPECT_TRUE(ends(pids().front())) << "a child does not outlive its command";
}

TEST_F(CommandCheck, AChildInASessionOfItsOwnIsKilled) {
  const std::string script = "setsid sh -c 'echo $$ >> " + file() + "; exec sleep 1000' & while [ ! -s " +
                             file() + " ]; do sleep 0.01; done; exit 0";
  EXPECT_EQ(run_check(shell(script)), kPassed);
  ASSERT_EQ(pids().size(), 1u);
  EXPECT_TRUE(ends(pids().front()));
}

TEST_F(CommandCheck, EndlessOutputIsCutAt64KiB) {
  EXPECT_EQ(run_check(shell("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done")),
            failed("the command printed more than 64 KiB"));
  EXPECT_EQ(run_check(shell("exec cat /dev/zero")), failed("the command printed more than 64 KiB"));
}

TEST_F(CommandCheck, ALongLineIsCut) {
  const CheckResult result = run_check(shell("head -c 5000 /dev/zero | tr '\\0' x; exit 1"));
  EXPECT_EQ(result, failed(std::string(kMaxHealthReason, 'x')));
}

TEST_F(CommandCheck, AtMost16RunAtOnce) {
  // Each command counts the marks of the others.
  const std::string script = "touch " + directory.path() + "/mark.$$; ls " + directory.path() +
                             " | grep -c mark; sleep 0.02; rm " + directory.path() + "/mark.$$; exit 1";
  const std::vector<CheckResult> results = run_checks(std::vector<CheckOrder>(64, shell(script, 60s)));
  int most = 0;
  for (const CheckResult& result : results) {
    ASSERT_EQ(result.outcome, CheckResult::Outcome::kFailed);
    most = std::max(most, std::stoi(result.reason));
  }
  EXPECT_LE(most, 16);
  EXPECT_GT(most, 1) << "they run at the same time";
}

}  // namespace
}  // namespace teal
