// SPDX-License-Identifier: Apache-2.0
//
// Tests previews: what is refused, what reaches the segment, and what a restart leaves of them.
#include "control/change/preview.h"

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

class PreviewTest : public ChangeFixture {
 protected:
  Result preview(const std::vector<std::string>& clients, ChangeOptions options = {}) {
    PreviewRequest request{.service = "service-a"};
    for (const std::string& client : clients) request.clients.push_back(*parse_prefix(client));
    return teald->run(teald->verbs.set_preview(std::move(request), std::move(options)));
  }
  bool is_previewed(const char* client) {
    return (*dataplane)->ruleset().previews(service("service-a").id, *IpAddress::parse(client));
  }
  // The colour answers a flow of a preview that began just now.
  void note_answer(Colour colour) {
    (*dataplane)
        ->segment()
        .worker(0)
        .services[service("service-a").id][static_cast<size_t>(colour)]
        .answered_when_idle =
        static_cast<uint32_t>(teald->executor.catalogue().inventory().published_generation);
  }
  std::string clients() { return to_text(service("service-a").preview_clients); }
};

TEST_F(PreviewTest, SendsClientsToTheIdleColourAndIsAdoptedBeforeTheAnswer) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  const Result set = preview({"198.18.1.102", "198.18.7.0/24", "198.18.1.102"});
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->fields["changed"].dump(), R"([{"service":"service-a","preview":{"colour":"green",)"
                                           R"("clients":["198.18.1.102/32","198.18.7.0/24"]}}])");
  EXPECT_EQ(set->way_back, "teal preview clear service-a");
  EXPECT_TRUE(set->adoption.complete());
  EXPECT_EQ(dataplane->acknowledged(), set->generation);
  EXPECT_TRUE(is_previewed("198.18.1.102"));
  EXPECT_TRUE(is_previewed("198.18.7.9"));
  EXPECT_FALSE(is_previewed("198.18.1.101"));
  EXPECT_EQ(latest().verb, "preview");

  const Result again = preview({"198.18.1.102", "198.18.7.0/24"});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->generation, set->generation) << "nothing to change";
  const Result cleared = preview({});
  ASSERT_TRUE(cleared);
  EXPECT_EQ(cleared->way_back, "teal preview set service-a 198.18.1.102/32 198.18.7.0/24");
  EXPECT_FALSE(is_previewed("198.18.1.102"));
}

TEST_F(PreviewTest, StaysThroughFlipsReloadsAndRestarts) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  ASSERT_TRUE(preview({"198.18.1.102"}));
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  EXPECT_TRUE(is_previewed("198.18.1.102"));
  write_with("198.18.2.12:8080", "198.18.2.33:8080");
  const Result reloaded = reload();
  ASSERT_TRUE(reloaded) << reloaded.error().message;
  EXPECT_TRUE(is_previewed("198.18.1.102"));
  start_teald();
  EXPECT_EQ(clients(), "198.18.1.102/32");
  ASSERT_TRUE(follow());
  EXPECT_TRUE(is_previewed("198.18.1.102"));
}

TEST_F(PreviewTest, IsRefusedForClientsThatCannotReachTheService) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  const Result other = preview({"fd18:1::7"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, "bad_request");
  EXPECT_EQ(other.error().message,
            "fd18:1::7/128 is IPv6, but the VIP 198.18.0.10:80 of service \"service-a\" is IPv4");
  const uint16_t backend = teald->executor.catalogue().find("service-a")->pools[0][0].id;
  (*dataplane)->segment().header().on_link_prefix_bits[backend] = 96 + 24;
  const Result on_link = preview({"198.18.2.64/26"});
  ASSERT_FALSE(on_link);
  EXPECT_EQ(on_link.error().code, "refused");
  EXPECT_NE(on_link.error().message.find("198.18.2.64/26 is in the subnet of backend 198.18.2.11:8080"),
            std::string::npos)
      << on_link.error().message;
  EXPECT_TRUE(preview({"198.18.2.0/23"})) << "it has other clients, too";
  const Result everybody = preview({"0.0.0.0/0"});
  ASSERT_FALSE(everybody);
  EXPECT_EQ(everybody.error().message,
            "0.0.0.0/0 is nearly everybody, and no gate or judgement protects a preview");
}

// Its flows are on the idle colour, but they began since the flip.
TEST_F(PreviewTest, DoesNotTurnTheNextReleaseIntoAnUndo) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  const Result flipped = flip("service-a", Colour::kGreen);
  ASSERT_TRUE(flipped);
  clock.advance(std::chrono::hours(25));
  const uint16_t blue = teald->executor.catalogue().find("service-a")->pools[0][0].id;
  set_flows(blue, Colour::kBlue, 1);
  FlowCount& count = (*dataplane)->segment().worker(0).flows[blue][0];
  count.older_than = static_cast<uint32_t>(flipped->generation);
  const Result release = flip("service-a", Colour::kBlue);
  ASSERT_TRUE(release);
  EXPECT_EQ(release->fields["changed"].dump(), R"([{"service":"service-a","from":"green","to":"blue"}])");
}

