// SPDX-License-Identifier: Apache-2.0
//
// Counters and status of the workers, in the shared segment. Each counter has one writer, its worker; readers
// add up the workers. An increment is a relaxed load and store, not a locked instruction.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace teal {

inline constexpr uint32_t kWorkerSlots = 32;
inline constexpr uint32_t kMaxServices = 1024;
inline constexpr uint32_t kMaxBackends = 4096;
inline constexpr uint32_t kColours = 2;
inline constexpr uint32_t kClientCells = 8;  // a client belongs to one (client_hash() in packet/flow_key.h)

// Every dropped packet has one of these reasons. The reason is the name of its counter, and the text is the
// explanation for operators.
#define TEAL_DROP_REASONS(X)                                                                    \
  X(truncated, "a header or the IP length exceeds the frame")                                   \
  X(bad_header, "a header field is invalid")                                                    \
  X(fragment, "an IP fragment to a VIP or from a backend")                                      \
  X(handover_full, "the ring to the flow's owner was full")                                     \
  X(stale_backend, "a TCP reply from a backend that is not the flow's backend")                 \
  X(client_on_backend_link, "a client in a backend's subnet: replies would bypass Teal")        \
  X(martian, "a new flow from an address that no client has: loopback, multicast, a VIP")       \
  X(no_backend, "the service has no backend that can be chosen")                                \
  X(no_next_hop, "no resolved next hop towards the backend or the client")                      \
  X(tuple_in_use, "the client's address and port are in use to the service's other address")    \
  X(no_preview, "to a preview address, without a free entry; or from one that left the config") \
  X(icmp_without_flow, "an ICMP error that belongs to no known flow")                           \
  X(reject_limit, "empty = \"reject\": past the rate of answers, or not to be answered")        \
  X(tx_full, "the transmit queue was full")                                                     \
  X(flow_reset, "a packet of a flow that Teal resets, which needs no RST as answer")            \
  X(asked_syn, "a SYN of a flow whose backend is being asked whether the connection is over")   \
  X(ask_answer, "a backend's answer to that question, which is not for the client")             \
  X(punt_full, "the TAP port to the kernel was full")                                           \
  X(punt_limit, "past the rate at which packets about services are handed to the kernel")

#define TEAL_EVENTS(X)                                                                      \
  X(rx, "packets received from the ports")                                                  \
  X(tx, "packets transmitted to clients and backends")                                      \
  X(punted, "packets handed to the kernel")                                                 \
  X(relayed, "packets of the kernel, passed from a TAP port to its port")                   \
  X(relay_full, "packets of the kernel, dropped because the port was full")                 \
  X(handed_over, "packets passed to the worker that owns their flow")                       \
  X(flows_created, "flows that began with a SYN or a first UDP packet")                     \
  X(flows_midstream, "midstream flows: they began with a TCP packet other than a SYN")      \
  X(flows_aged, "flows that ended by their timeout")                                        \
  X(flows_replaced, "flows replaced by a SYN: after a RST or both FINs, or never answered") \
  X(flows_reset, "flows that Teal reset: a drain's deadline, a backend in maint or down")   \
  X(flows_cut, "UDP flows ended so that the next packet is chosen again")                   \
  X(second_choice, "flows that began on another backend, as theirs is held back")           \
  X(all_held_back, "flows that began on a held back backend, as no other was up")           \
  X(rejected, "packets of new flows that Teal answered by a RST or an ICMP error")          \
  X(reset_probes, "probes to an end of a flow that Teal resets")                            \
  X(resets_sent, "RSTs sent to an end of a flow or new connection that Teal resets")        \
  X(asks, "probes that ask a backend about a connection whose client sent a RST or SYN")    \
  X(asks_unanswered, "flows whose backend did not answer these probes")                     \
  X(hops_moved, "assured flows whose client's packets come by another hop than before")     \
  X(stateless, "packets forwarded by hash alone, as no entry could be made")                \
  X(table_full, "inserts refused because both buckets were full")                           \
  X(embryonic_quota, "inserts refused because too many flows are not assured")              \
  X(service_share, "inserts refused because the service has its share of the table")        \
  X(icmp_errors, "ICMP errors forwarded to the other end of their flow")                    \
  X(wrong_colour_flows, "flows that began under a generation older than the acknowledged one; always 0")

