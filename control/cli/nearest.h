// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace teal::cli {

// Insertions, removals, replacements and swaps of neighbours that lead from one to the other.
unsigned edit_distance(std::string_view a, std::string_view b);

// The candidate that was probably meant; empty if none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// `did you mean "flip"?`, or else `otherwise`.
std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates,
                         std::string otherwise);

}  // namespace teal::cli
