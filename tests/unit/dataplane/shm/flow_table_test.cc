// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/flow_table.h"

#include <atomic>
#include <iostream>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "flow_numbers.h"
#include "tests/support/rounds.h"

namespace teal {
namespace {

using test::rounds;

struct Known {
  FlowIndex index;
  uint32_t version;
  FlowState state;
};

// Returns for each bucket the number of the model's flows that are displaced from it.
std::vector<uint32_t> displaced_by_bucket(const FlowTable& table,
                                          const std::unordered_map<uint32_t, Known>& model) {
  std::vector<uint32_t> counts(table.geometry().buckets());
  for (const auto& [number, known] : model) {
    const FlowTable::Location location = table.locate(key_of(number));
    if (FlowTable::bucket_of(known.index) != location.first) ++counts[location.first];
  }
  return counts;
}

void expect_same(const OwnedTable& owned, const std::unordered_map<uint32_t, Known>& model) {
  uint64_t flows = 0;
  for (uint64_t bucket = 0; bucket < owned.table.geometry().buckets(); ++bucket)
    owned.table.for_each_in_bucket(bucket, [&](FlowIndex index, const Flow& flow) {
      ++flows;
      const auto found = model.find(number_of(flow));
      ASSERT_NE(found, model.end());
      EXPECT_EQ(index, found->second.index);
      EXPECT_TRUE(is_whole(flow));
      EXPECT_EQ(flow.birth_generation, found->second.version);
    });
  EXPECT_EQ(flows, model.size());
  const std::vector<uint32_t> displaced = displaced_by_bucket(owned.table, model);
  for (uint64_t bucket = 0; bucket < displaced.size(); ++bucket)
    EXPECT_EQ(owned.buckets[bucket].displaced, displaced[bucket]) << bucket;
}

// Compares the table with a std::unordered_map under random operations. A full table refuses an insert and
// changes nothing.
void run_against_model(FlowTable::Geometry geometry, uint32_t operations, uint32_t numbers) {
  OwnedTable owned(geometry);
  FlowTable& table = owned.table;
  const auto& service_of = service_of_backend();
  std::unordered_map<uint32_t, Known> model;
  std::mt19937 random(7);
  uint64_t refused = 0;
  for (uint32_t i = 0; i < operations; ++i) {
    const uint32_t number = random() % numbers;
    const FlowKey key = key_of(number);
    const FlowTable::Location location = table.locate(key);
    const FlowIndex index = table.find(location, key, service_of);
    FlowIndex candidate = table.first_candidate(location);
    if (candidate == kNoFlow) candidate = table.second_candidate(location);
    ASSERT_EQ(table.find_by(candidate, location, key, service_of), index);
    const auto known = model.find(number);
    ASSERT_EQ(index, known == model.end() ? kNoFlow : known->second.index);
    // Phases with more inserts than removals alternate with phases of the opposite, so that the table becomes
    // full and empty.
    const bool filling = i / (2 * numbers) % 2 == 0;
    const uint32_t dice = random() % 8;
    if (index == kNoFlow) {
      if (dice < (filling ? 7u : 2u)) {
        const FlowState state = state_of(number, i);
        const FlowIndex at = table.insert(location, key, backend_of(number, i), i, state);
        if (at == kNoFlow) {
          ++refused;
          for (uint64_t bucket : {location.first, table.second(location)})
            for (uint32_t slot = 0; slot < FlowTable::kSlots; ++slot)
              ASSERT_NE(owned.buckets[bucket].tags[slot], 0)
                  << "the insert was refused although a slot is free";
        } else {
          ASSERT_EQ(table.state(at).flags & kFlowDisplaced,
                    FlowTable::bucket_of(at) == location.first ? 0 : kFlowDisplaced);
          model[number] = {at, i, table.state(at)};
        }
      }
    } else if (dice < (filling ? 1u : 5u)) {
      table.remove(index, location);
      model.erase(known);
      ASSERT_FALSE(table.read(index));
    } else {
      ASSERT_EQ(table.backend(index), backend_of(number, known->second.version));
      FlowState state = table.state(index);
      ASSERT_EQ(std::bit_cast<uint64_t>(state), std::bit_cast<uint64_t>(known->second.state));
      state.phase = static_cast<FlowPhase>(random() % kFlowPhases);
      state.last_hop = static_cast<uint16_t>(random());
      table.set_state(index, state);
      known->second.state = state;
    }
    if (i % (operations / 8) == 0) expect_same(owned, model);
  }
  expect_same(owned, model);
  EXPECT_EQ(refused > 0, numbers > geometry.buckets() * FlowTable::kSlots) << refused;

  for (uint64_t bucket = 0; bucket < geometry.buckets(); ++bucket) owned.buckets[bucket].displaced = 99;
  table.recount_displaced(service_of);
  expect_same(owned, model);

  for (const auto& [number, known] : model) table.remove(known.index, table.locate(key_of(number)));
  EXPECT_EQ(owned.displaced(), 0u);
  expect_same(owned, {});
}

TEST(FlowTable, AgreesWithAMap) {
  run_against_model(FlowTable::Geometry::for_capacity(20'000), rounds(1'000'000), 15'000);
}
TEST(FlowTable, AgreesWithAMapWhenFull) {
  run_against_model({64, 2}, rounds(1'000'000), 6'000);
}
TEST(FlowTable, AgreesWithAMapWithOneBucket) {
  run_against_model({1, 1}, rounds(300'000), 40);
}
TEST(FlowTable, AgreesWithAMapWithTwoBuckets) {
  run_against_model({1, 2}, rounds(300'000), 80);
}
TEST(FlowTable, AgreesWithAMapWithThreeBuckets) {
  run_against_model({1, 3}, rounds(300'000), 100);
}

TEST(FlowTable, FullTableRefusesAndChangesNothing) {
  OwnedTable owned({1, 2});
  uint32_t number = 0, failures = 0;
  for (; failures < 100; ++number) {
    const FlowKey key = key_of(number);
    if (owned.table.insert(owned.table.locate(key), key, backend_of(number, 0), 0, state_of(number, 0)) ==
        kNoFlow)
      ++failures;
  }
  EXPECT_EQ(number, 148u);  // all 48 slots are used
  const std::string buckets(reinterpret_cast<const char*>(owned.buckets.get()),
                            2 * sizeof(FlowTable::Bucket));
  for (uint32_t end = number + 100; number < end; ++number) {
    const FlowKey key = key_of(number);
    EXPECT_EQ(owned.table.insert(owned.table.locate(key), key, backend_of(number, 0), 0, FlowState{}),
              kNoFlow);
  }
  EXPECT_EQ(buckets, std::string(reinterpret_cast<const char*>(owned.buckets.get()), buckets.size()));
}

TEST(FlowTable, SameClientOfTwoServicesIsTwoFlows) {
  OwnedTable owned({1, 1});
  FlowTable& table = owned.table;
  FlowKey one = key_of(1), two = key_of(1);
  one.service = 1;
  two.service = 2;
  const FlowIndex first = table.insert(table.locate(one), one, 1, 1, FlowState{});
  EXPECT_EQ(table.find(table.locate(two), two, service_of_backend()), kNoFlow);
  const FlowIndex second = table.insert(table.locate(two), two, 2, 1, FlowState{});
  EXPECT_NE(first, second);
  EXPECT_EQ(table.find(table.locate(one), one, service_of_backend()), first);
  EXPECT_EQ(table.find(table.locate(two), two, service_of_backend()), second);
}

// Three patterns of clients: random ones, a few hosts with all their ports, consecutive addresses with one
// port each.
FlowKey client_of(int pattern, uint64_t number, std::mt19937_64& random) {
  FlowKey key;
  uint32_t address = 0;
  if (pattern == 0) {
    address = static_cast<uint32_t>(random());
    key.client_port.raw = static_cast<uint16_t>(random());
  } else if (pattern == 1) {
    address = __builtin_bswap32(0xc6120100u + static_cast<uint32_t>(number / 64'000));
    key.client_port = Be16::from_host(static_cast<uint16_t>(1024 + number % 64'000));
  } else {
    address = __builtin_bswap32(0x0a000000u + static_cast<uint32_t>(number));
    key.client_port = Be16::from_host(40'000);
  }
  key.client = IpAddress::from_v4(&address);
  return key;
}

// With a sanitizer this takes a minute, and sees nothing that the tests above do not show.
constexpr int kFewerWithSanitizer = rounds(10) == 10 ? 1 : 10;

class FlowTableCapacity : public testing::TestWithParam<uint64_t> {};

TEST_P(FlowTableCapacity, HoldsTheConfiguredNumberOfFlows) {
  const uint64_t flows = GetParam();
  const auto geometry = FlowTable::Geometry::for_capacity(flows);
  const double bytes = static_cast<double>(geometry.bytes()) / static_cast<double>(flows);
  double least_full = 1;
  for (int pattern = 0; pattern < 3; ++pattern)
    for (uint64_t seed : {1, 42, 0x7ea1}) {
      OwnedTable owned(geometry, seed);
      std::mt19937_64 random(seed);
      uint64_t inserted = 0;
      for (;; ++inserted) {
        const FlowKey key = client_of(pattern, inserted, random);
        if (owned.table.insert(owned.table.locate(key), key, 0, 1, FlowState{}) == kNoFlow) break;
      }
      EXPECT_GE(inserted, flows) << "pattern " << pattern << " seed " << seed;
      const double full =
          static_cast<double>(inserted) / static_cast<double>(geometry.buckets() * FlowTable::kSlots);
      least_full = std::min(least_full, full);
    }
  std::cout << flows << " flows: " << bytes << " bytes each; the first refused insert came at a fill of "
            << least_full << " at the earliest\n";
  EXPECT_LE(bytes, flows >= 1'000'000 ? 40 : flows >= 10'000 ? 64 : 112);
}

INSTANTIATE_TEST_SUITE_P(Flows, FlowTableCapacity,
                         testing::Values(1'000, 10'000, 100'000 / kFewerWithSanitizer,
                                         1'000'000 / kFewerWithSanitizer));

TEST(FlowTableGeometry, LargestTableTakesAtMostFortyBytesPerFlow) {
  const auto geometry = FlowTable::Geometry::for_capacity(100'000'000);
  EXPECT_LE(geometry.bytes(), uint64_t{40} * 100'000'000);
}

TEST(FlowTable, OwnersShareThePartitionsWithoutGapOrOverlap) {
  std::mt19937_64 random(3);
  for (uint32_t partitions : {1u, 32u, 64u, 100u}) {
    const FlowTable table({partitions, 4}, nullptr, 1);
    for (uint32_t workers = 1; workers <= kWorkerSlots; ++workers) {
      EXPECT_EQ(table.first_partition(0, workers), 0u);
      EXPECT_EQ(table.first_partition(workers, workers), partitions);
      for (int i = 0; i < 500; ++i) {
        const uint64_t hash = random();
        const uint32_t owner = table.owner_of(hash, workers);
        ASSERT_LT(owner, workers);
        EXPECT_GE(table.partition_of(hash), table.first_partition(owner, workers));
        EXPECT_LT(table.partition_of(hash), table.first_partition(owner + 1, workers));
      }
      if (partitions < workers) continue;
      for (uint32_t worker = 0; worker < workers; ++worker)
        EXPECT_LE(table.first_partition(worker + 1, workers) - table.first_partition(worker, workers),
                  (partitions + workers - 1) / workers);
    }
  }
}

TEST(Generation, IsOlderSurvivesAWrapAround) {
  EXPECT_TRUE(is_older(1, 2));
  EXPECT_FALSE(is_older(2, 2));
  EXPECT_FALSE(is_older(3, 2));
  EXPECT_TRUE(is_older(0xffffffff, 1));
  EXPECT_FALSE(is_older(1, 0xffffffff));
}

TEST(FlowTable, OwnerOwnsTheBucketsOfItsPartitions) {
  const FlowTable table({64, 747}, nullptr, 1);
  EXPECT_EQ(table.first_bucket(0, 3), 0u);
  for (const uint32_t worker : {1u, 2u, 3u})
    EXPECT_EQ(table.first_bucket(worker, 3), uint64_t{table.first_partition(worker, 3)} * 747);
  EXPECT_EQ(table.first_bucket(3, 3), table.geometry().buckets());
}

TEST(FlowTable, BothBucketsAreInThePartitionOfTheFlow) {
  std::mt19937_64 random(4);
  for (uint32_t count : {1u, 2u, 3u, 745u, 100'000u}) {
    const FlowTable table({64, count}, nullptr, 1);
    for (int i = 0; i < 10'000; ++i) {
      const uint64_t hash = random();
      const FlowTable::Location location = table.locate(hash);
      ASSERT_EQ(location.first / count, table.partition_of(hash));
      ASSERT_EQ(table.second(location) / count, table.partition_of(hash));
      ASSERT_EQ(location.first == table.second(location), count == 1);
      ASSERT_NE(location.tag(), 0);
    }
  }
}

// The writer reuses slots, also for the same key and so the same tag, while other threads read.
TEST(FlowTable, ConcurrentReadersSeeOnlyWholeFlows) {
  OwnedTable owned({1, 2});
  FlowTable& table = owned.table;
  std::atomic<bool> done = false;
  std::atomic<uint64_t> mixed = 0, seen = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      uint64_t mine = 0, wrong = 0;
      do {
        for (uint64_t bucket = 0; bucket < 2; ++bucket)
          table.for_each_in_bucket(bucket, [&](FlowIndex, const Flow& flow) {
            ++mine;
            wrong += !is_whole(flow);
          });
      } while (!done);
      seen += mine;
      mixed += wrong;
    });
  std::mt19937 random(5);
  for (uint32_t i = 0; i < 1'000'000; ++i) {
    const uint32_t number = random() % 40;
    const FlowKey key = key_of(number);
    const FlowTable::Location location = table.locate(key);
    const FlowIndex index = table.find(location, key, service_of_backend());
    if (index != kNoFlow && random() % 4 == 0) {
      FlowState state = table.state(index);
      state.phase = FlowPhase::kEstablished;
      ++state.last_hop;
      table.set_state(index, state);
      continue;
    }
    if (index != kNoFlow) table.remove(index, location);
    if (index == kNoFlow || random() % 2 == 0)
      table.insert(location, key, backend_of(number, i), i, state_of(number, i));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(mixed, 0u);
  EXPECT_GT(seen, 1000u);
}

}  // namespace
}  // namespace teal
