// SPDX-License-Identifier: Apache-2.0
#include "control/publish/ruleset_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <set>

#include "control/publish/maglev.h"

namespace teal {
namespace {

// A slot as a worker left it: whatever is in it must not show.
std::unique_ptr<Ruleset> used_slot() {
  auto ruleset = std::make_unique<Ruleset>();
  std::memset(static_cast<void*>(ruleset.get()), 0xa5, sizeof(Ruleset));
  return ruleset;
}

Socket socket_of(const char* text, uint8_t protocol = kProtocolTcp) {
  Socket socket = parse_socket(text).value();
  socket.protocol = protocol;
  return socket;
}

NumberedService service(uint16_t id, const char* vip) {
  return {.id = id, .name = "service-" + std::to_string(id), .vip = socket_of(vip)};
}

NumberedBackend backend(uint16_t id, uint16_t service, const char* socket, std::optional<uint32_t> blue,
                        std::optional<uint32_t> green = std::nullopt) {
  return {.id = id, .service = service, .socket = socket_of(socket), .weights = {blue, green}};
}

std::vector<uint16_t> table_of(const Ruleset& ruleset, uint16_t service, Colour colour) {
  const MaglevTable& pool = ruleset.services[service].pools[static_cast<uint8_t>(colour)];
  return {ruleset.maglev + pool.offset, ruleset.maglev + pool.offset + pool.size};
}

std::set<uint16_t> ids_of(const Ruleset& ruleset, uint16_t service, Colour colour) {
  const auto table = table_of(ruleset, service, colour);
  return {table.begin(), table.end()};
}

TEST(RulesetBuilder, FillsASmallPlan) {
  RulesetInput plan;
  plan.timeouts = {1, 2, 3, 4, 5};
  plan.services = {service(7, "198.18.0.10:80"), service(1023, "[fd18::10]:80")};
  plan.services[1].affinity_client = true;
  plan.services[1].on_down_reset = true;
  plan.services[1].preview = socket_of("[fd18::110]:80");
  plan.services[0].preview_clients = {*parse_prefix("198.18.1.0/24")};
  plan.services[1].preview_clients = {*parse_prefix("fd18:1::/64"), *parse_prefix("fd18:3::7")};
  plan.backends = {backend(100, 7, "198.18.2.11:8080", 1), backend(4095, 7, "198.18.2.12:8080", 1, 1),
                   backend(0, 7, "198.18.2.21:8080", std::nullopt, 1),
                   backend(5, 1023, "[fd18:2::11]:8080", 1, 0)};
  const auto out = used_slot();
  ASSERT_TRUE(build_ruleset(plan, *out));

  EXPECT_EQ(out->timeouts.tcp_closed, 4u);
  EXPECT_EQ(out->services[7].flags, kServicePresent);
  EXPECT_EQ(out->services[1023].flags, kServicePresent | kAffinityClient | kOnDownReset);
  EXPECT_EQ(out->services[0].flags, 0);
  EXPECT_EQ(out->backends[1].flags, 0);
  EXPECT_EQ(out->backends[4095].flags, kBackendPresent | kBackendTakesBlue | kBackendTakesGreen);
  EXPECT_EQ(out->backends[4095].service, 7);
  EXPECT_EQ(out->find_service(plan.services[0].vip), 7);
  EXPECT_EQ(out->find_service(plan.services[1].vip), 1023);
  EXPECT_EQ(out->find_service(*plan.services[1].preview), 1023 + kPreviewAddress);
  EXPECT_EQ(out->services[1023].preview, plan.services[1].preview);
  EXPECT_TRUE(out->previews(7, *IpAddress::parse("198.18.1.255")));
  EXPECT_FALSE(out->previews(7, *IpAddress::parse("198.18.2.0")));
  EXPECT_TRUE(out->previews(1023, *IpAddress::parse("fd18:1::4:4:4:4")));
  EXPECT_TRUE(out->previews(1023, *IpAddress::parse("fd18:3::7")));
  EXPECT_FALSE(out->previews(1023, *IpAddress::parse("fd18:3::8")));
  EXPECT_FALSE(out->previews(0, *IpAddress::parse("198.18.1.1")));
  EXPECT_EQ(out->find_service(socket_of("198.18.0.10:80", kProtocolUdp)), kNoId);
  EXPECT_EQ(out->find_service(socket_of("198.18.0.10:81")), kNoId);
  EXPECT_EQ(out->find_service(plan.backends[0].socket), kNoId);
  EXPECT_EQ(out->find_backend(plan.backends[0].socket), 100);
  EXPECT_EQ(out->find_backend(plan.services[0].vip), kNoId);
  EXPECT_EQ(out->backends[0].flags, kBackendPresent | kBackendTakesGreen) << "it is not in the blue pool";
  EXPECT_EQ(out->backends[5].flags, kBackendPresent | kBackendTakesBlue)
      << "its weight is 0 in the green pool";
  EXPECT_EQ(ids_of(*out, 7, Colour::kBlue), (std::set<uint16_t>{100, 4095}));
  EXPECT_EQ(ids_of(*out, 7, Colour::kGreen), (std::set<uint16_t>{0, 4095}));
  EXPECT_EQ(ids_of(*out, 1023, Colour::kBlue), (std::set<uint16_t>{5}));
  EXPECT_EQ(out->services[1023].pools[1].size, 0u) << "its only member has the weight 0";
  EXPECT_EQ(out->maglev_used, 3 * 251u);
}

TEST(RulesetBuilder, EmptyPlanKnowsNoSocket) {
  const auto out = used_slot();
  ASSERT_TRUE(build_ruleset({}, *out));
  EXPECT_EQ(out->maglev_used, 0u);
  EXPECT_EQ(out->find_service(socket_of("198.18.0.10:80")), kNoId);
  EXPECT_EQ(out->find_backend(socket_of("198.18.0.10:80")), kNoId);
}

TEST(RulesetBuilder, RetiredAreClassifiedButNotChosen) {
  RulesetInput plan;
  plan.services = {service(1, "198.18.0.10:80"), service(2, "198.18.0.11:80")};
  plan.services[1].retired = true;
  plan.backends = {backend(10, 1, "198.18.2.11:8080", 1, 1), backend(11, 1, "198.18.2.12:8080", 1, 1),
                   backend(12, 2, "198.18.2.13:8080", 1, 1)};
  plan.backends[1].retired = true;
  const auto out = used_slot();
  ASSERT_TRUE(build_ruleset(plan, *out));
  EXPECT_EQ(out->find_service(plan.services[1].vip), 2);
  EXPECT_EQ(out->services[2].flags, kServicePresent | kServiceRetired);
  EXPECT_EQ(out->services[2].pools[0].size, 0u);
  EXPECT_EQ(out->services[2].pools[1].size, 0u);
  EXPECT_EQ(out->find_backend(plan.backends[1].socket), 11);
  EXPECT_EQ(out->backends[10].flags, kBackendPresent | kBackendTakesBlue | kBackendTakesGreen);
  EXPECT_EQ(out->backends[11].flags, kBackendPresent | kBackendRetired);
  EXPECT_EQ(out->backends[12].flags, kBackendPresent) << "its service is retired";
  EXPECT_EQ(ids_of(*out, 1, Colour::kBlue), std::set<uint16_t>{10});
  EXPECT_EQ(out->find_backend(plan.backends[2].socket), 12);
}

// A header with the VIP, its checksum, then the backend in it: the delta must give the checksum that a full
// sum gives.
uint16_t full_checksum(const Socket& destination, const std::vector<uint8_t>& rest, bool with_port) {
  std::vector<uint8_t> bytes = rest;
  const size_t skip = destination.address.is_v4() ? 12 : 0;
  bytes.insert(bytes.end(), destination.address.bytes + skip, destination.address.bytes + 16);
  const uint16_t port = destination.port.host();
  if (with_port) bytes.insert(bytes.end(), {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port)});
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    uint16_t word;
    std::memcpy(&word, &bytes[i], 2);
    sum += word;
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

struct SocketLess {
  bool operator()(const Socket& a, const Socket& b) const { return key(a) < key(b); }
  static std::string key(const Socket& s) { return to_string(s) + "/" + std::to_string(s.protocol); }
};

// Sockets that differ in one part only are frequent: neighbours in the hash tables' eyes.
class RandomSockets {
 public:
  explicit RandomSockets(uint32_t seed) : random_(seed) {}
  Socket next(bool v4, uint8_t protocol) {
    for (;;) {
      Socket socket;
      uint8_t bytes[16] = {0xfd, 0x18};
      bytes[14] = static_cast<uint8_t>(random_() % 8);
      bytes[15] = static_cast<uint8_t>(random_());
      const uint8_t v4_bytes[4] = {198, 18, bytes[14], bytes[15]};
      socket.address = v4 ? IpAddress::from_v4(v4_bytes) : IpAddress::from_v6(bytes);
      socket.port = Be16::from_host(static_cast<uint16_t>(8000 + random_() % 8));
      socket.protocol = protocol;
      if (taken_.insert(socket).second) return socket;
    }
  }
  std::mt19937& random() { return random_; }

