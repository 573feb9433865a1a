// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace teal::test {

// Returns how many rounds a random test takes. A round takes ten times as long with a sanitizer, which sees
// each line after few of them.
constexpr int rounds(int without_sanitizer) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return without_sanitizer / 10;
#else
  return without_sanitizer;
#endif
}

}  // namespace teal::test
