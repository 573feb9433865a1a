// SPDX-License-Identifier: Apache-2.0
//
// Finds the most frequent keys of a stream in bounded memory: the algorithm of Misra and Gries, in batches.
// When the map holds more than kMaxCandidates keys, the median count is subtracted from all counts, and keys
// without a count are removed.
//
// Up to kMaxCandidates different keys, counts are exact. Beyond that, a count is too low by at most error(),
// and every key that occurs more than error() times is in the map. (A map that stops growing when full would
// miss a frequent key that first occurs late.)
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
  static constexpr size_t kMaxCandidates = 8192;

  void add(const Key& key) {
    ++counts_[key];
    if (counts_.size() > kMaxCandidates) thin_out();
  }

  // Returns the keys with the highest counts, highest first.
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
    const uint64_t subtracted = *middle;
    error_ += subtracted;
    std::erase_if(counts_, [&](const auto& entry) { return entry.second <= subtracted; });
    for (auto& [key, count] : counts_) count -= subtracted;
  }

  std::unordered_map<Key, uint64_t, Hash> counts_;
  uint64_t error_ = 0;
};

}  // namespace teal
