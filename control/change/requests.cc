// SPDX-License-Identifier: Apache-2.0
#include "control/change/requests.h"

namespace teal {

namespace {

bool is_over(int64_t at_ms, int64_t now_ms) {
  return at_ms < now_ms - State::kRequestsKeptMs;
}

}  // namespace

void Requests::know(const std::vector<KnownRequest>& stored) {
  for (const KnownRequest& request : stored)
    if (!known_.contains(request.id)) add(request.id, {request.content, request.at_ms, request.answer});
}

void Requests::add(const std::string& id, Known request) {
  const int64_t now_ms = request.at_ms;
  known_[id] = std::move(request);
  in_order_.emplace_back(id, now_ms);
  while (in_order_.size() > kMost || is_over(in_order_.front().second, now_ms)) {
    const auto& [oldest, at_ms] = in_order_.front();
    const auto known = known_.find(oldest);
    if (known != known_.end() && known->second.at_ms == at_ms) known_.erase(known);  // else it came again
    in_order_.pop_front();
  }
}

const Requests::Known* Requests::find(const std::string& id, int64_t now_ms) const {
  const auto known = known_.find(id);
  return known == known_.end() || is_over(known->second.at_ms, now_ms) ? nullptr : &known->second;
}

}  // namespace teal