enum class DropReason : uint8_t {
#define X(name, text) k_##name,
  TEAL_DROP_REASONS(X)
#undef X
      kCount
};

enum class Event : uint8_t {
#define X(name, text) k_##name,
  TEAL_EVENTS(X)
#undef X
      kCount
};

inline constexpr uint32_t kDropReasonCount = static_cast<uint32_t>(DropReason::kCount);
inline constexpr uint32_t kEventCount = static_cast<uint32_t>(Event::kCount);

inline constexpr std::array<std::string_view, kDropReasonCount> kDropReasonNames = {
#define X(name, text) #name,
    TEAL_DROP_REASONS(X)
#undef X
};
inline constexpr std::array<std::string_view, kEventCount> kEventNames = {
#define X(name, text) #name,
    TEAL_EVENTS(X)
#undef X
};

// A counter with one writer.
class Counter {
 public:
  void add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_;  // worker: rw, others: ro
};

enum class Direction : uint8_t { kToBackend, kToClient };

struct alignas(64) ServiceColourCounters {
  Counter packets[2];  // by Direction
  Counter bytes[2];    // by Direction; frames without FCS
  // Flows that began, but not in TrialCounters::begun. The number of all new flows is the sum of the four.
  Counter midstream;     // by a TCP packet other than a SYN
  Counter chosen_again;  // in place of a flow that was chosen again
  Counter previewed;     // of a preview: to the idle colour
  // The birth generation of the latest flow that this colour answered while it was idle and had no share of
  // the new flows: a preview's. 0: none.
  std::atomic<uint32_t> answered_when_idle;

  void count(Direction direction, uint32_t frame_bytes) {
    packets[static_cast<int>(direction)].add(1);
    bytes[static_cast<int>(direction)].add(frame_bytes);
  }
};

// The outcomes of the flows that began on one backend in one colour. Midstream flows and flows without an
// entry are not counted. Each flow counts at most once in answered, refused, unanswered or udp_unanswered:
// the first outcome counts. `begun` minus these four is the number of flows that still wait, or that ended
// before anything was known. A reset after the answer counts in both answered and reset_by_backend.
struct alignas(64) BackendSignals {
  Counter begun;       // flows that began, by a SYN or a first UDP packet
  Counter answered;    // the backend's first packet was a SYN-ACK, or a UDP packet
  Counter refused;     // TCP: the backend's first packet was a RST
  Counter unanswered;  // TCP: the client repeated its SYN, or 1 s passed, before any packet of the backend
  Counter reset_by_backend;  // TCP: the backend sent a RST on an established flow
  Counter udp_unanswered;    // UDP: 1 s passed before any packet of the backend
  Counter prompt_answers;    // of sampled flows: the client's first data was answered within 1 s
  Counter slow_answers;      // of sampled flows: the client's first data has waited 1 s for an answer
};

// The outcomes of the flows of one cell of clients, of one service and colour, that a judgement may count
// (control/judge). They began with a SYN or a first UDP packet, and the hash chose their colour: no flow
// counts that began midstream or in place of a flow that was chosen again. A failure counts if the flow was
// born under TrafficSplit::counted_from or a later generation. A flow fails once, and where the service asks
// for affinity of clients, a client fails once in a trial (pipeline/trials.h).
struct alignas(64) TrialCounters {
  Counter begun;       // also under older generations
  Counter refused;     // as BackendSignals::refused
  Counter unanswered;  // as BackendSignals::unanswered
  Counter reset;       // as BackendSignals::reset_by_backend
  Counter no_reply;    // as BackendSignals::udp_unanswered
  Counter measured;    // of sampled TCP flows that had not failed: the first answer came, or was slow
  Counter slow;        // of these: it took longer than TrafficSplit::slow_us
};

