// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/ruleset.h"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

namespace teal {
namespace {

Socket socket_of(uint32_t number) {
  Socket socket{.address = {}, .port = Be16::from_host(80), .protocol = kProtocolTcp};
  std::copy_n(reinterpret_cast<const uint8_t*>(&number), sizeof(number), socket.address.bytes + 12);
  return socket;
}

void enter(uint16_t* table, uint32_t size, const Socket& socket, uint16_t id) {
  uint64_t at = socket_hash(socket);
  while (table[at % size] != kNoId) ++at;
  table[at % size] = id;
}

TEST(Ruleset, FindsEverySocketOfFullTablesAndNoOther) {
  const auto rules = std::make_unique<Ruleset>();
  std::fill(std::begin(rules->vip_table), std::end(rules->vip_table), kNoId);
  std::fill(std::begin(rules->backend_table), std::end(rules->backend_table), kNoId);
  for (uint16_t id = 0; id < kMaxServices; ++id) {
    rules->services[id].vip = socket_of(id);
    enter(rules->vip_table, kVipTableSize, rules->services[id].vip, id);
  }
  for (uint16_t id = 0; id < kMaxBackends; ++id) {
    rules->backends[id].socket = socket_of(1'000'000u + id);
    enter(rules->backend_table, kBackendTableSize, rules->backends[id].socket, id);
  }
  for (uint16_t id = 0; id < kMaxServices; ++id) EXPECT_EQ(rules->find_service(socket_of(id)), id);
  for (uint16_t id = 0; id < kMaxBackends; ++id)
    EXPECT_EQ(rules->find_backend(socket_of(1'000'000u + id)), id);
  Socket udp = socket_of(5);
  udp.protocol = kProtocolUdp;
  EXPECT_EQ(rules->find_service(udp), kNoId);
  EXPECT_EQ(rules->find_service(socket_of(1'000'005)), kNoId);
  EXPECT_EQ(rules->find_backend(socket_of(5)), kNoId);
}

TEST(Ruleset, OtherColour) {
  EXPECT_EQ(other(Colour::kBlue), Colour::kGreen);
  EXPECT_EQ(other(Colour::kGreen), Colour::kBlue);
}

}  // namespace
}  // namespace teal
