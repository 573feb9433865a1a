// SPDX-License-Identifier: Apache-2.0
//
// Measures the cost of loading cache lines, in TSC cycles per line, for several sizes of memory on huge
// pages. Lines are loaded one after the other (latency), and prefetched in batches of 64, like the lookups of
// a burst. The latency jumps at the size of the last-level cache that this machine has for this core.
//
// The second pair of columns loads the same number of lines, each in 4 KiB of its own. With pages of 2 MiB
// this makes no difference, as long as the TLB holds all pages. If a line costs more, the memory below has
// pages of 4 KiB, as a host often has under the huge pages of its guests.
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

constexpr uint64_t kLineBytes = 64, kSmallPageBytes = 4096;
constexpr uint32_t kBatch = 64;
constexpr uint32_t kLooks = 1u << 20;

struct Cost {
  double latency, batched;
};

// Measures lines that are about `apart` bytes apart. A hash shifts each line, so that they do not all fall
// into the same sets of the caches.
Cost measure(uint8_t* memory, uint32_t lines, uint64_t apart) {
  std::mt19937 random(1);
  std::vector<uint32_t> order(lines);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random);
  const auto line = [&](uint64_t number) {
    const uint64_t within = number * 0x9e3779b97f4a7c15 >> 32;
    return reinterpret_cast<volatile uint64_t*>(memory + number * apart +
                                                within % (apart / kLineBytes) * kLineBytes);
  };
  for (uint32_t i = 0; i < lines; ++i) *line(order[i]) = order[(i + 1) % lines];  // one ring
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
      _mm_prefetch(const_cast<const uint64_t*>(line(looks[i + j])), _MM_HINT_T0);
    for (uint32_t j = 0; j < kBatch; ++j) static_cast<void>(*line(looks[i + j]));
  }
  return {latency, static_cast<double>(__rdtsc() - began) / kLooks};
}

// Measures and prints the cost for `bytes` bytes of lines. Returns false if there are not enough huge pages.
bool measure_and_print(uint64_t bytes, uint64_t apart) {
  const uint64_t lines = bytes / kLineBytes, span = std::max<uint64_t>(lines * apart, 2 << 20);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE;
  void* memory = mmap(nullptr, span, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) {
    std::fprintf(stderr, "cache_lines: not enough free huge pages, expected %llu MiB\n",
                 static_cast<unsigned long long>(span >> 20));
    return false;
  }
  const Cost cost = measure(static_cast<uint8_t*>(memory), static_cast<uint32_t>(lines), apart);
  std::printf("  %8.0f %11.1f", cost.latency, cost.batched);
  munmap(memory, span);
  return true;
}

}  // namespace

int main() {
  constexpr uint64_t kMaxBytes = uint64_t{1} << 30;
  std::printf("TSC cycles per line  side by side         each in 4 KiB of its own\n");
  std::printf("%8s  %8s  %10s  %8s  %10s\n", "MiB", "latency", "in batches", "latency", "in batches");
  for (const uint64_t mib : {1, 2, 4, 8, 16, 32, 64, 256, 1024}) {
    const uint64_t bytes = mib << 20;
    std::printf("%8llu", static_cast<unsigned long long>(mib));
    if (!measure_and_print(bytes, kLineBytes)) return 1;
    if (bytes / kLineBytes * kSmallPageBytes <= kMaxBytes && !measure_and_print(bytes, kSmallPageBytes))
      return 1;
    std::printf("\n");
  }
  return 0;
}
