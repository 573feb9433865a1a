// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/event_parser.h"

#include <charconv>

namespace teal::cli {

std::vector<StreamedEvent> EventParser::feed(std::string_view bytes) {
  std::vector<StreamedEvent> events;
  while (true) {
    const size_t end = bytes.find('\n');
    unfinished_ += bytes.substr(0, end);
    if (end == std::string_view::npos) return events;
    bytes.remove_prefix(end + 1);
    if (unfinished_.ends_with('\r')) unfinished_.pop_back();
    take_line(unfinished_, events);
    unfinished_.clear();
  }
}

void EventParser::take_line(std::string_view line, std::vector<StreamedEvent>& events) {
  if (line.empty()) {
    if (event_.data.ends_with('\n')) event_.data.pop_back();  // the line end of the last line
    if (!event_.data.empty() || event_.id) events.push_back(std::move(event_));
    event_ = {};
    return;
  }
  const size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    event_.data.append(value).append("\n");
  } else if (field == "event") {
    event_.type = value;
  } else if (field == "id") {
    uint64_t id = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), id);
    if (error == std::errc() && stop == value.data() + value.size()) event_.id = id;
  }
}

}  // namespace teal::cli
