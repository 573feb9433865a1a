// SPDX-License-Identifier: Apache-2.0
//
// What was probably meant by a word that is not known: a field of the config, a verb, an option.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace teal {

// Insertions, removals, replacements and swaps of neighbours that lead from one to the other.
size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that is at most 2 edits away, and fewer than half of its letters; else one that begins with
// `word`, as if that was half typed. Nothing if none is near.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

// `did you mean "flip"?`, or else `otherwise`.
std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates,
                         std::string otherwise);

}  // namespace teal
