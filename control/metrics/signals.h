// SPDX-License-Identifier: Apache-2.0
//
// The signals that flows give about their backends (dataplane/shm/counters.h), summed over workers. All
// values only grow while a segment lives; a new segment begins at 0, and a dataplane that starts with fewer
// workers leaves the counts of the others out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>

#include "control/publish/publisher.h"
#include "dataplane/shm/counters.h"

namespace teal {

// Flows of one backend in one colour, by outcome. BackendSignals says what each field counts.
struct Outcomes {
  uint64_t begun = 0, answered = 0, refused = 0, unanswered = 0, reset_by_backend = 0, udp_unanswered = 0;
  uint64_t prompt_answers = 0, slow_answers = 0;  // of sampled flows

  void add(const BackendSignals& signals) {
    begun += signals.begun.read();
    answered += signals.answered.read();
    refused += signals.refused.read();
    unanswered += signals.unanswered.read();
    reset_by_backend += signals.reset_by_backend.read();
    udp_unanswered += signals.udp_unanswered.read();
    prompt_answers += signals.prompt_answers.read();
    slow_answers += signals.slow_answers.read();
  }
  friend bool operator==(const Outcomes&, const Outcomes&) = default;
};

// A histogram of times in microseconds.
struct Times {
  // buckets[i] counts times of at most bound_us(i) that are longer than bound_us(i - 1); the last one counts
  // times above all bounds.
  std::array<uint64_t, TimeHistogram::kBounds + 1> buckets{};
  uint64_t sum_us = 0;

  // 1 us, 2 us, 4 us, ... 16,777,216 us, for i below TimeHistogram::kBounds.
  static constexpr uint64_t bound_us(uint32_t i) { return uint64_t{1} << i; }
  uint64_t count() const { return std::accumulate(buckets.begin(), buckets.end(), uint64_t{0}); }

  void add(const TimeHistogram& histogram) {
    for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += histogram.buckets[i].read();
    sum_us += histogram.sum_us.read();
  }
  friend bool operator==(const Times&, const Times&) = default;
};

// The times of a service's sampled flows in one colour: at most 1,000 flows a second and worker.
struct TimesOfColour {
  Times handshake, first_answer;

  void add(const ServiceTimes& times) {
    handshake.add(times.handshake);
    first_answer.add(times.first_answer);
  }
};

// All zero without a segment. `backend` and `service` are ids.
inline Outcomes outcomes_of(const Publisher& publisher, uint16_t backend, Colour colour) {
  Outcomes sum;
  publisher.for_each_block(
      [&](const WorkerBlock& worker) { sum.add(worker.signals[backend][static_cast<size_t>(colour)]); });
  return sum;
}
// Whether a worker found no room for a flow in the last `ticks` before `now`.
inline bool found_no_room_within(const Publisher& publisher, uint64_t ticks, uint64_t now) {
  const std::shared_ptr<Segment> segment = publisher.segment();
  if (segment == nullptr) return false;
  const uint64_t latest = segment->flows().last_insert_failure_tick.load(std::memory_order_relaxed);
  return latest != 0 && age_in_ticks(latest, now) <= ticks;
}

// The backend's SYN-ACKs to flows without an entry.
inline uint64_t stateless_answers_of(const Publisher& publisher, uint16_t backend) {
  uint64_t sum = 0;
  publisher.for_each_block(
      [&](const WorkerBlock& worker) { sum += worker.stateless_answers[backend].read(); });
  return sum;
}
inline TimesOfColour times_of(const Publisher& publisher, uint16_t service, Colour colour) {
  TimesOfColour sum;
  publisher.for_each_block(
      [&](const WorkerBlock& worker) { sum.add(worker.times[service][static_cast<size_t>(colour)]); });
  return sum;
}

}  // namespace teal
