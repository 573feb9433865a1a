// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/old_release.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace teal {
namespace {

constexpr uint64_t kMagic = 0x5445414c5345474d;
constexpr uint64_t kAbi = 0x55bb39821d6bd8f4;
constexpr uint32_t kReady = 0x59444152;
constexpr uint32_t kPorts = 16, kLastHops = 16384, kServices = 1024, kBackends = 4096;
constexpr uint32_t kRulesetSlotsThen = 4;
static_assert(kPorts <= kMaxPorts && kLastHops <= kMaxLastHops && kServices <= kMaxServices &&
              kBackends <= kMaxBackends);

// Offsets in bytes, in the file.
constexpr uint64_t kState = 24, kCapacity = 32, kGeometry = 40, kSeed = 48, kRulesets = 72, kWorkers = 88,
                   kBuckets = 96;
constexpr uint64_t kWord = 128, kPortRows = 792, kPortRowBytes = 160, kLastHopWords = 46480;
constexpr uint64_t kHeaderBytes = 4371904;
// In a ruleset. A socket has the bytes of the address (16), the port in network order (2) and the protocol
// (1).
constexpr uint64_t kRulesetBytes = 4759584, kTimeouts = 0, kServiceRules = 32, kBackendRules = 73760;
constexpr uint64_t kServiceBytes = 72, kPreview = 24, kServiceFlags = 48;
constexpr uint64_t kBackendBytes = 32, kServiceOfBackend = 28, kBackendFlags = 30;
constexpr uint8_t kPresent = 1;
constexpr uint32_t kLastHopMask = 0x3fff;
constexpr uint64_t kWorkerBytes = 2720128, kFailureTick = 44;
constexpr uint32_t kWorkersThen = 32;

class Bytes {
 public:
  explicit Bytes(const void* base) : base_(static_cast<const char*>(base)) {}
  template <typename T>
  T at(uint64_t offset) const {
    T value;
    std::memcpy(&value, base_ + offset, sizeof(T));
    return value;
  }
  Socket socket(uint64_t offset) const {
    Socket socket;
    std::memcpy(socket.address.bytes, base_ + offset, 16);
    std::memcpy(&socket.port.raw, base_ + offset + 16, 2);
    socket.protocol = at<uint8_t>(offset + 18);
    return socket;
  }
  const char* text(uint64_t offset) const { return base_ + offset; }

 private:
  const char* base_;
};

void read_ids(const Bytes& ruleset, KnownIds& ids) {
  const auto timeout = [&](int index) { return ruleset.at<uint32_t>(kTimeouts + 4 * index); };
  ids.timeouts = {.embryonic = timeout(0),
                  .tcp_established = timeout(1),
                  .tcp_half_closed = timeout(2),
                  .tcp_closed = timeout(3),
                  .udp_established = timeout(4)};
  for (uint32_t id = 0; id < kServices; ++id) {
    const uint64_t row = kServiceRules + id * kServiceBytes;
    if ((ruleset.at<uint8_t>(row + kServiceFlags) & kPresent) == 0) continue;
    ids.services[id] = {.vip = ruleset.socket(row), .preview = ruleset.socket(row + kPreview)};
  }
  for (uint32_t id = 0; id < kBackends; ++id) {
    const uint64_t row = kBackendRules + id * kBackendBytes;
    if ((ruleset.at<uint8_t>(row + kBackendFlags) & kPresent) == 0) continue;
    ids.backends[id].socket = ruleset.socket(row);
    ids.backends[id].service = ruleset.at<uint16_t>(row + kServiceOfBackend);
    ids.backends[id].known.store(1, std::memory_order_relaxed);
  }
}

// Returns the tick of the latest failed insert of all workers, or 0 if there was none. A tick of 32 bits is
// taken for less than one wrap old, which is 497 days. A tick later than `now_tick` counts as `now_tick`.
uint64_t latest_insert_failure(const Bytes& workers, uint64_t now_tick) {
  uint64_t latest = 0;
  for (uint32_t worker = 0; worker < kWorkersThen; ++worker) {
    const auto tick = workers.at<uint32_t>(worker * kWorkerBytes + kFailureTick);
    if (tick == 0) continue;
    const uint32_t age = static_cast<uint32_t>(now_tick) - tick;
    latest = std::max(latest, age <= now_tick ? now_tick - age : now_tick);
  }
  return latest;
}

}  // namespace

std::optional<OldRelease> read_old_release(const SegmentFile& file, uint64_t now_tick) {
  const Bytes bytes(file.base());
  if (file.bytes() < kHeaderBytes || bytes.at<uint64_t>(0) != kMagic || bytes.at<uint64_t>(8) != kAbi ||
      bytes.at<uint32_t>(kState) != kReady)
    return std::nullopt;
  const FlowTable::Geometry geometry{bytes.at<uint32_t>(kGeometry), bytes.at<uint32_t>(kGeometry + 4)};
  const auto rulesets = bytes.at<uint64_t>(kRulesets);
  const auto workers = bytes.at<uint64_t>(kWorkers);
  const auto buckets = bytes.at<uint64_t>(kBuckets);
  if (geometry.buckets() == 0 || geometry.buckets() > file.bytes() / sizeof(FlowTable::Bucket) ||
      buckets > file.bytes() - geometry.bytes() || buckets % alignof(FlowTable::Bucket) != 0 ||
      file.bytes() < kRulesetSlotsThen * kRulesetBytes ||
      rulesets > file.bytes() - kRulesetSlotsThen * kRulesetBytes ||
      file.bytes() < kWorkersThen * kWorkerBytes || workers > file.bytes() - kWorkersThen * kWorkerBytes)
    return std::nullopt;

  auto header = std::make_unique<FlowsHeader>();
  header->flow_capacity = bytes.at<uint64_t>(kCapacity);
  header->geometry = geometry;
  header->hash_seed = bytes.at<uint64_t>(kSeed);
  for (uint32_t id = 0; id < kPorts; ++id)
    std::memcpy(header->port_names[id], bytes.text(kPortRows + id * kPortRowBytes),
                sizeof(header->port_names[id]) - 1);
  for (uint32_t id = 0; id < kLastHops; ++id)
    header->last_hops[id].store(bytes.at<uint64_t>(kLastHopWords + id * sizeof(uint64_t)),
                                std::memory_order_relaxed);
  const auto word = bytes.at<uint64_t>(kWord);
  header->generation.store(word >> 8, std::memory_order_relaxed);
  header->last_insert_failure_tick.store(latest_insert_failure(Bytes(bytes.text(workers)), now_tick),
                                         std::memory_order_relaxed);
  const uint64_t slot = word % kRulesetSlotsThen;
  read_ids(Bytes(static_cast<const char*>(file.base()) + rulesets + slot * kRulesetBytes), header->ids);
  auto* table = reinterpret_cast<FlowTable::Bucket*>(static_cast<char*>(file.base()) + buckets);
  const FlowTable flows(geometry, table, header->hash_seed);
  return OldRelease{std::move(header), flows};
}

// The id of a last hop had 15 bits, of which no id used the highest: only "no last hop" had it. Probes had a
// meaning only while Teal reset the flow.
FlowState from_old_release(FlowState state) {
  state.hop_moves = 0;
  if (state.phase != FlowPhase::kResetting) state.probes = 0;
  state.last_hop &= kLastHopMask;
  return state;
}

}  // namespace teal
