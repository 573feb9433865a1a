// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/fake_dataplane.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <new>

#include <unistd.h>

#include "dataplane/shm/tsc_clock.h"

namespace teal {

FakeDataplane::FakeDataplane(const std::string& run_dir, uint32_t workers, bool hold_still)
    : hold_still_(hold_still) {
  auto lock = ProcessLock::acquire(run_dir + "/dataplane.lock");
  EXPECT_TRUE(lock) << lock.error();
  lock_.emplace(std::move(*lock));
  Segment::Options options;
  options.run_dir = run_dir;
  options.flow_capacity = 10'000;
  options.try_huge_pages = false;
  options.reserve = false;
  auto opened = Segment::open_or_create(options);
  EXPECT_TRUE(opened) << opened.error();
  segment_.emplace(std::move(opened->segment));
  SegmentHeader& header = segment_->header();
  static const uint64_t tsc_hz = measure_tsc_hz();
  header.tsc_hz = tsc_hz;
  header.dataplane_pid = static_cast<uint32_t>(getpid());
  header.worker_count = workers;
  header.most_workers = std::max(workers, header.most_workers.load());
  for (uint32_t worker = 0; worker < workers; ++worker)
    threads_.emplace_back([this, worker] { work(worker); });
  wait_for([&] { return ready_ == workers; });
  header.counted_epoch = header.dataplane_epoch + 1;
  header.dataplane_epoch.fetch_add(1, std::memory_order_release);
}

void FakeDataplane::work(uint32_t worker) {
  alignas(PublicationReader) std::byte memory[sizeof(PublicationReader)];
  auto* reader = new (memory) PublicationReader(*segment_, worker);
  ++ready_;
  bool is_still = false;
  while (!stop_ && !die_) {
    if (hold_still_ != is_still) {
      is_still = !is_still;
      is_still ? ++still_ : --still_;
    }
    if (is_still) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    (void)reader->load();
    reader->quiescent();
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // many tests run side by side
  }
  if (!die_) reader->~PublicationReader();  // a killed process would not have cleaned up
}

void FakeDataplane::hold_still(bool still) {
  hold_still_ = still;
  EXPECT_TRUE(wait_for([&] { return still_ == (still ? threads_.size() : 0); }));
}

void FakeDataplane::add_port(uint16_t id, const char* name, LinkState link, uint64_t missed) {
  PortRow& row = segment_->header().ports[id];
  strncpy(row.name, name, sizeof(row.name) - 1);
  strncpy(row.interface, name, sizeof(row.interface) - 1);
  strncpy(row.driver, "net_virtio", sizeof(row.driver) - 1);
  row.present = 1;
  row.queues = 2;
  row.spreads = 1;
  row.owned = 1;
  row.link = link;
  row.speed_mbps = 10'000;
  row.counters[static_cast<size_t>(NicCounter::k_rx_missed)] = missed;
}

const TrafficSplits& FakeDataplane::splits() {
  return segment_->splits(PublicationWord::unpack(segment_->header().word).split_slot);
}

const Ruleset& FakeDataplane::ruleset() {
  return segment_->ruleset(PublicationWord::unpack(segment_->header().word).ruleset_slot);
}

uint64_t FakeDataplane::generation() const {
  return PublicationWord::unpack(segment_->header().word).generation;
}

void FakeDataplane::stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  segment_.reset();  // it holds the file's lock
  lock_.reset();
}

void FakeDataplane::die() {
  die_ = true;
  stop();
}

bool FakeDataplane::wait_for(const std::function<bool()>& condition, std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace teal
