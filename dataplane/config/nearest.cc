// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace teal {

namespace {

constexpr size_t kMaxEdits = 2;
constexpr size_t kMaxWordBytes = 64;  // bounds the time; no field, verb or option is that long

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  // The last three rows of the distance table. row[j] is the distance between the first i characters of `a`
  // and the first j characters of `b`.
  std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row.back();
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > kMaxWordBytes) return std::nullopt;
  std::optional<std::string_view> best;
  size_t best_distance = kMaxEdits + 1;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > word.size() + kMaxEdits || word.size() > candidate.size() + kMaxEdits) continue;
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && 2 * distance < candidate.size()) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (best || word.size() < 2) return best;
  const auto begun = std::find_if(candidates.begin(), candidates.end(),
                                  [&](std::string_view candidate) { return candidate.starts_with(word); });
  return begun == candidates.end() ? std::nullopt : std::optional(*begun);
}

std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates,
                         std::string otherwise) {
  const auto found = nearest(word, candidates);
  return found ? "did you mean \"" + std::string(*found) + "\"?" : otherwise;
}

}  // namespace teal
