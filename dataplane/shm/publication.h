// SPDX-License-Identifier: Apache-2.0
//
// How teald's changes reach the workers.
//
// One atomic word names a ruleset slot, a target slot and the generation. A worker loads it once per burst,
// so a burst sees one generation. teald fills slots that nobody reads, then stores the word. A slot becomes
// free again after a grace period of rte_rcu_qsbr; an acknowledgement, though, waits for the *adopted* word
// of each worker, as a grace period may end before a worker has loaded the new word.
//
// clang-format off
//   teald                                        worker
//   fill slots                                   online (rte_rcu_qsbr)         while it sleeps it is offline
//   word.store(seq_cst)  ----------------------> word.load(acquire)
//   token + 1 (rte_rcu_qsbr)                     adopted_word.store(release)   only when it changed
//   look at adopted_word, or offline (seq_cst)   burst ... quiescent
// clang-format on
//
// Sleeping: a worker is offline before it sleeps, and going online has a full fence before it loads the word.
// teald's store of the word and its look are sequentially consistent (on x86-64 the store is an xchg). So it
// either sees a worker offline, and then that one will load the new word on waking, or waits for its
// adoption. A starting worker is the same case: it is offline, then kPolling, then fenced.
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

  // Generation 0 is never published: the word of a new segment. It names slots 0, which hold no service.
  static constexpr uint64_t kNothingPublished = 0;

  constexpr uint64_t pack() const { return generation << 8 | uint64_t{split_slot} << 2 | ruleset_slot; }
  static constexpr PublicationWord unpack(uint64_t word) {
    return {word >> 8, static_cast<uint8_t>(word & 3), static_cast<uint8_t>((word >> 2) & 63)};
  }
};

// How far the workers are with a publication.
struct Adoption {
  uint32_t live = 0;  // workers that run
  uint32_t adopted =
      0;  // of these: on the word or a later one, or asleep (they will load it before anything else)
  uint32_t asleep = 0;    // of the adopted: asleep without having loaded it
  double slowest_us = 0;  // from the store of the word to the latest adoption; 0 where all are asleep
  bool complete() const { return adopted == live; }
};

// teald's side. One object per process; not thread safe.
class PublicationWriter {
 public:
  // Adopts what an earlier teald left: all slots but those of the present word become free after one grace
  // period.
  explicit PublicationWriter(Segment& segment);

  PublicationWord current() const;

  // Slots that no worker can be reading; nothing if all wait for a grace period (a worker is stalled).
  std::optional<uint8_t> free_ruleset_slot();
  std::optional<uint8_t> free_target_slot();

  // Stores the word. The slots were filled before; `word.generation` is above the present one (asserted).
  void publish(PublicationWord word);

  // Has every worker passed a quiescent state since the last publish()? (retired ids and steering entries
  // wait for this)
  bool grace_period_over();

  // Of the latest publish(); before the first of this object, of the present word, without a time.
  // `dataplane_running`: false makes `live` 0, whatever a dead dataplane left in the segment.
  Adoption adoption(bool dataplane_running) const;

  // Writes the acknowledged generation: from here on an insert under an older one counts as
  // wrong_colour_flows.
  void acknowledge(uint64_t generation);

  // Drops the claims of readers that died without unregistering: otherwise no grace period would ever end.
  // The caller holds RUN_DIR/dataplane.lock meanwhile (ProcessLock::acquire): a look at is_held() is not
  // enough, as a dataplane that starts just then would have its workers forgotten, and slots would be written
  // that they read.
  void forget_dead_readers();

 private:
  bool passed(uint64_t token) const;

  Segment& segment_;
  uint64_t latest_token_ = 0;
  uint64_t published_at_tsc_ = 0;
  // The token after which a slot is free; nothing: it is free.
  std::array<std::optional<uint64_t>, kRulesetSlots> ruleset_busy_until_;
  std::array<std::optional<uint64_t>, kSplitSlots> target_busy_until_;
};

// Unregisters every reader. By a starting dataplane (Segment::open_or_create does it) or
// forget_dead_readers(), under dataplane.lock.
void forget_readers(Segment& segment);

// A worker's side. Constructed and used by one thread. Construction registers it and takes it online;
// destruction unregisters it.
class PublicationReader {
 public:
  PublicationReader(Segment& segment, uint32_t worker);
  ~PublicationReader();
  PublicationReader(const PublicationReader&) = delete;
  PublicationReader& operator=(const PublicationReader&) = delete;

  // Start of a burst: the word that the whole burst goes by.
  uint64_t load();
  // End of a burst: nothing of the word's slots is used any more.
  void quiescent();
  void offline();  // before a sleep
  void online();   // after it, before load()

 private:
  std::atomic<uint64_t>& word_;
  rte_rcu_qsbr* qsbr_;
  WorkerStatus& status_;
  uint32_t worker_;
  uint64_t adopted_ = ~uint64_t{0};  // no word: the first load() adopts whatever it finds
};

}  // namespace teal
