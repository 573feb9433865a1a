// SPDX-License-Identifier: Apache-2.0
//
// Suggestions for unknown words: fields of the config, verbs and options.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace teal {

// Returns the number of insertions, removals, replacements and swaps of neighbours that turn `a` into `b`
// (Damerau-Levenshtein, restricted).
size_t edit_distance(std::string_view a, std::string_view b);

// Returns the closest candidate, if it is at most 2 edits away and fewer than half of its letters differ.
// Otherwise returns a candidate that begins with `word`, or nothing.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

// Returns `did you mean "flip"?`, or `otherwise` if no candidate is near.
std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates,
                         std::string otherwise);

}  // namespace teal
