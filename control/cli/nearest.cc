// SPDX-License-Identifier: Apache-2.0
#include "control/cli/nearest.h"

#include <algorithm>
#include <vector>

namespace teal::cli {

unsigned edit_distance(std::string_view a, std::string_view b) {
  // Rows of the usual table; row[j] is the distance of a's first i and b's first j characters.
  std::vector<unsigned> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<unsigned>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = static_cast<unsigned>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0u : 1u)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  unsigned best_distance = std::max<unsigned>(1, static_cast<unsigned>(word.size()) / 3) + 1;
  for (const auto candidate : candidates) {
    const unsigned distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (!best.empty() || word.size() < 2) return best;
  for (const auto candidate : candidates) {  // a word half typed
    if (candidate.starts_with(word)) return candidate;
  }
  return best;
}

std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates,
                         std::string otherwise) {
  const auto found = nearest(word, candidates);
  return found.empty() ? otherwise : "did you mean \"" + std::string(found) + "\"?";
}

}  // namespace teal::cli
