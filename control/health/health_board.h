// SPDX-License-Identifier: Apache-2.0
//
// The health of each backend that has a check: up, down or unchecked, why, and since when. teal-health
// reports it. The board keeps the latest report: if no prober is connected, or it is silent, the health stays
// as it was, and unknown_since_ms() says since when it may be out of date.
//
// The board also has the passive ejections, which need no check (ejector.h).
//
// A backend that was never checked is "unchecked". It takes new flows, as a backend without a check does.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/health/ejector.h"
#include "control/health/health_messages.h"
#include "control/loop/clock.h"
#include "control/state/catalogue.h"

namespace teal {

enum class Health : uint8_t { kUnchecked, kUp, kDown };
inline constexpr const char* kHealthNames[] = {"unchecked", "up", "down"};

inline const char* name_of(Health health) {
  return kHealthNames[static_cast<size_t>(health)];
}

struct BackendHealth {
  Health health = Health::kUnchecked;
  std::optional<bool> passed;          // the latest check; nothing: no report since teald started
  Clock::Time heard_at{};              // the latest report
  std::string reason;                  // of the latest failure; empty: none since the backend is up
  int64_t since_ms = 0;                // of `health`, since 1970, UTC; 0: unchecked
  std::optional<Clock::Time> rose_at;  // it was down and came back then: a slow start begins
};

// What the file keeps over a restart of teald, by service and address.
struct KnownHealth {
  bool up = false;
  std::string reason;
  int64_t since_ms = 0;
  int64_t rose_ms = 0;  // 0: it was not down before

  friend bool operator==(const KnownHealth&, const KnownHealth&) = default;
};
struct HealthMemory {
  std::map<std::pair<std::string, std::string>, KnownHealth> backends;
  int64_t heard_ms = 0;  // the latest message of a prober; 0: none
};

class HealthBoard {
 public:
  // A prober that says nothing for this time is silent. It says something each second.
  static constexpr std::chrono::seconds kLongestSilence{3};
  // It answers an order to check at once with ProberAlive.
  static constexpr std::chrono::milliseconds kLongestToAcknowledge{300};

  explicit HealthBoard(const Clock& clock) : clock_(clock), ejector_(clock), slots_(kMaxBackends) {}

  // Takes over what the last teald knew. To be called before the first follow().
  void remember(HealthMemory memory);
  HealthMemory memory() const;

  // Follows the checks of the config. A backend that is checked no longer is forgotten. Returns true if the
  // list of checks has changed: it then has another revision.
  bool follow(const Catalogue& catalogue);
  // With what the board knows of each backend, for a prober that starts.
  CheckList list() const;
  uint64_t revision() const { return revision_; }  // of the list
  size_t checked() const { return orders_.size(); }

  // Returns false if the report is not about a check of the present list.
  bool take(const HealthReport& report);

  // Null: the backend has no check.
  const BackendHealth* of(uint16_t backend) const {
    return slots_[backend].is_checked ? &slots_[backend].health : nullptr;
  }
  bool is_down(uint16_t backend) const {
    return slots_[backend].is_checked && slots_[backend].health.health == Health::kDown;
  }

  Ejector& ejector() { return ejector_; }
  const Ejector& ejector() const { return ejector_; }
  // Returns whether the backend takes no new flows: it is down, or ejected.
  bool is_out(uint16_t backend) const { return is_down(backend) || ejector_.of(backend) != nullptr; }
  // Says why: "down: connection refused", "ejected: 5 failures since its last answer". "" if it is not out.
  std::string why_out(uint16_t backend) const;

  void prober_came();
  void prober_spoke();
  void prober_left() { connected_ = false; }
  bool is_connected() const { return connected_; }
  // Returns whether a prober is connected and not silent.
  bool is_fresh() const { return connected_ && clock_.now() < heard_at_ + kLongestSilence; }
  bool has_heard_since(Clock::Time time) const { return heard_at_ >= time; }
  // Returns whether the prober hangs: it has not even acknowledged an order of that time.
  bool ignores_order_of(Clock::Time time) const {
    return !has_heard_since(time) && clock_.now() >= time + kLongestToAcknowledge;
  }
  int64_t heard_ms() const { return heard_ms_; }  // the latest message of a prober, UTC; 0: there was none
  // Returns since when reports are missing; nothing while is_fresh(); 0 if there was never a prober.
  std::optional<int64_t> unknown_since_ms() const;

  // A backend that went up or down.
  struct Turn {
    uint16_t backend;
    std::string address;
    std::string service;
    bool up;
    std::string reason;
  };
  // Returns the turns since the last call, in their order. "unchecked" to "up" is no turn.
  std::vector<Turn> take_turns() { return std::exchange(turns_, {}); }
  // Grows with each change of what memory() returns, apart from heard_ms.
  uint64_t version() const { return version_; }

 private:
  struct Slot {
    bool is_checked = false;
    uint16_t service = kNoId;  // id
    Socket socket;
    BackendHealth health;
  };

  std::vector<CheckOrder> orders_of(const Catalogue& catalogue) const;
  void take_over(Slot& slot, const CheckOrder& order);

  const Clock& clock_;
  Ejector ejector_;
  std::vector<Slot> slots_;  // by backend id
  std::vector<CheckOrder> orders_;
  std::vector<const CheckOrder*> order_of_ = std::vector<const CheckOrder*>(kMaxBackends);  // by backend id
  uint64_t revision_ = 0;
  std::optional<HealthMemory> memory_;  // until the first follow()
  bool connected_ = false;
  Clock::Time heard_at_{};
  int64_t heard_ms_ = 0;
  std::vector<Turn> turns_;
  uint64_t version_ = 0;
};

}  // namespace teal
