// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace teal::cli {

// True if the environment variables name a UTF-8 locale. The first one that is not empty counts.
bool is_utf8(std::string_view lc_all, std::string_view lc_ctype, std::string_view lang);

}  // namespace teal::cli
