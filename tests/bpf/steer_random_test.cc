// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Compares the program with its simplest form (steer_reference.h) on random frames; every second frame is
// damaged. A failure prints the frame. The seed is fixed; TEAL_SEED sets another one.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/bpf/steer_program.h"
#include "tests/bpf/steer_reference.h"

namespace teal {
namespace {

using frame::Bytes;
using frame::Inner;
using frame::operator+;

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Bytes next() {
    const bool v6 = one_in(2);
    Bytes in = frame::eth(packet(v6, true));
    if (one_in(4)) in = in + Bytes(below(40), static_cast<uint8_t>(below(256)));
    if (one_in(2)) {
      for (size_t changes = 1 + below(3); changes > 0; --changes)
        in[12 + below(in.size() - 12)] = strange_byte();
    }
    if (one_in(8)) in[0] |= 1;  // multicast; a new unicast address would depend on the time
    if (one_in(4)) in.resize(14 + below(in.size() - 13));
    if (in.size() > kFrameBytes) in.resize(kFrameBytes);
    return in;
  }

 private:
  // A frame that does not fit into a page becomes several fragments in a test run, and the program sees only
  // the first one.
  static constexpr size_t kFrameBytes = 3000;

  size_t below(size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random_); }
  bool one_in(size_t n) { return below(n) == 0; }
  uint8_t strange_byte() {
    constexpr uint8_t kOften[] = {0, 1, 4, 6, 17, 43, 44, 58, 60, 131, 137, 0x45, 0x46, 0x60, 0xff};
    return one_in(2) ? kOften[below(std::size(kOften))] : static_cast<uint8_t>(below(256));
  }

  Inner ports() {
    constexpr unsigned kPorts[] = {80, 443, 5300, 8080, 9999, 40000};
    const unsigned source = kPorts[below(std::size(kPorts))];
    const unsigned destination = kPorts[below(std::size(kPorts))];
    return one_in(2) ? frame::tcp(source, destination) : frame::udp(source, destination, below(20));
  }

  Bytes packet(bool v6, bool may_quote) {
    constexpr const char* kV4[] = {"198.18.0.10", "198.18.1.1", "198.18.2.1", "198.18.1.101", "198.18.2.11"};
    constexpr const char* kV6[] = {"fd18:0::10", "fd18:1::1", "fd18:2::1", "fd18:1::101", "fd18:2::11"};
    Inner inner = ports();
    if (may_quote && one_in(2)) {
      Bytes quoted = packet(v6, false);
      if (one_in(3)) quoted.resize(below(quoted.size() + 1));
      constexpr uint8_t kTypes[] = {1, 2, 3, 4, 5, 8, 11, 12, 128};
      const uint8_t type = kTypes[below(std::size(kTypes))];
      inner = v6 ? frame::icmp6(type, quoted) : frame::icmp4(type, quoted);
    }
    if (!v6) {
      const frame::V4 with = {one_in(3) ? 4 * below(11) : 0,
                              static_cast<uint16_t>(one_in(4) ? 8 * below(8192) : 0), one_in(8)};
      return frame::v4(kV4[below(5)], kV4[below(5)], inner, with);
    }
    if (one_in(2)) {
      for (size_t count = below(9); count > 0; --count) {
        const size_t kind = below(4);
        const uint8_t units = static_cast<uint8_t>(one_in(10) ? below(256) : below(3));
        if (kind == 0) inner = frame::hop_by_hop(inner, units);
        if (kind == 1) inner = frame::destination_options(inner, units);
        if (kind == 2) inner = frame::routing(inner, one_in(4));
        if (kind == 3) inner = frame::fragment(inner, one_in(4) ? 8 * below(8192) : 0, one_in(2));
      }
    }
    return frame::v6(kV6[below(5)], kV6[below(5)], inner);
  }

  std::mt19937 random_;
};

std::string hex(const Bytes& bytes) {
  std::string text;
  char digits[4];
  for (uint8_t byte : bytes) text += (std::snprintf(digits, sizeof(digits), "%02x ", byte), digits);
  return text;
}

using SteerRandomTest = SteerTest;

TEST_F(SteerRandomTest, AgreesWithThePlainVersion) {
  const char* seed_text = std::getenv("TEAL_SEED");
  const uint32_t seed = seed_text ? static_cast<uint32_t>(std::strtoul(seed_text, nullptr, 10)) : 20261123;
  const SteerReference client_reference(picture(), false);
  const SteerReference backend_reference(picture(), true);
  Generator generator(seed);
  std::map<std::string, int> seen;
  for (int i = 0; i < 100'000; ++i) {
    const Bytes in = generator.next();
    const bool backend_side = i % 2 == 1;
    const std::string expected = name_of((backend_side ? backend_reference : client_reference).judge(in));
    const std::string verdict = backend_side ? on_backend_side(in) : on_client_side(in);
    ASSERT_EQ(verdict, expected) << "seed " << seed << ", frame " << i << ": " << hex(in);
    ++seen[verdict];
  }
  // The comparison has value only if the generator produces every verdict often.
  for (const char* verdict : {"pass", "to_vip", "from_backend", "icmp_error", "fragment"}) {
    EXPECT_GT(seen[verdict], 100) << verdict;
  }
}

}  // namespace
}  // namespace teal
