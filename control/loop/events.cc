// SPDX-License-Identifier: Apache-2.0
#include "control/loop/events.h"

#include <algorithm>

#include "control/loop/wall_clock.h"

namespace teal {

void Events::tell(std::string type, nlohmann::ordered_json fields) {
  nlohmann::ordered_json data = {{"at", rfc3339(clock_.wall_ms())}};
  data.update(fields);
  // A reason is text that a client sent, so it may hold bytes that are not UTF-8.
  kept_.push_back({next_id_++, std::move(type),
                   data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)});
  kept_bytes_ += kept_.back().data.size();
  while (kept_.size() > kKept || (kept_bytes_ > kKeptBytes && kept_.size() > 1)) {
    kept_bytes_ -= kept_.front().data.size();
    kept_.pop_front();
  }
  for (const auto& listener : listeners_) listener(kept_.back());
}

nlohmann::ordered_json counted_list(const char* name, const std::vector<std::string>& names) {
  const auto end = names.begin() + static_cast<ptrdiff_t>(std::min(names.size(), kNamedInEvent));
  return {{"count", names.size()}, {name, std::vector<std::string>(names.begin(), end)}};
}

std::vector<ToldEvent> Events::after(uint64_t id) const {
  const auto first =
      std::find_if(kept_.begin(), kept_.end(), [&](const ToldEvent& event) { return event.id > id; });
  return std::vector<ToldEvent>(first, kept_.end());
}

}  // namespace teal
