// SPDX-License-Identifier: Apache-2.0
//
// Parses server-sent events (WHATWG HTML, section 9.2) with the fields that teald sends: id, event and data.
// A line that begins with a colon is a comment, and an empty line ends an event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace teal::cli {

struct StreamedEvent {
  std::optional<uint64_t> id;  // alone, it says where to continue, and is not an event
  std::string type;
  std::string data;
};

class EventParser {
 public:
  // Returns the events that these bytes complete. The stream may be cut into pieces anywhere.
  std::vector<StreamedEvent> feed(std::string_view bytes);

 private:
  void take_line(std::string_view line, std::vector<StreamedEvent>& events);

  std::string unfinished_;  // the last line, until its end arrives
  StreamedEvent event_;
};

}  // namespace teal::cli
