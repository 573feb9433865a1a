// SPDX-License-Identifier: Apache-2.0
//
// teald's hand on the shared segment: finds it, follows it when a dataplane replaces it, fills slots and
// stores the word. It never waits: whoever needs a free slot or an adoption comes again (executor.h).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <tl/expected.hpp>

#include "dataplane/shm/segment.h"

namespace teal {

struct SplitUpdate {
  uint16_t service = kNoId;  // id
  TrafficSplit split;
};

class Publisher {
 public:
  explicit Publisher(std::string run_dir) : run_dir_(std::move(run_dir)) {}

  struct News {
    bool new_segment = false;  // attached just now: all that teald writes into a segment is missing in it, or
                               // of another teald
    bool dataplane_started = false;  // since the last time: ports and their ids may differ
  };
  // Follows RUN_DIR/segment; cheap when nothing changed. No segment at all is no error. The error says why
  // one that is there was refused.
  tl::expected<News, std::string> refresh();

  bool attached() const { return segment_ != nullptr; }
  // For readers that go on over a suspension: the mapping lives as long as they hold it.
  std::shared_ptr<Segment> segment() const { return segment_; }

  // Asks the lock, so it is never out of date.
  bool dataplane_running() const;

  // What the segment's word names; generation 0 and null: no segment, or nothing published in it yet.
  uint64_t generation() const;
  const Ruleset* ruleset() const;
  const TrafficSplits* splits() const;

  // False: all slots wait for a stalled worker; come again. The publication was not made then. (Claims of a
  // dead dataplane's workers are dropped here and in grace_period_over(), where they would be in the way.)
  // There is a segment, and for publish_splits() something is published in it.
  [[nodiscard]] bool publish_all(uint64_t generation, const Ruleset& ruleset, const TrafficSplits& splits);
  [[nodiscard]] bool publish_splits(uint64_t generation, std::span<const SplitUpdate> updates);

  Adoption adoption(bool dataplane_running) const { return writer_->adoption(dataplane_running); }
  void acknowledge(uint64_t generation) { writer_->acknowledge(generation); }
  // Has every worker let go of what was published before? True without a segment.
  bool grace_period_over();

  // The oldest generation that a worker goes by; the present one if all sleep, 0 if no dataplane runs.
  uint64_t adopted_generation(bool dataplane_running) const;

  // visit(index, const WorkerBlock&), for the workers that the dataplane has, or had before it died.
  template <typename Visit>
  void for_each_worker(Visit&& visit) const {
    for (uint32_t index = 0; index < worker_count(); ++index)
      visit(index, std::as_const(segment_->worker(index)));
  }

  // Flows of a backend, over all workers.
  struct FlowSum {
    uint64_t live = 0;
    uint64_t closing = 0;
  };
  FlowSum flows(uint16_t backend, Colour colour) const;
  bool holds_flows(uint16_t backend) const;

 private:
  PublicationWord word() const;
  uint32_t worker_count() const;
  bool forget_dead_readers();

  std::string run_dir_;
  std::shared_ptr<Segment> segment_;  // declared before the writer, which refers to it
  std::unique_ptr<PublicationWriter> writer_;
  uint64_t epoch_ = 0;
};

}  // namespace teal
