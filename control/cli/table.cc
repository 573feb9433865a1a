// SPDX-License-Identifier: Apache-2.0
#include "control/cli/table.h"

#include <algorithm>
#include <span>

namespace teal::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kNarrowest = 8;  // a wrapping column is not made narrower than this

// Splits at a space, or before a colon so that no half of a port or address group passes for a whole one;
// where neither is in the second half of the line, anywhere.
std::vector<std::string_view> wrap(std::string_view text, size_t width) {
  std::vector<std::string_view> lines;
  while (text.size() > width) {
    size_t end = text.find_last_of(" :", width);
    if (end == std::string_view::npos || end < width / 2 || end == 0) end = width;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
    if (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  }
  lines.push_back(text);
  return lines;
}

std::vector<size_t> column_widths(const Table& table, size_t screen) {
  const auto& columns = table.columns;
  std::vector<size_t> widths;
  size_t total = 0;
  for (size_t c = 0; c < columns.size(); ++c) {
    size_t width = columns[c].title.size();
    for (const auto& row : table.rows) width = std::max(width, row[c].text.size());
    widths.push_back(width);
    total += width + (c == 0 ? 0 : kGap);
  }
  while (total > screen) {
    size_t widest = columns.size();
    for (size_t c = 0; c < columns.size(); ++c) {
      const size_t least = std::max(kNarrowest, columns[c].title.size());
      if (columns[c].wraps && widths[c] > least && (widest == columns.size() || widths[c] > widths[widest]))
        widest = c;
    }
    if (widest == columns.size()) break;  // as narrow as it gets
    --widths[widest];
    --total;
  }
  return widths;
}

void append_row(std::string& text, const std::vector<Column>& columns, std::span<const size_t> widths,
                std::span<const Cell> cells, bool colour) {
  std::vector<std::vector<std::string_view>> wrapped;
  size_t height = 1;
  for (size_t c = 0; c < columns.size(); ++c) {
    wrapped.push_back(wrap(cells[c].text, widths[c]));
    height = std::max(height, wrapped.back().size());
  }
  for (size_t line = 0; line < height; ++line) {
    size_t pending = 0;  // spaces that are written only if something follows them
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string_view part = line < wrapped[c].size() ? wrapped[c][line] : std::string_view();
      const size_t fill = widths[c] - part.size();
      const bool right = columns[c].align == kRight;
      if (right) pending += fill;
      if (!part.empty()) {
        text.append(pending, ' ');
        pending = 0;
        text += styled(part, cells[c].style, colour);
      }
      pending += kGap + (right ? 0 : fill);
    }
    text += '\n';
  }
}

}  // namespace

std::string styled(std::string_view text, Style style, bool colour) {
  if (!colour || style == Style::kPlain) return std::string(text);
  const char* start = "";
  switch (style) {
    case Style::kPlain:
      break;
    case Style::kBlue:
      start = "\033[34m";
      break;
    case Style::kGreen:
      start = "\033[32m";
      break;
    case Style::kBold:
      start = "\033[1m";
      break;
    case Style::kWarning:
      start = "\033[33m";
      break;
  }
  return std::string(start).append(text).append("\033[0m");
}

Style style_of(std::string_view colour_name) {
  if (colour_name == "blue") return Style::kBlue;
  if (colour_name == "green") return Style::kGreen;
  return Style::kPlain;
}

std::string Table::text(unsigned screen, bool colour) const {
  const auto widths = column_widths(*this, screen);
  std::vector<Cell> titles;
  for (const auto& column : columns) titles.emplace_back(column.title, Style::kBold);
  std::string result;
  append_row(result, columns, widths, titles, colour);
  for (const auto& row : rows) append_row(result, columns, widths, row, colour);
  return result;
}

}  // namespace teal::cli
