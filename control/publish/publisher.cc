// SPDX-License-Identifier: Apache-2.0
#include "control/publish/publisher.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "dataplane/shm/process_lock.h"

namespace teal {

namespace {

// Reads the line about a process (proc(5), /proc/PID/stat); "": `proc` does not show the process.
std::string stat_line(const std::string& proc, uint32_t pid) {
  std::string text;
  std::getline(std::ifstream(fmt::format("{}/{}/stat", proc, pid)), text);
  return text;
}

// Returns whether the flags say that the process is ending: the kernel sets PF_EXITING when that begins.
bool is_exiting(const std::string& text) {
  constexpr uint64_t kExiting = 0x4;  // linux/sched.h
  // The name of the program is in brackets and may have spaces and brackets itself.
  std::istringstream fields(text.substr(std::min(text.rfind(')'), text.size() - 1) + 1));
  std::string skipped;
  for (int field = 3; field < 9; ++field) fields >> skipped;
  uint64_t flags = 0;
  return fields >> flags && (flags & kExiting) != 0;
}

}  // namespace

tl::expected<Publisher::News, std::string> Publisher::refresh() {
  refused_.clear();
  News news;
  if (segment_ != nullptr && !segment_->is_current(run_dir_)) {
    writer_.reset();
    segment_.reset();
  }
  if (segment_ == nullptr) {
    const tl::expected<bool, std::string> found = attach();
    if (!found) return tl::unexpected(refused_ = found.error());
    if (!*found) return news;
    news.new_segment = true;
  }
  const uint64_t epoch =
      segment_->header().dataplane_epoch.load(std::memory_order_acquire);  // with its store after the ports
  news.dataplane_started = epoch != epoch_;
  epoch_ = epoch;
  return news;
}

// Returns false without a segment.
tl::expected<bool, std::string> Publisher::attach() {
  std::error_code error;
  const std::string path = run_dir_ + "/segment";
  if (!std::filesystem::exists(path, error)) {
    if (error) return tl::unexpected(fmt::format("{}: {}", path, error.message()));
    return false;
  }
  tl::expected<Segment, std::string> attached = Segment::attach(run_dir_);
  if (!attached) return tl::unexpected(attached.error());
  segment_ = std::make_shared<Segment>(std::move(*attached));
  writer_ = std::make_unique<PublicationWriter>(*segment_);
  // The file of the flows may be a new one, or have been made while teald published.
  if (generation() != 0) note_ids(*ruleset(), segment_->flows().ids);
  epoch_ = 0;
  return true;
}

bool Publisher::dataplane_running() const {
  const uint32_t holder = dataplane_pid();
  if (holder == 0 || segment_ == nullptr) return holder != 0;
  // A dataplane that starts has the lock, and its pid is not in the header yet.
  if (segment_->header().dataplane_pid.load(std::memory_order_acquire) != holder) return false;
  const std::string stat = stat_line(proc_, holder);
  // Without the line, the process has ended since the look at the lock, or it is hidden.
  return stat.empty() ? dataplane_pid() == holder : !is_exiting(stat);
}

bool Publisher::is_dataplane_hidden() const {
  const uint32_t holder = dataplane_pid();
  return holder != 0 && stat_line(proc_, holder).empty() && dataplane_pid() == holder;
}

uint32_t Publisher::dataplane_pid() const {
  return ProcessLock::pid_of_holder(run_dir_ + "/dataplane.lock");
}

uint64_t Publisher::acknowledged() const {
  return segment_ == nullptr ? 0 : segment_->header().acknowledged.load(std::memory_order_relaxed);
}

bool Publisher::is_steered() const {
  return segment_ != nullptr && segment_->header().steering.load(std::memory_order_relaxed) != 0;
}

// Takes the dataplane's lock, so that none starts meanwhile: a dataplane that tried to would be refused. So
// the lock is held for some microseconds only, and only while a change waits for readers that cannot answer.
bool Publisher::forget_dead_readers() {
  if (dataplane_running()) return false;
  const tl::expected<ProcessLock, std::string> lock =
      ProcessLock::acquire(run_dir_ + "/dataplane.lock", std::chrono::milliseconds(0));
  if (!lock) return false;
  writer_->forget_dead_readers();
  return true;
}

PublicationWord Publisher::word() const {
  if (segment_ == nullptr) return {};
  return PublicationWord::unpack(
      segment_->header().word.load(std::memory_order_relaxed));  // only we store it
}

uint64_t Publisher::generation() const {
  return word().generation;
}

const Ruleset* Publisher::ruleset() const {
  return generation() == 0 ? nullptr : &segment_->ruleset(word().ruleset_slot);
}

const TrafficSplits* Publisher::splits() const {
  return generation() == 0 ? nullptr : &segment_->splits(word().split_slot);
}

std::optional<bool> Publisher::was_published(uint64_t generation) const {
  const uint64_t present = this->generation();
  if (generation >= present) return generation == present && generation != 0;
  const uint64_t logged =
      segment_->header().published[generation % kPublishedLog].load(std::memory_order_relaxed);
  if (logged > generation) return std::nullopt;  // a later one took its place
  return logged == generation;
}

bool Publisher::publish_all(uint64_t generation, const Ruleset& ruleset, const TrafficSplits& splits) {
  std::optional<uint8_t> ruleset_slot = writer_->free_ruleset_slot();
  std::optional<uint8_t> split_slot = writer_->free_split_slot();
  if ((!ruleset_slot || !split_slot) && forget_dead_readers()) {
    ruleset_slot = writer_->free_ruleset_slot();
    split_slot = writer_->free_split_slot();
  }
  if (!ruleset_slot || !split_slot) return false;
  const size_t used = offsetof(Ruleset, maglev) + ruleset.maglev_used * sizeof(ruleset.maglev[0]);
  std::memcpy(&segment_->ruleset(*ruleset_slot), &ruleset, used);
  std::memcpy(&segment_->splits(*split_slot), &splits, sizeof(TrafficSplits));
  note_ids(ruleset, segment_->flows().ids);
  publish({generation, *ruleset_slot, *split_slot});
  return true;
}

bool Publisher::publish_splits(uint64_t generation, std::span<const SplitUpdate> updates) {
  const PublicationWord present = word();
  assert(present.generation != 0 && generation > present.generation);
  std::optional<uint8_t> slot = writer_->free_split_slot();
  if (!slot && forget_dead_readers()) slot = writer_->free_split_slot();
  if (!slot) return false;
  TrafficSplits& next = segment_->splits(*slot);
  std::memcpy(&next, &segment_->splits(present.split_slot), sizeof(TrafficSplits));
  for (const SplitUpdate& update : updates) next.services[update.service] = update.split;
  publish({generation, present.ruleset_slot, *slot});
  return true;
}

void Publisher::publish(const PublicationWord& word) {
  segment_->flows().generation.store(word.generation, std::memory_order_relaxed);
  writer_->publish(word);
}

uint64_t Publisher::latest_generation() const {
  return segment_ == nullptr ? 0 : segment_->flows().generation.load(std::memory_order_relaxed);
}

bool Publisher::has_flows() const {
  std::error_code error;
  return attached() || std::filesystem::exists(run_dir_ + "/" + kFlowsName, error);
}

bool Publisher::grace_period_over() {
  if (writer_ == nullptr || writer_->grace_period_over()) return true;
  return forget_dead_readers() && writer_->grace_period_over();
}

uint32_t Publisher::worker_count() const {
  if (segment_ == nullptr) return 0;
  return std::min(segment_->header().worker_count.load(std::memory_order_relaxed), kWorkerSlots);
}

uint32_t Publisher::block_count() const {
  if (segment_ == nullptr) return 0;
  const uint32_t most = segment_->header().most_workers.load(std::memory_order_relaxed);
  return std::max(worker_count(), std::min(most, kWorkerSlots));
}

uint64_t Publisher::adopted_generation(bool dataplane_running) const {
  if (!dataplane_running || segment_ == nullptr) return 0;
  uint64_t oldest = generation();
  for (uint32_t index = 0; index < worker_count(); ++index) {
    const WorkerStatus& status = segment_->worker(index).status;
    if (status.state.load(std::memory_order_relaxed) != WorkerState::kPolling) continue;
    const uint64_t adopted = status.adopted_word.load(std::memory_order_relaxed);
    oldest = std::min(oldest, PublicationWord::unpack(adopted).generation);
  }
  return oldest;
}

bool Publisher::counts_are_exact() const {
  if (segment_ == nullptr || !dataplane_running()) return false;
  const SegmentHeader& header = segment_->header();
  // Acquire: pairs with the release store of resume_flows().
  const uint64_t counted = header.counted_epoch.load(std::memory_order_acquire);
  return counted != 0 && counted == header.dataplane_epoch.load(std::memory_order_relaxed);
}

Publisher::FlowSum Publisher::flows(uint16_t backend, Colour colour) const {
  FlowSum sum;
  for (uint32_t index = 0; index < block_count(); ++index) {
    const FlowCount& count = segment_->worker(index).flows[backend][static_cast<size_t>(colour)];
    sum.live += count.live.load(std::memory_order_relaxed);
    sum.closing += count.closing.load(std::memory_order_relaxed);
  }
  return sum;
}

uint64_t Publisher::draining(uint16_t backend, Colour colour, uint64_t flip_generation) const {
  uint64_t sum = 0;
  for (uint32_t index = 0; index < block_count(); ++index) {
    const FlowCount& count = segment_->worker(index).flows[backend][static_cast<size_t>(colour)];
    // Acquire: pairs with the release store in FlowLedger::adopt().
    const bool adopted =
        count.older_than.load(std::memory_order_acquire) == static_cast<uint32_t>(flip_generation);
    sum += (adopted ? count.older : count.live).load(std::memory_order_relaxed);
  }
  return sum;
}

bool Publisher::has_answered_preview(uint16_t service, Colour idle, uint64_t since_generation) const {
  for (uint32_t index = 0; index < block_count(); ++index) {
    const uint32_t born =
        segment_->worker(index).services[service][static_cast<size_t>(idle)].answered_when_idle.load(
            std::memory_order_relaxed);
    if (born != 0 && !is_older(born, static_cast<uint32_t>(since_generation))) return true;
  }
  return false;
}

bool Publisher::holds_flows(uint16_t backend) const {
  for (const Colour colour : {Colour::kBlue, Colour::kGreen}) {
    const FlowSum sum = flows(backend, colour);
    if (sum.live + sum.closing != 0) return true;
  }
  return false;
}

}  // namespace teal
