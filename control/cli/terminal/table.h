// SPDX-License-Identifier: Apache-2.0
//
// Tables for people. A column is as wide as its widest cell; columns are two spaces apart. If the table is
// wider than the screen, the widest columns that may wrap are narrowed, and their cells continue on the next
// line. Nothing is cut off. If the whole words of a table do not fit, the cells of its column `below` stand
// below their rows.
//
// A width is the number of UTF-8 characters, each one column wide. In scripts with wider characters, columns
// are not aligned exactly.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace teal::cli {

enum class Style { kPlain, kBlue, kGreen, kBold, kWarning };

// Returns the text with the ANSI sequence of the style. Without `colour`, the text itself.
std::string styled(std::string_view text, Style style, bool colour);

// Returns the style for "blue" or "green", and kPlain for other texts.
Style style_of(std::string_view colour_name);

// The number of columns that the text takes on the screen.
size_t width_of(std::string_view text);

// The number of lines, each of which has its line end.
size_t lines_of(std::string_view text);

// Splits `text` at spaces into lines of at most `width` columns, each with its line end. The second and later
// lines begin with `indent` spaces. The first line does not, but is shorter by as many columns: the caller
// prints it behind other text.
std::string filled(std::string_view text, size_t indent, size_t width);

struct Column {
  std::string title;
  enum class Align { kLeft, kRight } align = Align::kLeft;
  bool wraps = false;
  bool whole = false;  // words are split only if the screen is too narrow without `below`, too
  bool below = false;  // at most one column of a table
};

struct Cell {
  std::string text;
  Style style = Style::kPlain;

  Cell(std::string cell_text, Style cell_style = Style::kPlain)
      : text(std::move(cell_text)), style(cell_style) {}
  Cell(const char* cell_text) : text(cell_text) {}
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // each as long as columns

  // The lines, each with its line end and without trailing spaces. `screen` is the maximum width.
  std::string text(unsigned screen, bool colour) const;

 private:
  std::string text_with_below(size_t below, const std::vector<Cell>& titles, unsigned screen,
                              bool colour) const;
};

inline constexpr Column::Align kRight = Column::Align::kRight;
inline constexpr Column::Align kLeft = Column::Align::kLeft;

}  // namespace teal::cli
