// SPDX-License-Identifier: Apache-2.0
//
// The requests with an id that were carried out in the last 24 hours. A sender who did not get the answer
// sends the request again, and the repetition makes no change.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/state/state.h"

namespace teal {

class Requests {
 public:
  static constexpr size_t kMost = State::kRequestsKept;  // then the oldest is forgotten earlier

  struct Known {
    uint64_t content = 0;
    int64_t at_ms = 0;
    std::string answer;  // JSON; "": the database has it
  };

  void know(const std::vector<KnownRequest>& stored);
  void add(const std::string& id, Known request);
  // Returns null if the request is not known. The result is valid until the next call.
  const Known* find(const std::string& id, int64_t now_ms) const;

 private:
  std::unordered_map<std::string, Known> known_;
  std::deque<std::pair<std::string, int64_t>> in_order_;  // ids with their times, oldest first
};

}  // namespace teal
