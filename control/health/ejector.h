// SPDX-License-Identifier: Apache-2.0
//
// Passive ejection: a backend whose flows fail takes no new flows for a while. The workers count what flows
// tell about their backends (BackendSignals), and the ejector looks at the sums about ten times a second. It
// needs no check, and the defaults are those of Envoy's outlier detection.
//
// Theory of operation.
//
//   1. A failure is a refused or an unanswered flow. An answer is a SYN-ACK of the backend, also to a flow
//      without an entry: while a SYN flood uses up the table, clients have only such flows. `failures`
//      failures since the latest answer eject the backend. An answer between two looks forgets all failures
//      before the second look.
//      While flows find no room in the table, failures count only once the backend has not answered for
//      kFloodPatience: most failures are of strangers' flows, and clients' answers may be rare.
//   2. The n-th ejection lasts n times `time`, at most kLongest. Each kForgiveEvery without an ejection
//      forgives one: n falls by 1.
//   3. At most `max_share` percent of a pool's weight is ejected, so a pool of one backend loses none. The
//      others take its flows. If all others are down, the ejected backends serve (health_policy.h).
//   4. A backend of a colour that is judged stays kJudgedFirst longer: the judgement sees its failures.
//   5. A colour that gets no new flows loses its ejections: after a rollback, an operator repairs the colour
//      and begins again.
//
// Worked example, with the defaults and a colour that nobody judges:
//
//   0.0 s   5 flows are refused: ejected until 30.0 s
//   30.0 s  it takes flows again, and 5 are refused at 30.1 s: ejected for 60 s, until 90.1 s
//   90.1 s  it takes flows again and answers; at 100.1 s and at 110.1 s an ejection is forgiven
//
// Only TCP counts. A UDP protocol may have no replies (syslog). A stranger can send UDP requests that a
// backend need not answer, and he must not be able to eject it (promise 18). A server that accepts
// connections and hangs answers by its kernel, so only a check finds it.
//
// Ejections are in memory: after a restart of teald, a backend that fails must fail again.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/loop/clock.h"
#include "control/state/catalogue.h"

namespace teal {

// The counts of a backend, of both colours and all workers. They only grow while a segment lives.
struct BackendSums {
  uint64_t failures = 0, answers = 0;
};

// The ejector asks this about backends.
struct EjectionFacts {
  std::function<BackendSums(uint16_t backend)> sums;
  std::function<bool(uint16_t backend)> is_down;  // by its checks
  std::function<bool(uint16_t service, Colour)> is_judged;
  bool lacks_room = false;  // lately a flow found no room in the table
};

class Ejector {
 public:
  static constexpr std::chrono::seconds kLongest{300}, kForgiveEvery{10}, kJudgedFirst{1}, kFloodPatience{10};

  struct Ejection {
    Clock::Time until{};
    int64_t until_ms = 0;   // since 1970, UTC
    uint64_t failures = 0;  // since the latest answer
    uint32_t times = 0;     // this is so many ejections that are not forgiven
  };

  explicit Ejector(const Clock& clock) : clock_(clock), slots_(kMaxBackends) {}

  // Looks at each backend of TCP services. To be called about ten times a second. Returns true if a backend
  // was ejected or came back.
  bool look(const Catalogue& catalogue, const EjectionFacts& facts);

  // Null: the backend takes new flows, as far as the ejector knows.
  const Ejection* of(uint16_t backend) const {
    return slots_[backend].ejection ? &*slots_[backend].ejection : nullptr;
  }
  // Returns when the backend came back from its latest ejection; nothing: it was not ejected.
  std::optional<Clock::Time> rose_at(uint16_t backend) const { return slots_[backend].rose_at; }
  // Returns the failures since the latest answer.
  uint64_t failures(uint16_t backend) const { return slots_[backend].run; }

  // A backend that was ejected, or came back.
  struct Turn {
    std::string address;
    std::string service;
    bool ejected;
    std::string reason;  // "5 failures since its last answer"; "" if it came back
    int64_t until_ms;    // 0: it came back
  };
  // Returns the turns since the last call, in their order.
  std::vector<Turn> take_turns() { return std::exchange(turns_, {}); }

 private:
  struct Slot {
    uint16_t service = kNoId;  // id; kNoId: nothing is known
    Socket socket;
    BackendSums seen;
    Clock::Time answered_at{};             // or when it was first seen
    uint64_t run = 0;                      // failures since the latest answer
    std::optional<Clock::Time> failed_at;  // the run reached the limit then
    std::optional<Ejection> ejection;
    std::optional<Clock::Time> rose_at;
    uint32_t times = 0;
    Clock::Time forgive_at{};
  };

  void follow(const Catalogue& catalogue);
  void count(Slot& slot, const BackendSums& sums, bool lacks_room);
  bool end_if_over(Slot& slot, bool may_last, const std::string& service);
  bool eject_if_due(const CatalogueService& service, const PoolMember& member, const EjectionFacts& facts);
  bool leaves_enough(const CatalogueService& service, uint16_t backend) const;

  const Clock& clock_;
  std::vector<Slot> slots_;  // by backend id
  std::vector<Turn> turns_;
};

// "5 failures since its last answer"
std::string reason_of(const Ejector::Ejection& ejection);

}  // namespace teal
