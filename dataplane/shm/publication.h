// SPDX-License-Identifier: Apache-2.0
//
// Publication brings teald's changes to the workers.
//
// One atomic word names a ruleset slot, a split slot and the generation. A worker loads the word once per
// burst, so a whole burst is forwarded under one generation. teald fills slots that no worker reads, then
// stores the word. A slot becomes free again after a grace period of rte_rcu_qsbr. An acknowledgement does
// not wait for the grace period but for each worker's *adopted* word: a grace period may end before a worker
// has loaded the new word.
//
//   teald                                        worker
//   fill slots                                   online (rte_rcu_qsbr)
//   word.store(seq_cst)  ----------------------> word.load(acquire)
//   token + 1 (rte_rcu_qsbr)                     adopted_word.store(release)   only when the word changed
//   adopted_word.load(acquire)  <--------------- burst ... quiescent
//
// Invariants:
//   1. The contents of a slot never change while the word names the slot, or a worker may still read it.
//   2. Generations only grow.
//   3. A worker never reads a slot after it went offline or quiescent, until it has loaded the word again.
//   4. A worker counts as adopted only if its next burst is of the published generation or a later one.
//
// Invariant 4 holds for workers that sleep, too. A worker goes offline before it sleeps. When it wakes, it
// goes online, which has a full fence, and then loads the word. teald's store of the word and its later loads
// of the worker's state and RCU counter are sequentially consistent (on x86-64 the store is an xchg). So
// either teald sees the worker offline, and the worker loads the new word when it wakes; or teald sees it
// online and waits for its adoption. A worker that starts is the same case: it is offline, stores kPolling,
// then passes the fence.
//
// Thread safety: PublicationWriter belongs to the one thread of teald that publishes. Each PublicationReader
// belongs to one worker thread. The two sides need no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "dataplane/shm/counters.h"

struct rte_rcu_qsbr;

namespace teal {

class Segment;

inline constexpr uint32_t kRulesetSlots = 4;
inline constexpr uint32_t kSplitSlots = 64;

struct PublicationWord {
  uint64_t generation = 0;  // 56 bits
  uint8_t ruleset_slot = 0;
  uint8_t split_slot = 0;

  // A new segment has this word. Generation 0 is never published. Slots 0 of a new segment hold no service.
  static constexpr uint64_t kNothingPublished = 0;

  constexpr uint64_t pack() const { return generation << 8 | uint64_t{split_slot} << 2 | ruleset_slot; }
  static constexpr PublicationWord unpack(uint64_t word) {
    return {word >> 8, static_cast<uint8_t>(word & 3), static_cast<uint8_t>((word >> 2) & 63)};
  }
};

// How many workers have adopted a publication.
struct Adoption {
  uint32_t live = 0;      // workers that run
  uint32_t adopted = 0;   // the live workers that loaded this word or a later one, or that sleep
  uint32_t asleep = 0;    // the adopted workers that sleep and have not loaded the word yet
  double slowest_us = 0;  // from the store of the word to the last adoption; 0 if all workers sleep
  bool complete() const { return adopted == live; }
};

// teald's side. One object per process; not thread safe.
class PublicationWriter {
 public:
  // Continues after an earlier teald: all slots that the present word does not name become free after one
  // grace period.
  explicit PublicationWriter(Segment& segment);

  PublicationWord current() const;

  // Returns a slot that no worker can read. Returns nothing if all slots wait for a grace period (a worker is
  // stalled).
  std::optional<uint8_t> free_ruleset_slot();
  std::optional<uint8_t> free_split_slot();

  // Stores the word. The caller has filled its slots. `word.generation` is above the present one (asserted).
  void publish(PublicationWord word);

  // Returns true if every worker has passed a quiescent state since the last publish(). Retired ids and
  // steering entries are removed only then.
  bool grace_period_over();

  // Returns the adoption of the latest publish(). Before this object's first publish(), returns the adoption
  // of the present word, without a time. If `dataplane_running` is false, `live` is 0, as the segment may
  // hold the state of a dead dataplane.
  Adoption adoption(bool dataplane_running) const;

  // Writes the acknowledged generation. From then on, an insert under an older generation counts as
  // wrong_colour_flows.
  void acknowledge(uint64_t generation);

  // Unregisters the readers of a dead dataplane; otherwise no grace period would ever end. The caller holds
  // RUN_DIR/dataplane.lock during the call (ProcessLock::acquire). ProcessLock::is_held() is not enough: a
  // dataplane could start in between, its workers would be unregistered, and slots that they read would be
  // written.
  void forget_dead_readers();

 private:
  bool passed(uint64_t token) const;

  Segment& segment_;
  uint64_t latest_token_ = 0;
  uint64_t published_at_tsc_ = 0;
  // The RCU token after which a slot is free; nothing if the slot is free.
  std::array<std::optional<uint64_t>, kRulesetSlots> ruleset_busy_until_;
  std::array<std::optional<uint64_t>, kSplitSlots> split_busy_until_;
};

// Unregisters every reader. The caller holds dataplane.lock: a starting dataplane (Segment::open_or_create)
// or forget_dead_readers().
void forget_readers(Segment& segment);

// A worker's side. One thread constructs and uses it. The constructor registers the reader and takes it
// online; the destructor unregisters it.
class PublicationReader {
 public:
  PublicationReader(Segment& segment, uint32_t worker);
  ~PublicationReader();
  PublicationReader(const PublicationReader&) = delete;
  PublicationReader& operator=(const PublicationReader&) = delete;

  // Returns the word for a whole burst. Called at the start of a burst.
  uint64_t load();
  // Reports a quiescent state: the worker holds no reference into a slot. Called at the end of a burst.
  void quiescent();
  void offline();  // before a sleep
  void online();   // after a sleep, before load()

 private:
  std::atomic<uint64_t>& word_;
  rte_rcu_qsbr* qsbr_;
  WorkerStatus& status_;
  uint32_t worker_;
  uint64_t adopted_ = ~uint64_t{0};  // not a word, so the first load() always adopts
};

}  // namespace teal
