// SPDX-License-Identifier: Apache-2.0
//
// teald's access to the shared segment. The Publisher attaches to the segment, follows it when a dataplane
// replaces it, fills slots and stores the word. It never waits: adoption.h waits for a free slot or for an
// adoption.
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
  // `proc` shows the processes; tests have their own.
  explicit Publisher(std::string run_dir, std::string proc = "/proc")
      : run_dir_(std::move(run_dir)), proc_(std::move(proc)) {}

  struct News {
    bool new_segment = false;  // attached just now: it has nothing of teald, or what another teald wrote
    bool dataplane_started = false;  // since the last call: ports and their ids may differ
  };
  // Follows RUN_DIR/segment; cheap when nothing changed. It succeeds without a segment. The error says why a
  // segment that exists was refused.
  tl::expected<News, std::string> refresh();
  // The error of the latest refresh(); "" if it succeeded. A refused segment is not an absent one: a
  // dataplane may use it, so nothing may be changed.
  const std::string& refused() const { return refused_; }

  const std::string& run_dir() const { return run_dir_; }
  bool attached() const { return segment_ != nullptr; }
  // For readers that suspend: the mapping lives as long as they hold the pointer.
  std::shared_ptr<Segment> segment() const { return segment_; }

  // Looks at the dataplane's lock each time, so the answer is never out of date. A process that was killed
  // holds its lock until the kernel has freed its memory: such a process does not run. Where /proc does not
  // show the process, the lock alone decides: a process that is being killed then counts as running.
  bool dataplane_running() const;
  // Returns whether /proc hides the process that holds the lock: it has hidepid=, teald's unit has
  // ProtectProc=invisible, or the process is in another PID namespace.
  bool is_dataplane_hidden() const;
  // Returns the pid of the process that holds that lock; 0: it is not known. A dataplane that starts holds
  // the lock before it writes its ports and its pid into the segment.
  uint32_t dataplane_pid() const;

  // Returns whether the dataplane has AF_XDP ports: the steering program must know the services.
  bool is_steered() const;

  // The generation and the slots that the segment's word names. Without a segment, or before the first
  // publication, the generation is 0 and the slots are null.
  uint64_t generation() const;
  // The latest generation that any teald published for these flows, also before an upgrade. 0 without a
  // segment.
  uint64_t latest_generation() const;
  // Returns whether flows may exist, also where the segment is missing.
  bool has_flows() const;
  const Ruleset* ruleset() const;
  const TrafficSplits* splits() const;

  // Returns whether this generation was published. Only the last generations are known (kPublishedLog):
  // nothing for an older one, and false without a segment.
  std::optional<bool> was_published(uint64_t generation) const;

  // Publishes, or returns false if no slot is free because a worker is stalled: try again later. There must
  // be a segment, and for publish_splits() an earlier publication. (If the workers of a dead dataplane still
  // claim slots, their claims are dropped here and in grace_period_over().)
  [[nodiscard]] bool publish_all(uint64_t generation, const Ruleset& ruleset, const TrafficSplits& splits);
  [[nodiscard]] bool publish_splits(uint64_t generation, std::span<const SplitUpdate> updates);

  Adoption adoption(bool dataplane_running) const { return writer_->adoption(dataplane_running); }
  void acknowledge(uint64_t generation) { writer_->acknowledge(generation); }
  uint64_t acknowledged() const;  // 0 without a segment
  // Returns whether every worker has passed a quiescent state since the latest publication. True without a
  // segment.
  bool grace_period_over();

  // The oldest generation among the workers that poll: the present one if all sleep, 0 if no dataplane runs.
  uint64_t adopted_generation(bool dataplane_running) const;

  // Calls visit(const WorkerBlock&) for each worker that any dataplane on this segment has had. A total over
  // them never goes back, whatever the number of workers is.
  template <typename Visit>
  void for_each_block(Visit&& visit) const {
    for (uint32_t index = 0; index < block_count(); ++index) visit(std::as_const(segment_->worker(index)));
  }

  // Calls visit(index, const WorkerBlock&) for each worker that the dataplane has, or had before it died.
  template <typename Visit>
  void for_each_worker(Visit&& visit) const {
    for (uint32_t index = 0; index < worker_count(); ++index)
      visit(index, std::as_const(segment_->worker(index)));
  }

  // Whether the numbers of flows below are exact: a dataplane runs, and its start has counted all flows.
  // Otherwise they are those of the dataplane before. Nobody may conclude from them that a flow has ended.
  bool counts_are_exact() const;

  // The flows of a backend, summed over all workers.
  struct FlowSum {
    uint64_t live = 0;
    uint64_t closing = 0;
  };
  FlowSum flows(uint16_t backend, Colour colour) const;
  // Its live flows that a drain waits for which this flip of its service began: those born under an older
  // generation. A worker that has not adopted the flip yet has only such flows.
  uint64_t draining(uint16_t backend, Colour colour, uint64_t flip_generation) const;
  bool holds_flows(uint16_t backend) const;
  // Returns whether the idle colour has answered a flow of a preview that began under this generation or a
  // later one. A new segment forgets it.
  bool has_answered_preview(uint16_t service, Colour idle, uint64_t since_generation) const;

 private:
  PublicationWord word() const;
  void publish(const PublicationWord& word);
  uint32_t worker_count() const;
  uint32_t block_count() const;
  bool forget_dead_readers();
  tl::expected<bool, std::string> attach();

  std::string run_dir_;
  std::string proc_;
  std::string refused_;
  std::shared_ptr<Segment> segment_;  // declared before the writer, which refers to it
  std::unique_ptr<PublicationWriter> writer_;
  uint64_t epoch_ = 0;
};

}  // namespace teal