TEST_F(PreviewTest, HasAtMost32Networks) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  std::vector<std::string> many;
  many.reserve(33);
  for (int i = 0; i < 33; ++i) many.push_back("198.18.9." + std::to_string(i));
  const Result refused = preview(many);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("\"clients\" has 33 networks, expected at most 32;"),
            std::string::npos)
      << refused.error().message;
  many.pop_back();
  EXPECT_TRUE(preview(many));
}

TEST_F(PreviewTest, OfAnUnknownServiceIsRefused) {
  start_dataplane();
  start_teald();
  PreviewRequest request{.service = "service-z"};
  const Result refused = teald->run(teald->verbs.set_preview(std::move(request), {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "unknown_service");
}

TEST_F(PreviewTest, NeedsTheDisk) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  break_disk();
  ASSERT_FALSE(preview({"198.18.1.102"}));
  EXPECT_FALSE(is_previewed("198.18.1.102"));
  EXPECT_EQ(clients(), "");
  repair_disk();
  EXPECT_TRUE(preview({"198.18.1.102"}));
}

TEST_F(PreviewTest, IsAGateWhereTheServiceRequiresOne) {
  start_dataplane();
  start_teald();
  write_with("min_capacity = \"50%\"", "min_capacity = \"50%\"\nrequire_preview = true");
  ASSERT_TRUE(follow());
  ASSERT_TRUE(reload());
  const Result refused = flip("service-a", Colour::kGreen);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "nothing was changed: green was not previewed in service-a");
  EXPECT_EQ(refused.error().details,
            std::vector<std::string>{"service-a: green has answered no flow of a preview since it is idle, "
                                     "and require_preview is set"});
  note_answer(Colour::kGreen);
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  ASSERT_TRUE(rollback("service-a")) << "the way back needs no preview";
  EXPECT_FALSE(flip("service-a", Colour::kGreen)) << "the answer is older than the flip";
  note_answer(Colour::kGreen);
  start_teald();
  ASSERT_TRUE(follow());
  EXPECT_TRUE(flip("service-a", Colour::kGreen)) << "a restart of teald forgets no answer";
}

TEST_F(PreviewTest, ANewServiceInheritsNoAnswerOfTheServiceThatHadItsId) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  (*dataplane)->segment().worker(0).services[3][1].answered_when_idle =
      static_cast<uint32_t>(teald->executor.catalogue().inventory().published_generation);
  write_with("[rollout]", R"([[service]]
name = "service-d"
vip = "198.18.0.14:80"
protocol = "tcp"
blue = ["198.18.2.51:8080"]
green = ["198.18.2.61:8080"]
rollout = { require_preview = true }

[rollout])");
  ASSERT_TRUE(reload());
  ASSERT_EQ(service("service-d").id, 3);
  EXPECT_FALSE(flip("service-d", Colour::kGreen));
}

TEST_F(PreviewTest, TheGateIsPassedByForceAndTheHistorySaysSo) {
  start_dataplane();
  start_teald();
  write_with("min_capacity = \"50%\"", "min_capacity = \"50%\"\nrequire_preview = true");
  ASSERT_TRUE(follow());
  ASSERT_TRUE(reload());
  const RolloutRequest request{.what = {{"service-a"}, {}}, .to = Colour::kGreen, .force = true};
  ASSERT_TRUE(teald->run(teald->verbs.roll(request, {})));
  EXPECT_NE(latest().changes.find("\"forced\":[\"require_preview\"]"), std::string::npos) << latest().changes;
}

TEST_F(PreviewTest, WarnsWhereTheIdleColourTakesNoFlows) {
  start_dataplane();
  start_teald();
  ASSERT_TRUE(follow());
  BackendRequest green{.service = "service-a", .colour = Colour::kGreen};
  for (const PoolMember& member : teald->executor.catalogue().find("service-a")->pools[1]) {
    green.address = member.socket;
    green.state = AdminState::kDrain;
    ASSERT_TRUE(teald->run(teald->verbs.set_backend(green, {})));
  }
  const Result set = preview({"198.18.1.102"});
  ASSERT_TRUE(set);
  ASSERT_EQ(set->warnings.size(), 1u);
  EXPECT_EQ(set->warnings[0],
            "no green backend of service \"service-a\" takes new flows now: the preview gets no answer");
}

}  // namespace
}  // namespace teal
