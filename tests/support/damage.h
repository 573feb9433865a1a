// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <random>
#include <string>

namespace teal::test {

// Returns the text after 1 to 4 random changes: a few bytes are erased, or one byte is another one. The text
// is never empty.
inline std::string damaged(std::string text, std::mt19937& random) {
  for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; --changes) {
    const size_t at = random() % text.size();
    if (random() % 3 == 0)
      text.erase(at, 1 + random() % 8);
    else
      text[at] = static_cast<char>(random());
    if (text.empty()) text = " ";
  }
  return text;
}

}  // namespace teal::test
