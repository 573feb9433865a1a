// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/publication.h"

#include <algorithm>
#include <cassert>

#include "dataplane/shm/segment.h"

#include <rte_rcu_qsbr.h>

#include <unistd.h>
#include <x86intrin.h>

namespace teal {
namespace {

// Returns the first free slot other than `in_use`, which the present word names. Resets tokens that have
// passed.
template <size_t kSlots, typename Passed>
std::optional<uint8_t> free_slot(std::array<std::optional<uint64_t>, kSlots>& busy_until, uint8_t in_use,
                                 const Passed& passed) {
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (slot == in_use) continue;
    if (busy_until[slot] && passed(*busy_until[slot])) busy_until[slot].reset();
    if (!busy_until[slot]) return static_cast<uint8_t>(slot);
  }
  return std::nullopt;
}

}  // namespace

PublicationWriter::PublicationWriter(Segment& segment)
    : segment_(segment), latest_token_(rte_rcu_qsbr_start(segment.qsbr())) {
  if (current().generation == 0) return;  // no worker can have read a slot other than 0
  // A worker may still be in a burst of any word that an earlier teald published.
  ruleset_busy_until_.fill(latest_token_);
  split_busy_until_.fill(latest_token_);
}

PublicationWord PublicationWriter::current() const {
  // Relaxed: this process is the only writer.
  return PublicationWord::unpack(segment_.header().word.load(std::memory_order_relaxed));
}

std::optional<uint8_t> PublicationWriter::free_ruleset_slot() {
  return free_slot(ruleset_busy_until_, current().ruleset_slot,
                   [this](uint64_t token) { return passed(token); });
}

std::optional<uint8_t> PublicationWriter::free_split_slot() {
  return free_slot(split_busy_until_, current().split_slot, [this](uint64_t token) { return passed(token); });
}

void PublicationWriter::publish(PublicationWord word) {
  const PublicationWord previous = current();
  assert(word.generation > previous.generation);
  // Before the word: a teald that is killed here leaves a log that agrees with the word.
  segment_.header().published[previous.generation % kPublishedLog].store(previous.generation,
                                                                         std::memory_order_relaxed);
  published_at_tsc_ = __rdtsc();
  // As a release store, it publishes the slots' contents to the acquire load in PublicationReader::load(). It
  // is also sequentially consistent, as are the loads in adoption(). The partner is the full fence of a
  // worker between going online (or becoming kPolling) and loading the word. Either adoption() sees the
  // worker online and waits for its adoption, or the worker sees this word.
  segment_.header().word.store(word.pack(), std::memory_order_seq_cst);
  // The token is taken after the store: a worker that passes it loads the new word before it reads a slot
  // again.
  latest_token_ = rte_rcu_qsbr_start(segment_.qsbr());
  ruleset_busy_until_[previous.ruleset_slot] = latest_token_;
  split_busy_until_[previous.split_slot] = latest_token_;
  ruleset_busy_until_[word.ruleset_slot].reset();
  split_busy_until_[word.split_slot].reset();
}

bool PublicationWriter::passed(uint64_t token) const {
  if (rte_rcu_qsbr_check(segment_.qsbr(), token, false) == 0) return false;
  // rte_rcu_qsbr_check() synchronizes with quiescent() and offline(), but not with online(), whose store of
  // the counter is relaxed, nor with unregistered readers. The earlier reads of such workers are ordered by
  // their release stores of `state`, with which these loads pair.
  for (uint32_t i = 0; i < kWorkerSlots; ++i)
    (void)segment_.worker(i).status.state.load(std::memory_order_acquire);
  return true;
}

bool PublicationWriter::grace_period_over() {
  return passed(latest_token_);
}

