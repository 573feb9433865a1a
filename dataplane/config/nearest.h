// SPDX-License-Identifier: Apache-2.0
//
// Suggests a known word for an unknown one: a field of the config, a verb or an option.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace teal {

// Returns the smallest number of edits that turn `a` into `b`. An edit inserts, removes or replaces one
// character, or swaps two neighbours (optimal string alignment distance).
size_t edit_distance(std::string_view a, std::string_view b);

// Returns the candidate with the fewest edits, if these are at most 2 and fewer than half of its letters.
// Otherwise returns the first candidate that begins with `word`, if `word` has at least 2 letters. Otherwise
// nullopt.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

// Returns `did you mean "flip"?` if a candidate is near, otherwise `otherwise`.
std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates,
                         std::string otherwise);

}  // namespace teal
