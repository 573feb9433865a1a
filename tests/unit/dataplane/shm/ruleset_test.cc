// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/ruleset.h"

#include <cstring>
#include <memory>

#include <gtest/gtest.h>

namespace teal {
namespace {

Socket socket_of(uint32_t number, bool v4) {
  uint8_t bytes[16] = {0xfd, 0x18};
  std::memcpy(bytes + 12, &number, sizeof(number));
  return {.address = v4 ? IpAddress::from_v4(bytes + 12) : IpAddress::from_v6(bytes),
          .port = Be16::from_host(80),
          .protocol = kProtocolTcp};
}

TEST(Ruleset, FindsEverySocketOfFullTablesAndNoOther) {
  const auto rules = std::make_unique<Ruleset>();
  const auto vip = [](uint16_t id) { return socket_of(id / 2, id % 2); };
  const auto backend = [](uint16_t id) { return socket_of(1'000'000u + id / 2, id % 2); };
  for (uint16_t id = 0; id < kMaxServices; ++id) {
    rules->services[id].vip = vip(id);
    rules->vips.insert(vip(id), id);
  }
  for (uint16_t id = 0; id < kMaxBackends; ++id) {
    rules->backends[id].socket = backend(id);
    rules->sockets.insert(backend(id), id);
  }
  for (uint16_t id = 0; id < kMaxServices; ++id) EXPECT_EQ(rules->find_service(vip(id)), id);
  for (uint16_t id = 0; id < kMaxBackends; ++id) EXPECT_EQ(rules->find_backend(backend(id)), id);
  for (const bool v4 : {false, true}) {
    Socket other = socket_of(5, v4);
    other.protocol = kProtocolUdp;
    EXPECT_EQ(rules->find_service(other), kNoId);
    other = socket_of(5, v4);
    other.port = Be16::from_host(81);
    EXPECT_EQ(rules->find_service(other), kNoId);
    EXPECT_EQ(rules->find_service(socket_of(1'000'005, v4)), kNoId);
    EXPECT_EQ(rules->find_backend(socket_of(5, v4)), kNoId);
  }
}

// The word of an IPv6 row is only a hash, so two sockets may have the same word.
TEST(Ruleset, ComparesIpv6SocketsWithTheSameHash) {
  const auto rules = std::make_unique<Ruleset>();
  const Socket known = socket_of(1, false), other = socket_of(2, false);
  rules->services[7].vip = known;
  rules->vips.insert(other, 7);  // the id of `known` under the word of `other`
  EXPECT_EQ(rules->find_service(other), kNoId);
}

TEST(Ruleset, OtherColour) {
  EXPECT_EQ(other(Colour::kBlue), Colour::kGreen);
  EXPECT_EQ(other(Colour::kGreen), Colour::kBlue);
}

}  // namespace
}  // namespace teal