 private:
  std::mt19937 random_;
  std::set<Socket, SocketLess> taken_;
};

// As many services and backends as there can be, with ids in no order.
RulesetInput random_plan(RandomSockets& sockets, uint32_t services, uint32_t backends) {
  auto& random = sockets.random();
  std::vector<uint16_t> service_ids(kMaxServices), backend_ids(kMaxBackends);
  std::iota(service_ids.begin(), service_ids.end(), uint16_t{0});
  std::iota(backend_ids.begin(), backend_ids.end(), uint16_t{0});
  std::shuffle(service_ids.begin(), service_ids.end(), random);
  std::shuffle(backend_ids.begin(), backend_ids.end(), random);
  RulesetInput plan;
  for (uint32_t i = 0; i < services; ++i) {
    const uint8_t protocol = random() % 4 == 0 ? kProtocolUdp : kProtocolTcp;
    plan.services.push_back({.id = service_ids[i],
                             .name = "service-" + std::to_string(i),
                             .vip = sockets.next(random() % 2 == 0, protocol),
                             .affinity_client = random() % 2 == 0,
                             .retired = random() % 50 == 0});
    NumberedService& service = plan.services.back();
    if (services < kMaxServices / 2 && random() % 2 == 0)
      service.preview = sockets.next(service.vip.address.is_v4(), protocol);
  }
  for (uint32_t i = 0; i < backends; ++i) {
    const NumberedService& owner = plan.services[random() % services];
    NumberedBackend backend{.id = backend_ids[i],
                            .service = owner.id,
                            .socket = sockets.next(owner.vip.address.is_v4(), owner.vip.protocol),
                            .weights = {},
                            .retired = owner.retired || random() % 50 == 0};
    for (auto& weight : backend.weights) {
      if (!backend.retired && random() % 3 != 0) weight = static_cast<uint32_t>(random() % 5);
    }
    plan.backends.push_back(backend);
  }
  return plan;
}

class RandomPlans : public testing::TestWithParam<uint32_t> {};

TEST_P(RandomPlans, AnswerAsAMapDoes) {
  RandomSockets sockets(GetParam());
  const bool full = GetParam() % 2 == 0;
  const auto out = used_slot();
  const RulesetInput plan = random_plan(sockets, full ? kMaxServices : 37, full ? kMaxBackends : 301);
  ASSERT_TRUE(build_ruleset(plan, *out));

  std::map<Socket, uint16_t, SocketLess> vips, backends;
  std::map<std::pair<uint16_t, uint32_t>, std::vector<MaglevMember>> pools;
  std::map<std::pair<uint16_t, uint32_t>, uint32_t> places;
  for (const auto& service : plan.services) {
    vips[service.vip] = service.id;
    if (service.preview) vips[*service.preview] = service.id + kPreviewAddress;
  }
  for (const auto& backend : plan.backends) {
    backends[backend.socket] = backend.id;
    for (uint32_t colour = 0; colour < kColours; ++colour) {
      if (backend.weights[colour]) ++places[{backend.service, colour}];
      const uint32_t weight = backend.weights[colour].value_or(0);
      if (weight > 0) pools[{backend.service, colour}].push_back({backend.id, backend.socket, weight});
    }
  }
  const auto expect_alike = [&](const Socket& socket) {
    const auto vip = vips.find(socket);
    ASSERT_EQ(out->find_service(socket), vip == vips.end() ? kNoId : vip->second) << to_string(socket);
    const auto backend = backends.find(socket);
    ASSERT_EQ(out->find_backend(socket), backend == backends.end() ? kNoId : backend->second);
    const bool is_address = std::any_of(vips.begin(), vips.end(),
                                        [&](const auto& one) { return one.first.address == socket.address; });
    ASSERT_EQ(out->is_service_address(socket.address), is_address) << to_string(socket);
  };
  for (const auto& [socket, id] : vips) expect_alike(socket);
  for (const auto& [socket, id] : backends) expect_alike(socket);
  for (int i = 0; i < 5000; ++i) {
    expect_alike(sockets.next(i % 2 == 0, i % 3 == 0 ? kProtocolUdp : kProtocolTcp));
  }

  // Every pool's table is what Maglev gives its members; tables neither overlap nor leave gaps.
  std::map<uint32_t, uint32_t> ranges;
  for (const auto& service : plan.services) {
    for (uint32_t colour = 0; colour < kColours; ++colour) {
      const MaglevTable& pool = out->services[service.id].pools[colour];
      const auto& members = pools[{service.id, colour}];
      // The size depends on all places: a backend that is drained and comes back does not change it.
      std::vector<uint16_t> expected(members.empty() ? 0 : maglev_size(places[{service.id, colour}]));
      fill_maglev(members, expected);
      ASSERT_EQ(table_of(*out, service.id, static_cast<Colour>(colour)), expected);
      if (pool.size > 0) ranges[pool.offset] = pool.size;
    }
  }
  uint32_t next = 0;
  for (const auto& [offset, size] : ranges) {
    ASSERT_EQ(offset, next);
    next += size;
  }
  EXPECT_EQ(out->maglev_used, next);
  const uint32_t beyond = out->maglev_used;
  EXPECT_EQ(out->maglev[beyond], 0xa5a5) << "what is not used is not written";

  for (const auto& backend : plan.backends) {
    const auto service = std::find_if(plan.services.begin(), plan.services.end(),
                                      [&](const auto& candidate) { return candidate.id == backend.service; });
    std::vector<uint8_t> rest(20);
    for (auto& byte : rest) byte = static_cast<uint8_t>(sockets.random()());
    const ChecksumDelta delta = out->backends[backend.id].from_vip;
    ASSERT_EQ(updated_checksum(full_checksum(service->vip, rest, true), delta.transport),
              full_checksum(backend.socket, rest, true));
    ASSERT_EQ(updated_checksum(full_checksum(backend.socket, rest, true), delta.reversed().transport),
              full_checksum(service->vip, rest, true));
    if (backend.socket.address.is_v4()) {
      ASSERT_EQ(updated_checksum(full_checksum(service->vip, rest, false), delta.ip),
                full_checksum(backend.socket, rest, false));
    } else {
      ASSERT_EQ(delta.ip, 0);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(RulesetBuilder, RandomPlans, testing::Range(1u, 7u));

TEST(RulesetBuilder, NothingOfTheSlotBeforeShows) {
  RandomSockets sockets(11);
  const RulesetInput large = random_plan(sockets, kMaxServices, kMaxBackends);
  const RulesetInput small = random_plan(sockets, 3, 9);
  const auto reused = used_slot();
  const auto fresh = std::make_unique<Ruleset>();
  ASSERT_TRUE(build_ruleset(large, *reused));
  ASSERT_TRUE(build_ruleset(small, *reused));
  ASSERT_TRUE(build_ruleset(small, *fresh));
  for (const auto& service : large.services) ASSERT_EQ(reused->find_service(service.vip), kNoId);
  for (const auto& backend : large.backends) ASSERT_EQ(reused->find_backend(backend.socket), kNoId);
  for (uint32_t id = 0; id < kMaxServices; ++id) {
    ASSERT_EQ(reused->services[id].flags, fresh->services[id].flags);
    for (uint32_t colour = 0; colour < kColours; ++colour) {
      ASSERT_EQ(reused->services[id].pools[colour].size, fresh->services[id].pools[colour].size);
    }
  }
  for (uint32_t id = 0; id < kMaxBackends; ++id) {
    ASSERT_EQ(reused->backends[id].flags, fresh->backends[id].flags);
  }
}

// 4,096 sockets in both colours, split as badly as can be.
TEST(RulesetBuilder, ArenaSufficesForEverySplit) {
  for (const uint32_t services : {1u, 2u, 12u, 25u, 99u, 1024u}) {
    RandomSockets sockets(services);
    RulesetInput plan = random_plan(sockets, services, kMaxBackends);
    for (uint32_t i = 0; i < kMaxBackends; ++i) {
      NumberedService& owner = plan.services[i % services];
      owner.retired = false;
      plan.backends[i].service = owner.id;
      plan.backends[i].socket = sockets.next(owner.vip.address.is_v4(), owner.vip.protocol);
      plan.backends[i].retired = false;
      plan.backends[i].weights = {1, 1};
    }
    const auto out = used_slot();
    const auto start = std::chrono::steady_clock::now();
    const auto built = build_ruleset(plan, *out);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    ASSERT_TRUE(built) << built.error();
    std::printf("%u services, 4,096 backends in both colours: %u entries, %.1f ms\n", services,
                out->maglev_used, took.count());
    EXPECT_LT(took.count(), 20'000);  // far above what it takes: a sanitizer build on a busy machine passes
  }
}

// The config check never lets such a plan through: each backend is in two pools at most.
TEST(RulesetBuilder, TellsWhatTheArenaLacks) {
  RulesetInput plan;
  for (uint32_t i = 0; i < 1024; ++i) {
    plan.services.push_back({.id = static_cast<uint16_t>(i)});
    plan.services.back().vip = socket_of(("198.18.0.10:" + std::to_string(i + 1)).c_str());
  }
  plan.backends.reserve(12'000);
  for (uint32_t i = 0; i < 12'000; ++i) {
    plan.backends.push_back(backend(0, 0, "198.18.2.11:8080", 1, 1));
    plan.backends.back().service = static_cast<uint16_t>(i % 2);
  }
  auto out = used_slot();
  const auto built = build_ruleset(plan, *out);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error(), "the Maglev tables of 2048 pools need 4194292 entries, expected at most 2097152");
  EXPECT_EQ(out->maglev_used, 0xa5a5a5a5u) << "nothing was written";
}

}  // namespace
}  // namespace teal
