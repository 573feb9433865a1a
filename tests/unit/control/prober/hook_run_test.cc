// SPDX-License-Identifier: Apache-2.0
#include "control/prober/hook_run.h"

#include <gtest/gtest.h>

#include <fcntl.h>

#include "control/prober/command.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace teal {
namespace {

using namespace std::chrono_literals;

HookDone run_order(const HookOrder& order) {
  boost::asio::io_context io(1);
  Semaphore places(kMaxRunningHooks);
  const Clock clock;
  HookDone done;
  const auto run = [&]() -> Task<void> { done = co_await run_hook(order, places, clock); };
  asio::co_spawn(io, run(), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  io.run();
  EXPECT_EQ(done.id, 7u);
  return done;
}
HookDone run_script(const std::string& script, const std::string& input = "{}",
                    std::chrono::milliseconds timeout = 10s) {
  HookOrder order{.id = 7, .hook = Hook::kStep, .run = {}, .input = input};
  order.run.command = {"/bin/sh", "-c", script};
  order.run.timeout = timeout;
  return run_order(order);
}

HookDone passed() {
  return {.id = 7, .passed = true, .reason = ""};
}
HookDone failed_hook(std::string reason) {
  return {.id = 7, .passed = false, .reason = std::move(reason)};
}

TEST(HookRun, AnOrderThatCameTooLateIsNotRun) {
  HookOrder order{.id = 7, .hook = Hook::kStep, .run = {}, .input = "{}"};
  order.run.command = {"/bin/true"};
  order.not_after_ms = Clock().steady_ms() - 1;
  EXPECT_EQ(run_order(order), failed_hook("teal-health was too late to run it"));
  order.not_after_ms += 60'000;
  EXPECT_EQ(run_order(order), passed());
}

TEST(HookRun, GetsItsInputAndItsName) {
  EXPECT_EQ(run_script("read line; [ \"$line\" = '{\"a\":1}' ] && [ $TEAL_HOOK = step ]", "{\"a\":1}"),
            passed());
  EXPECT_EQ(run_script("wc -c; exit 1", std::string(1'000'000, 'x')),
            failed_hook("the command ended with exit code 1: 1000001"));
  EXPECT_EQ(run_script("env | cut -d= -f1 | sort | tr '\\n' ' '; exit 1"),
            failed_hook("the command ended with exit code 1: PATH PWD TEAL_HOOK"));
}

TEST(HookRun, ItsInputHarmsNobodyIfItIsNotRead) {
  EXPECT_EQ(run_script("exit 0", std::string(1 << 20, 'x')), passed());
  EXPECT_EQ(run_script("exec <&-; exit 0", std::string(1 << 20, 'x')), passed());
  EXPECT_EQ(run_script("head -c 1 >&2; exit 5", std::string(1 << 20, 'x')),
            failed_hook("the command ended with exit code 5: x"));
  EXPECT_EQ(run_script("echo more >&0 || exit 9"),
            failed_hook("the command ended with exit code 9: /bin/sh: 1: echo: "
                        "echo: I/O error"))
      << "it cannot be written to";
}

TEST(HookRun, SaysHowItEnded) {
  EXPECT_EQ(run_script("echo one; echo no such release; exit 3"),
            failed_hook("the command ended with exit code 3: no such release"));
  EXPECT_EQ(run_script("kill -9 $$"), failed_hook("the command was ended by signal 9"));
  EXPECT_EQ(run_script("echo waits for a lock; sleep 1000", "{}", 300ms),
            failed_hook("the command did not end within 300 ms: waits for a lock"));
  EXPECT_FALSE(run_script("yes").passed);
  EXPECT_EQ(run_script("(sleep 1000 &) ; exit 0"), passed()) << "a child does not delay the end";
  EXPECT_LE(run_script("head -c 5000 /dev/zero | tr '\\0' x; exit 1").reason.size(), kMaxHealthReason);
}

}  // namespace
}  // namespace teal
