// SPDX-License-Identifier: Apache-2.0
//
// Files of the run directory that teald reads at its next start. The directory is a tmpfs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace teal {

inline constexpr size_t kMaxRunFile = 8 << 20;  // bytes

// Replaces the file at once: a reader sees the old one or the new one.
tl::expected<void, std::string> replace_run_file(const std::string& path, std::string_view text);

// Returns the text; nothing: there is no file. The error: there is one, but it cannot be read, or it is
// larger than kMaxRunFile. A FIFO does not hold up the caller.
tl::expected<std::optional<std::string>, std::string> read_run_file(const std::string& path);

// The same for a file that `parse` reads. Without a file: what a file without entries says. The error of
// `parse` gets the path.
template <typename T>
tl::expected<T, std::string> read_run_file(const std::string& path,
                                           tl::expected<T, std::string> (*parse)(std::string_view)) {
  const auto text = read_run_file(path);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return T();
  auto read = parse(**text);
  if (!read) return tl::unexpected(path + ": " + read.error());
  return read;
}

}  // namespace teal
