// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace teal::cli {

// Do the values of these environment variables name a locale with UTF-8? The first that is not empty counts.
bool is_utf8(std::string_view lc_all, std::string_view lc_ctype, std::string_view lang);

}  // namespace teal::cli
