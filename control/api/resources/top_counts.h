// SPDX-License-Identifier: Apache-2.0
//
// Who comes most often in a stream of any length, in bounded memory: Misra and Gries, with batches. When
// there are too many candidates, the median count is taken off all of them, and those that are left with
// nothing go. Up to kMost different ones the counts are exact; beyond it they are too low by at most error(),
// and whoever comes more often than that is among them. (A map that stops growing when full would miss a
// client that comes late, however often.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace teal {

template <typename Key, typename Hash>
class TopCounts {
 public:
  static constexpr size_t kMost = 8192;

  void add(const Key& key) {
    ++counts_[key];
    if (counts_.size() > kMost) thin_out();
  }

  // Those with the highest counts, highest first.
  std::vector<std::pair<Key, uint64_t>> top(size_t at_most) const {
    std::vector<std::pair<Key, uint64_t>> all(counts_.begin(), counts_.end());
    const auto end = all.begin() + static_cast<ptrdiff_t>(std::min(at_most, all.size()));
    std::partial_sort(all.begin(), end, all.end(),
                      [](const auto& a, const auto& b) { return a.second > b.second; });
    all.erase(end, all.end());
    return all;
  }

  uint64_t error() const { return error_; }
  size_t candidates() const { return counts_.size(); }

 private:
  void thin_out() {
    std::vector<uint64_t> all;
    all.reserve(counts_.size());
    for (const auto& [key, count] : counts_) all.push_back(count);
    const auto middle = all.begin() + static_cast<ptrdiff_t>(all.size() / 2);
    std::nth_element(all.begin(), middle, all.end());
    const uint64_t taken_off = *middle;
    error_ += taken_off;
    std::erase_if(counts_, [&](const auto& entry) { return entry.second <= taken_off; });
    for (auto& [key, count] : counts_) count -= taken_off;
  }

  std::unordered_map<Key, uint64_t, Hash> counts_;
  uint64_t error_ = 0;
};

}  // namespace teal
