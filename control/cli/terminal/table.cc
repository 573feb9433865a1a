// SPDX-License-Identifier: Apache-2.0
#include "control/cli/terminal/table.h"

#include <algorithm>
#include <span>

namespace teal::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kNarrowest = 8;  // columns; a wrapping column is not made narrower

bool continues(char c) {  // true for all bytes of a UTF-8 character but the first
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

// The number of bytes that fill `width` columns.
size_t bytes_of(std::string_view text, size_t width) {
  size_t i = 0;
  for (size_t columns = 0; i < text.size(); ++i) {
    if (!continues(text[i]) && columns++ == width) break;
  }
  return i;
}

// Splits at a space. If that fills less than a third of the line, splits before a colon or a slash, so that
// no part of a port, an address or a name looks like a whole one. Otherwise splits anywhere.
std::vector<std::string_view> wrap(std::string_view text, size_t width) {
  std::vector<std::string_view> lines;
  while (width_of(text) > width) {
    const size_t full = bytes_of(text, width);
    const auto fills = [&](size_t end) {
      return end != std::string_view::npos && end >= full / 3 && end != 0;
    };
    size_t end = text.find_last_of(' ', full);
    if (!fills(end)) end = text.find_last_of(":/", full);
    if (!fills(end)) end = full;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
    if (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  }
  lines.push_back(text);
  return lines;
}

size_t longest_word(std::string_view text) {
  size_t longest = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    longest = std::max(longest, width_of(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return longest;
}

struct Widths {
  std::vector<size_t> of_columns;
  size_t total = 0;
};

// Narrows columns until the table fits the screen, or no column can be narrowed any more. With `keep_words`,
// words of the columns that want so stay whole.
Widths column_widths(const Table& table, size_t screen, bool keep_words) {
  const auto& columns = table.columns;
  Widths widths;
  std::vector<size_t> least;
  for (size_t c = 0; c < columns.size(); ++c) {
    size_t width = columns[c].title.size();
    size_t narrowest = std::max(kNarrowest, width);
    for (const auto& row : table.rows) {
      width = std::max(width, width_of(row[c].text));
      if (columns[c].whole && keep_words) narrowest = std::max(narrowest, longest_word(row[c].text));
    }
    widths.of_columns.push_back(width);
    least.push_back(columns[c].wraps ? narrowest : width);
    widths.total += width + (c == 0 ? 0 : kGap);
  }
  while (widths.total > screen) {
    size_t widest = columns.size();
    for (size_t c = 0; c < columns.size(); ++c) {
      const bool narrows = widths.of_columns[c] > least[c];
      if (narrows && (widest == columns.size() || widths.of_columns[c] > widths.of_columns[widest]))
        widest = c;
    }
    if (widest == columns.size()) break;  // as narrow as it gets
    --widths.of_columns[widest];
    --widths.total;
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
    size_t pending = 0;  // spaces that are written only before more text
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string_view part = line < wrapped[c].size() ? wrapped[c][line] : std::string_view();
      const size_t fill = widths[c] - width_of(part);
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

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

size_t lines_of(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string filled(std::string_view text, size_t indent, size_t width) {
  std::string result;
  size_t column = indent;
  bool at_start = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!at_start && column + 1 + width_of(word) > width) {
      result.append("\n").append(indent, ' ');
      column = indent;
      at_start = true;
    }
    if (!at_start) result += ' ';
    result += word;
    column += width_of(word) + (at_start ? 0 : 1);
    at_start = false;
  }
  return result + "\n";
}

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
  std::vector<Cell> titles;
  for (const auto& column : columns) titles.emplace_back(column.title, Style::kBold);
  Widths widths = column_widths(*this, screen, true);
  const auto below =
      std::find_if(columns.begin(), columns.end(), [](const Column& column) { return column.below; });
  if (widths.total > screen && below != columns.end())
    return text_with_below(static_cast<size_t>(below - columns.begin()), titles, screen, colour);
  if (widths.total > screen) widths = column_widths(*this, screen, false);
  std::string result;
  append_row(result, columns, widths.of_columns, titles, colour);
  for (const auto& row : rows) append_row(result, columns, widths.of_columns, row, colour);
  return result;
}

std::string Table::text_with_below(size_t below, const std::vector<Cell>& titles, unsigned screen,
                                   bool colour) const {
  const auto without = [below](auto cells) {
    cells.erase(cells.begin() + static_cast<ptrdiff_t>(below));
    return cells;
  };
  Table above{.columns = without(columns), .rows = {}};
  for (const auto& row : rows) above.rows.push_back(without(row));
  Widths widths = column_widths(above, screen, true);
  if (widths.total > screen) widths = column_widths(above, screen, false);
  const size_t indent = widths.of_columns.front() + kGap;
  std::string result;
  const auto append = [&](const std::vector<Cell>& cells, const Cell& last) {
    append_row(result, above.columns, widths.of_columns, cells, colour);
    if (last.text.empty()) return;
    for (const auto line : wrap(last.text, screen - std::min<size_t>(indent, screen / 2)))
      result.append(indent, ' ').append(styled(line, last.style, colour)).append("\n");
  };
  append(without(titles), titles[below]);
  for (size_t i = 0; i < rows.size(); ++i) append(above.rows[i], rows[i][below]);
  return result;
}

}  // namespace teal::cli
