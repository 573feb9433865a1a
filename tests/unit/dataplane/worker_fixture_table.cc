// SPDX-License-Identifier: Apache-2.0
//
// The flow table in the worker fixture: read as teald reads it, and recounted to check the ledger.
#include <array>
#include <map>
#include <tuple>

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {

Rules WorkerTest::rules() const {
  const auto word = PublicationWord::unpack(segment().header().word.load());
  return {segment().ruleset(word.ruleset_slot), segment().splits(word.split_slot), word.generation};
}

FlowIndex WorkerTest::index_of(const Client& who) const {
  const FlowTable table = segment().flow_table();
  const FlowKey key = key_of(who);
  const auto location = table.locate(key);
  return table.find(location, key, rules());
}

std::optional<Flow> WorkerTest::flow_of(const Client& who) const {
  const FlowIndex index = index_of(who);
  return index == kNoFlow ? std::nullopt : segment().flow_table().read(index);
}

void WorkerTest::set_state(const Client& who, const FlowState& state) {
  ASSERT_NE(index_of(who), kNoFlow);
  segment().flow_table().set_state(index_of(who), state);
}

std::optional<FlowPhase> WorkerTest::phase_of(const Client& who) const {
  const auto flow = flow_of(who);
  return flow ? std::optional(flow->state.phase) : std::nullopt;
}

bool WorkerTest::is_unassured(const Client& who) const {
  const auto flow = flow_of(who);
  return flow && (flow->state.flags & kFlowUnassured) != 0;
}

uint32_t WorkerTest::embryonic_quota() const {
  const uint64_t quota = segment().flow_table().geometry().buckets() * FlowTable::kSlots / 4;
  return static_cast<uint32_t>((8 * quota + 8) / 9);
}

uint64_t WorkerTest::flows() const {
  const FlowTable table = segment().flow_table();
  uint64_t found = 0;
  for (uint64_t bucket = 0; bucket < table.geometry().buckets(); ++bucket)
    table.for_each_in_bucket(bucket, [&](FlowIndex, const Flow&) { ++found; });
  return found;
}

testing::AssertionResult WorkerTest::ledger_is_exact() const {
  const FlowTable table = segment().flow_table();
  const uint32_t workers = workers_.empty() ? last_workers_ : static_cast<uint32_t>(workers_.size());
  std::map<std::tuple<uint32_t, uint16_t, int>, std::array<uint32_t, 4>>
      recount;  // live, closing, older, unassured
  std::vector<uint32_t> embryonic(kWorkerSlots);
  for (uint64_t bucket = 0; bucket < table.geometry().buckets(); ++bucket) {
    table.for_each_in_bucket(bucket, [&](FlowIndex, const Flow& flow) {
      const uint32_t owner =
          table.owner_of(table.locate({flow.client, flow.client_port, rules()[flow.backend]}).hash, workers);
      const auto colour = static_cast<int>(flow.state.colour());
      auto& [live, closing, older, unassured] = recount[{owner, flow.backend, colour}];
      ++(is_closing(flow.state.phase) ? closing : live);
      const uint32_t flip = segment().worker(owner).flows[flow.backend][colour].older_than.load();
      older += !is_closing(flow.state.phase) && is_older_flow(flow.birth_generation, flip);
      unassured += (flow.state.flags & kFlowUnassured) != 0;
      embryonic[owner] += (flow.state.flags & kFlowUnassured) != 0;
    });
  }
  for (uint32_t worker = 0; worker < kWorkerSlots; ++worker) {
    const WorkerBlock& block = segment().worker(worker);
    if (block.status.embryonic_flows.load() != embryonic[worker])
      return testing::AssertionFailure()
             << "worker " << worker << " counts " << block.status.embryonic_flows.load()
             << " flows that are not assured, there are " << embryonic[worker];
    for (const NumberedBackend& backend : ruleset_input.backends) {
      for (int colour = 0; colour < 2; ++colour) {
        const auto& counted = block.flows[backend.id][colour];
        const auto [live, closing, older, unassured] = recount[{worker, backend.id, colour}];
        if (counted.unassured.load() != unassured)
          return testing::AssertionFailure()
                 << "worker " << worker << ", backend " << backend.id << ", " << kColourNames[colour]
                 << ": counted " << counted.unassured.load() << " not assured, there are " << unassured;
        if (counted.older.load() != older)
          return testing::AssertionFailure()
                 << "worker " << worker << ", backend " << backend.id << ", " << kColourNames[colour]
                 << ": counted " << counted.older.load() << " older than the flip, there are " << older;
        if (counted.live.load() != live || counted.closing.load() != closing)
          return testing::AssertionFailure()
                 << "worker " << worker << ", backend " << backend.id << ", " << kColourNames[colour]
                 << ": counted " << counted.live.load() << " live and " << counted.closing.load()
                 << " closing, there are " << live << " and " << closing;
      }
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace teal::test
