// SPDX-License-Identifier: Apache-2.0
//
// Server-sent events (WHATWG HTML, 9.2), as far as teald sends them: id, event, data; lines that begin with a
// colon are comments, and an empty line ends an event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace teal::cli {

struct StreamedEvent {
  std::optional<uint64_t> id;
  std::string type;
  std::string data;
};

class EventParser {
 public:
  // The events that these bytes complete; they may be cut anywhere.
  std::vector<StreamedEvent> feed(std::string_view bytes);

 private:
  void take_line(std::string_view line, std::vector<StreamedEvent>& events);

  std::string unfinished_;  // a line
  StreamedEvent event_;
};

}  // namespace teal::cli
