// SPDX-License-Identifier: Apache-2.0
//
// The messages between teald and teal-health, over RUN_DIR/health.sock: one JSON object a line. Both
// processes read and write them here, so there is one form.
//
//   teald -> teal-health
//     {"type":"checks","revision":7,"checks":[{"backend":3,"address":"198.18.2.11:8080","kind":"http",...}]}
//     {"type":"check_now","revision":7,"backends":[3,4]}
//     {"type":"hook","id":1795930000000001,"hook":"post_flip","command":["/usr/lib/x"],"timeout_ms":30000,
//      "input":"{\"hook\":\"post_flip\",...}"}
//     {"type":"refused","why":"another teal-health is connected"}
//   teal-health -> teald
//     {"type":"health","revision":7,"backend":3,"up":false,"passed":false,"reason":"connection refused",
//      "at_ms":1795930000000}
//     {"type":"hook_done","id":1795930000000001,"passed":false,"reason":"exit code 3: no such release"}
//     {"type":"alive"}
//
// "checks" is the whole list: at the connection, and again at each change. A report has the revision of the
// list that the prober works on. teald ignores a report of another revision, since the id may belong to
// another backend by now. After each list the prober reports again what it knows. "check_now" does not wait
// for the interval, and the check that it asks for is reported in any case.
//
// "hook" runs a command of an operator once, with "input" on its standard input. Its id belongs to no other
// order, also over restarts of teald. "hook_done" is sent when the command has ended; if the connection ends
// first, nobody hears of the end.
//
// Neither side trusts the other one. A parser takes any bytes, throws nothing, and returns an error for a
// line that is not as above. Unknown fields are ignored, so a newer process may send more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

#include "control/config/health_check.h"
#include "control/config/hooks.h"
#include "dataplane/packet/ip_address.h"

namespace teal {

inline constexpr size_t kMaxReportBytes = 4096;          // of a line to teald
inline constexpr size_t kMaxCheckListBytes = 32u << 20;  // of a line to teal-health
inline constexpr size_t kMaxHealthReason = 256;
inline constexpr size_t kMaxHookInput = 1 << 20;

// The order to check a backend.
struct CheckOrder {
  uint16_t backend = 0;  // id
  Socket address;        // the protocol is not sent and stays 0
  std::string service;
  std::string colour;      // "blue", "green" or "both"
  std::optional<bool> up;  // what teald knows; nothing: never checked
  HealthCheck check;

  // Returns whether both check the same thing in the same way.
  bool is_like(const CheckOrder& other) const {
    return backend == other.backend && address == other.address && service == other.service &&
           colour == other.colour && check == other.check;
  }
};

struct CheckList {
  uint64_t revision = 0;
  std::vector<CheckOrder> checks;
};

// The order to check these backends of the list now.
struct CheckNow {
  uint64_t revision = 0;
  std::vector<uint16_t> backends;  // ids
};

// teald orders teal-health to run a command of a hook.
struct HookOrder {
  uint64_t id = 0;
  Hook hook = Hook::kPreFlip;
  HookCommand run;
  std::string input;  // a JSON object, for the command's standard input
  // Later, the command does not begin: nobody waits for the command any more, or teald has ordered it again.
  // The steady clock of the host, in ms.
  int64_t not_after_ms = INT64_MAX;
};

// A hook's command has ended, or could not be run.
struct HookDone {
  uint64_t id = 0;
  bool passed = false;  // it ended with exit code 0
  std::string reason;   // why not, with the last line of its output; empty: it passed

  friend bool operator==(const HookDone&, const HookDone&) = default;
};

struct ProberRefused {
  std::string why;
};

struct HealthReport {
  uint64_t revision = 0;
  uint16_t backend = 0;  // id
  bool up = false;
  bool passed = false;  // the latest check
  std::string reason;   // of the latest failure; empty: the backend is up and its latest check passed
  int64_t at_ms = 0;    // when it went up or down, since 1970, UTC; 0: before the prober began

  friend bool operator==(const HealthReport&, const HealthReport&) = default;
};

struct ProberAlive {};

using ToProber = std::variant<CheckList, CheckNow, HookOrder, ProberRefused>;
using ToTeald = std::variant<HealthReport, HookDone, ProberAlive>;

// Each returns a line with its line end.
std::string line_of(const CheckList& list);
std::string line_of(const CheckNow& order);
std::string line_of(const HookOrder& order);
std::string line_of(const ProberRefused& refused);
std::string line_of(const HealthReport& report);
std::string line_of(const HookDone& done);
std::string line_of(const ProberAlive& alive);

// Each parses a line without its line end. The error says what is wrong with it.
tl::expected<ToProber, std::string> parse_to_prober(std::string_view line);
tl::expected<ToTeald, std::string> parse_to_teald(std::string_view line);

// Returns a text of at most kMaxHealthReason, without control characters and without bytes that are not
// UTF-8: it may quote what a backend sent.
std::string clean_reason(std::string_view text);

// Splits a stream of bytes into lines, with a bound.
class LineReader {
 public:
  explicit LineReader(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Calls take(line) for each whole line, without its line end. Ends early and returns false if `take`
  // returns false, or if a line is longer than the bound.
  template <typename Take>
  bool feed(std::string_view bytes, Take&& take) {
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      if (unfinished_.size() + piece.size() > max_bytes_) return false;
      if (end == std::string_view::npos) {
        unfinished_ += piece;
        return true;
      }
      bytes.remove_prefix(end + 1);
      bool goes_on = false;
      if (unfinished_.empty()) {
        goes_on = take(piece);
      } else {
        unfinished_ += piece;
        const std::string line = std::exchange(unfinished_, "");
        goes_on = take(std::string_view(line));
      }
      if (!goes_on) return false;
    }
    return true;
  }

 private:
  const size_t max_bytes_;
  std::string unfinished_;
};

}  // namespace teal
