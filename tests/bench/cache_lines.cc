// SPDX-License-Identifier: Apache-2.0
//
// What a cache line from far away costs here, over the size of the memory that lines are taken from, on huge
// pages: one after the other (latency), and prefetched in batches of 64, as a burst's lookups are. TSC cycles a
// line. Where the latency jumps, the part of the last-level cache that this machine gives is used up.
//
//   sysctl vm.nr_hugepages=1024; taskset -c 1 cache_lines
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <random>
#include <vector>

#include <x86intrin.h>

namespace {

constexpr uint64_t kLineBytes = 64;
constexpr uint32_t kBatch = 64;
constexpr uint32_t kLooks = 1u << 20;

struct Cost {
  double latency, batched;
};

Cost measure(uint8_t* memory, uint32_t lines) {
  std::mt19937 random(1);
  std::vector<uint32_t> order(lines);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random);
  const auto line = [&](uint64_t number) {
    return reinterpret_cast<volatile uint64_t*>(memory + number * kLineBytes);
  };
  for (uint32_t i = 0; i < lines; ++i) *line(order[i]) = order[(i + 1) % lines];  // one ring through all
  uint64_t at = 0;
  for (uint32_t i = 0; i < lines; ++i) at = *line(at);
  uint64_t began = __rdtsc();
  for (uint32_t i = 0; i < kLooks; ++i) at = *line(at);
  const auto latency = static_cast<double>(__rdtsc() - began) / kLooks;

  std::vector<uint32_t> looks(kLooks);
  for (uint32_t& look : looks) look = random() % lines;
  began = __rdtsc();
  for (uint32_t i = 0; i < kLooks; i += kBatch) {
    for (uint32_t j = 0; j < kBatch; ++j)
      _mm_prefetch(reinterpret_cast<const char*>(memory + looks[i + j] * kLineBytes), _MM_HINT_T0);
    for (uint32_t j = 0; j < kBatch; ++j) static_cast<void>(*line(looks[i + j]));
  }
  return {latency, static_cast<double>(__rdtsc() - began) / kLooks};
}

}  // namespace

int main() {
  std::printf("%8s %10s %12s   TSC cycles a line\n", "MiB", "latency", "in batches");
  for (const uint64_t mib : {1, 2, 4, 8, 16, 32, 64, 256, 1024}) {
    const uint64_t bytes = mib << 20;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE;
    void* memory = mmap(nullptr, std::max<uint64_t>(bytes, 2 << 20), PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) {
      std::fprintf(stderr, "cache_lines: no huge pages for %llu MiB\n", static_cast<unsigned long long>(mib));
      return 1;
    }
    const Cost cost = measure(static_cast<uint8_t*>(memory), static_cast<uint32_t>(bytes / kLineBytes));
    std::printf("%8llu %10.0f %12.1f\n", static_cast<unsigned long long>(mib), cost.latency, cost.batched);
    munmap(memory, std::max<uint64_t>(bytes, 2 << 20));
  }
  return 0;
}
