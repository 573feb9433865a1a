// SPDX-License-Identifier: Apache-2.0
#include "control/prober/checks.h"
#include "control/prober/command_run.h"

namespace teal {

namespace {

CommandLine line_of_check(const CheckOrder& order) {
  return {.words = order.check.command,
          .environment = {"TEAL_BACKEND=" + to_string(order.address), "TEAL_SERVICE=" + order.service,
                          "TEAL_COLOUR=" + order.colour},
          .input = ""};
}

}  // namespace

Task<CheckResult> check_command(const CheckOrder& order, Semaphore& places) {
  const CommandLine line = line_of_check(order);
  CommandEnd end = co_await run_command(line, order.check.timeout, places);
  if (end.passed()) co_return CheckResult();
  if (end.how == CommandEnd::How::kNotStarted) co_return CheckResult::not_made(std::move(end.why));
  const bool says_why = end.how == CommandEnd::How::kEnded && !end.last_line.empty();
  std::string reason = says_why ? std::move(end.last_line) : words_of(end);
  co_return CheckResult::failed(std::move(reason));
}

}  // namespace teal