// A histogram of times. Bucket i counts times above 2^(i-1) us, up to 2^i us; bucket 0 counts up to 1 us. The
// last bucket counts times above all bounds. The bounds are 1 us, 2 us, ... 2^24 us (16.8 s).
struct TimeHistogram {
  static constexpr uint32_t kBounds = 25;
  Counter buckets[kBounds + 1];
  Counter sum_us;

  static constexpr uint32_t bucket_of(uint64_t us) {
    const uint32_t bucket = us <= 1 ? 0 : static_cast<uint32_t>(std::bit_width(us - 1));
    return bucket < kBounds ? bucket : kBounds;
  }
  // Returns the least bound, in us, that `percent` of the counted times are within. Nothing: there are no
  // times, or too many of them are above all bounds.
  static constexpr std::optional<uint64_t> percentile_us(const std::array<uint64_t, kBounds + 1>& counted,
                                                         uint64_t percent) {
    uint64_t all = 0, within = 0;
    for (const uint64_t count : counted) all += count;
    for (uint32_t i = 0; i < kBounds; ++i)
      if (within += counted[i]; all != 0 && within * 100 >= all * percent) return uint64_t{1} << i;
    return std::nullopt;
  }
  void count(uint64_t us) {
    buckets[bucket_of(us)].add(1);
    sum_us.add(us);
  }
};

// The times of a sample of a service's flows in one colour.
struct ServiceTimes {
  TimeHistogram handshake;     // TCP: from the first SYN to the SYN-ACK
  TimeHistogram first_answer;  // TCP: from the client's first data to the backend's next data
};

// The number of a worker's flows with one backend and colour. It is exact: each start recounts, then
// FlowLedger follows each change.
struct FlowCount {
  std::atomic<uint32_t> live;     // worker: rw; all flows that are not closing
  std::atomic<uint32_t> closing;  // worker: rw; after a RST or both FINs, until their timeout
  // worker: rw; the live flows that were born under a generation older than `older_than`. Midstream flows are
  // among them, as they began before Teal saw them.
  std::atomic<uint32_t> older;
  // worker: rw; low 32 bits of the flip generation of the backend's service, as the worker has adopted it
  std::atomic<uint32_t> older_than;
  std::atomic<uint32_t> unassured;  // worker: rw; the flows that are not assured
};

enum class WorkerState : uint32_t { kAbsent, kPolling, kAsleep };

struct alignas(64) WorkerStatus {
  std::atomic<uint64_t> adopted_word;     // worker: rw; the publication word of its latest burst
  std::atomic<uint64_t> adopted_at_tsc;   // worker: rw; when it first loaded that word
  std::atomic<WorkerState> state;         // worker: rw; kAbsent written by a starting dataplane too
  std::atomic<uint32_t> thread_id;        // worker: rw; gettid()
  Counter busy_tsc;                       // worker: rw; TSC cycles spent on bursts that held packets
  Counter total_tsc;                      // worker: rw; TSC cycles since its start
  std::atomic<uint32_t> embryonic_flows;  // worker: rw; flows that are not assured
};

struct alignas(64) WorkerBlock {
  WorkerStatus status;
  Counter events[kEventCount];
  Counter drops[kDropReasonCount];
  ServiceColourCounters services[kMaxServices][kColours];      // by service id, colour
  FlowCount flows[kMaxBackends][kColours];                     // by backend id
  BackendSignals signals[kMaxBackends][kColours];              // by backend id, colour
  Counter stateless_answers[kMaxBackends];                     // by backend id: SYN-ACKs without an entry
  ServiceTimes times[kMaxServices][kColours];                  // by service id, colour
  TrialCounters trials[kMaxServices][kColours][kClientCells];  // by service id, colour, cell of clients

  void count(Event event, uint64_t n = 1) { events[static_cast<uint32_t>(event)].add(n); }
  void count(DropReason reason, uint64_t n = 1) { drops[static_cast<uint32_t>(reason)].add(n); }
};

}  // namespace teal
