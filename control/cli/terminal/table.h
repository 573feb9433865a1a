// SPDX-License-Identifier: Apache-2.0
//
// Tables for people: columns are as wide as their widest cell, two spaces apart. Where that is wider than the
// screen, the widest of the columns that may wrap are narrowed and their cells continue on the next line:
// nothing is cut off.
//
// Widths are of characters as UTF-8 has them, one column each; where a script has wider ones, the table is
// only less straight.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace teal::cli {

enum class Style { kPlain, kBlue, kGreen, kBold, kWarning };

// The text with its ANSI sequence, or as it is.
std::string styled(std::string_view text, Style style, bool colour);

// The style of a colour's name: blue or green.
Style style_of(std::string_view colour_name);

// Columns on the screen.
size_t width_of(std::string_view text);

// `text` in lines of at most `width` columns, split at spaces; the second and later ones begin with `indent`
// spaces, and the first one is taken to stand behind as many. Each line is ended.
std::string filled(std::string_view text, size_t indent, size_t width);

struct Column {
  std::string title;
  enum class Align { kLeft, kRight } align = Align::kLeft;
  bool wraps = false;
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

  // Lines, each ended; no trailing spaces. `screen` is the width to keep within.
  std::string text(unsigned screen, bool colour) const;
};

inline constexpr Column::Align kRight = Column::Align::kRight;
inline constexpr Column::Align kLeft = Column::Align::kLeft;

}  // namespace teal::cli
