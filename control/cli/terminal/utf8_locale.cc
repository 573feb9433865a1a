// SPDX-License-Identifier: Apache-2.0
#include "control/cli/terminal/utf8_locale.h"

#include <string>

namespace teal::cli {

bool is_utf8(std::string_view lc_all, std::string_view lc_ctype, std::string_view lang) {
  const std::string_view locale = !lc_all.empty() ? lc_all : !lc_ctype.empty() ? lc_ctype : lang;
  std::string charset;  // "utf8" for "en_GB.UTF-8@euro" and for "C.utf8"
  for (const char c : locale.substr(std::min(locale.find('.'), locale.size()))) {
    if (c == '@') break;
    if (c >= 'A' && c <= 'Z') charset += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) charset += c;
  }
  return charset == "utf8";
}

}  // namespace teal::cli
