// SPDX-License-Identifier: Apache-2.0
#include "control/prober/hook_run.h"

#include "control/prober/command_run.h"

namespace teal {

namespace {

CommandLine line_of_hook(const HookOrder& order) {
  return {.words = order.run.command,
          .environment = {std::string("TEAL_HOOK=") + name_of(order.hook)},
          .input = order.input + "\n"};
}

}  // namespace

Task<HookDone> run_hook(const HookOrder& order, Semaphore& places, const Clock& clock) {
  const Semaphore::Permit place = co_await places.acquire();
  HookDone done;
  done.id = order.id;
  if (clock.steady_ms() > order.not_after_ms) {
    done.reason = "teal-health was too late to run it";
    co_return done;
  }
  const CommandLine line = line_of_hook(order);
  const CommandEnd end = co_await run_command(line, order.run.timeout);
  done.passed = end.passed();
  if (done.passed) co_return done;
  done.reason = words_of(end);
  if (!end.last_line.empty()) done.reason += ": " + end.last_line;
  done.reason = clean_reason(done.reason);
  co_return done;
}

}  // namespace teal
