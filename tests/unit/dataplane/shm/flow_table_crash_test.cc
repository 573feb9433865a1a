// SPDX-License-Identifier: Apache-2.0
//
// The dataplane may be killed at any instruction and leaves a valid flow table.
#include <atomic>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flow_numbers.h"

namespace teal {
namespace {

constexpr FlowTable::Geometry kGeometry{2, 4};
constexpr uint32_t kNumbers = 300;  // more flows than slots, so that buckets fill and displace flows

struct SharedMemory {
  FlowTable::Bucket buckets[kGeometry.partitions * kGeometry.buckets_per_partition];
  std::atomic<uint64_t> operations;
};

// Inserts, removes, changes and replaces flows until the process is killed.
[[noreturn]] void churn(SharedMemory& memory, uint32_t seed) {
  FlowTable table(kGeometry, memory.buckets, 1);
  std::minstd_rand random(seed);
  for (;;) {
    const auto number = static_cast<uint32_t>(random() % kNumbers);
    const auto version = static_cast<uint32_t>(random());
    const FlowKey key = key_of(number);
    const FlowTable::Location location = table.locate(key);
    const FlowIndex index = table.find(location, key, service_of_backend());
    if (index != kNoFlow && version % 4 == 0) {
      FlowState state = table.state(index);
      state.last_hop = static_cast<uint16_t>(version);
      table.set_state(index, state);
    } else {
      if (index != kNoFlow) table.remove(index, location);
      if (index == kNoFlow || version % 4 == 1)
        table.insert(location, key, backend_of(number, version), version, state_of(number, version));
    }
    memory.operations.fetch_add(1, std::memory_order_relaxed);
  }
}

void expect_valid(SharedMemory& memory) {
  FlowTable table(kGeometry, memory.buckets, 1);
  table.recount_displaced(service_of_backend());
  std::set<uint32_t> numbers;
  for (uint64_t bucket = 0; bucket < kGeometry.buckets(); ++bucket) {
    table.for_each_in_bucket(bucket, [&](FlowIndex index, const Flow& flow) {
      ASSERT_TRUE(is_whole(flow));
      ASSERT_LT(number_of(flow), kNumbers);
      ASSERT_TRUE(numbers.insert(number_of(flow)).second) << "the table holds a flow twice";
      const FlowKey key = key_of(number_of(flow));
      const FlowTable::Location location = table.locate(key);
      ASSERT_EQ(table.find(location, key, service_of_backend()), index);
      ASSERT_EQ(memory.buckets[bucket].tags[FlowTable::slot_of(index)], location.tag());
    });
  }
}

TEST(FlowTableCrash, KillAtAnyInstructionLeavesAValidTable) {
  void* mapped =
      mmap(nullptr, sizeof(SharedMemory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto& memory = *static_cast<SharedMemory*>(mapped);
  std::mt19937 random(11);
  for (uint32_t round = 0; round < 200; ++round) {
    const uint64_t before = memory.operations;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) churn(memory, round + 1);
    const uint64_t enough = before + 1 + random() % 20'000;
    while (memory.operations < enough) sched_yield();
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    expect_valid(memory);
    if (HasFatalFailure()) break;
  }
  EXPECT_GT(memory.operations, 100'000u);
  munmap(mapped, sizeof(SharedMemory));
}

}  // namespace
}  // namespace teal