Adoption PublicationWriter::adoption(bool dataplane_running) const {
  Adoption adoption;
  if (!dataplane_running) return adoption;
  const uint64_t generation = current().generation;
  uint64_t latest_tsc = 0;
  for (uint32_t i = 0; i < kWorkerSlots; ++i) {
    const WorkerStatus& status = segment_.worker(i).status;
    // Sequentially consistent: see publish().
    if (status.state.load(std::memory_order_seq_cst) == WorkerState::kAbsent) continue;
    ++adoption.live;
    // Acquire: pairs with the release store in PublicationReader::load(), so adopted_at_tsc is visible, too.
    const uint64_t adopted_word = status.adopted_word.load(std::memory_order_acquire);
    if (PublicationWord::unpack(adopted_word).generation >= generation) {
      ++adoption.adopted;
      latest_tsc = std::max(latest_tsc, status.adopted_at_tsc.load(std::memory_order_relaxed));
    } else if (__atomic_load_n(&segment_.qsbr()->qsbr_cnt[i].cnt, __ATOMIC_SEQ_CST) ==
               __RTE_QSBR_CNT_THR_OFFLINE) {
      ++adoption.adopted;
      ++adoption.asleep;
    }
  }
  const uint64_t tsc_hz = segment_.header().tsc_hz;
  if (published_at_tsc_ != 0 && latest_tsc > published_at_tsc_ && tsc_hz != 0)
    adoption.slowest_us =
        static_cast<double>(latest_tsc - published_at_tsc_) * 1e6 / static_cast<double>(tsc_hz);
  return adoption;
}

void PublicationWriter::acknowledge(uint64_t generation) {
  // Release: orders the acknowledgement after the adoptions that teald has seen. So an insert that a worker
  // counts as wrong really came after all workers had adopted the generation.
  segment_.header().acknowledged.store(generation, std::memory_order_release);
}

void PublicationWriter::forget_dead_readers() {
  forget_readers(segment_);
}

void forget_readers(Segment& segment) {
  rte_rcu_qsbr* qsbr = segment.qsbr();
  for (uint32_t i = 0; i < kWorkerSlots; ++i) {
    // Unregistering alone leaves the dead thread's counter. When offline, the counter holds up no grace
    // period between the registration of the next owner and its going online.
    rte_rcu_qsbr_thread_offline(qsbr, i);
    rte_rcu_qsbr_thread_unregister(qsbr, i);
    segment.worker(i).status.state.store(WorkerState::kAbsent, std::memory_order_release);
  }
  // rte_rcu_qsbr_check() relies on num_threads. The number is wrong if a thread was killed between setting
  // its bit and raising the number.
  __atomic_store_n(&qsbr->num_threads, 0, __ATOMIC_RELEASE);
}

PublicationReader::PublicationReader(Segment& segment, uint32_t worker)
    : word_(segment.header().word),
      qsbr_(segment.qsbr()),
      status_(segment.worker(worker).status),
      worker_(worker) {
  status_.adopted_word.store(PublicationWord::kNothingPublished, std::memory_order_relaxed);
  status_.thread_id.store(static_cast<uint32_t>(gettid()), std::memory_order_relaxed);
  rte_rcu_qsbr_thread_register(qsbr_, worker_);
  online();
}

PublicationReader::~PublicationReader() {
  rte_rcu_qsbr_thread_offline(qsbr_, worker_);
  // Release, before unregistering: pairs with the acquire load in passed().
  status_.state.store(WorkerState::kAbsent, std::memory_order_release);
  rte_rcu_qsbr_thread_unregister(qsbr_, worker_);
}

uint64_t PublicationReader::load() {
  const uint64_t word = word_.load(std::memory_order_acquire);  // pairs with the store in publish()
  if (word != adopted_) [[unlikely]] {
    adopted_ = word;
    _mm_lfence();  // the TSC must not be read before the word
    status_.adopted_at_tsc.store(__rdtsc(), std::memory_order_relaxed);
    status_.adopted_word.store(word, std::memory_order_release);  // pairs with the load in adoption()
  }
  return word;
}

void PublicationReader::quiescent() {
  rte_rcu_qsbr_quiescent(qsbr_, worker_);
}

void PublicationReader::offline() {
  status_.state.store(WorkerState::kAsleep, std::memory_order_relaxed);
  rte_rcu_qsbr_thread_offline(qsbr_, worker_);
}

void PublicationReader::online() {
  // Release, before the counter's store and its full fence: adoption() must find every worker alive that
  // loaded an older word. Pairs with the loads in adoption() and passed().
  status_.state.store(WorkerState::kPolling, std::memory_order_release);
  rte_rcu_qsbr_thread_online(qsbr_, worker_);
}

}  // namespace teal
