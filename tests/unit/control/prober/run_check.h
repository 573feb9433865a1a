// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <vector>

#include "control/prober/checks.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace teal {

inline bool operator==(const CheckResult& a, const CheckResult& b) {
  return a.outcome == b.outcome && a.reason == b.reason;
}
inline void PrintTo(const CheckResult& result, std::ostream* out) {
  *out << (result.outcome == CheckResult::Outcome::kPassed   ? "passed"
           : result.outcome == CheckResult::Outcome::kFailed ? "failed: "
                                                             : "not made: ")
       << result.reason;
}

// Makes each check once, all at the same time, and returns the results in their order.
inline std::vector<CheckResult> run_checks(const std::vector<CheckOrder>& orders) {
  boost::asio::io_context io(1);
  Semaphore places(kMaxCommands);
  std::vector<CheckResult> results(orders.size());
  const auto run = [&](size_t index) -> Task<void> {
    CheckResult result = co_await make_check(orders[index], places);
    results[index] = std::move(result);
  };
  for (size_t index = 0; index < orders.size(); ++index)
    asio::co_spawn(io, run(index), [](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
  io.run();
  return results;
}
inline CheckResult run_check(const CheckOrder& order) {
  return run_checks({order}).front();
}

inline const CheckResult kPassed;
inline CheckResult failed(std::string reason) {
  return CheckResult::failed(std::move(reason));
}

}  // namespace teal
