// SPDX-License-Identifier: Apache-2.0
//
// Revisions, and requests with an id, in the database.
#include "control/state/state.h"

#include <gtest/gtest.h>

#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

constexpr int64_t kHourMs = 3'600'000;

class StoredRequests : public testing::Test {
 protected:
  Intent intent(uint64_t generation, const char* id) {
    Intent made{generation, "flip", "[]", "", {1000, "alice", Actor::Kind::kLogin}, now_ms_};
    made.revision = generation;
    made.request = CarriedOut{id, 7, R"({"generation":10})"};
    return made;
  }
  std::vector<std::string> ids() {
    std::vector<std::string> known;
    const auto requests = state_->requests();
    for (const KnownRequest& request : *requests) known.push_back(request.id);
    return known;
  }
  void restart() { state_ = State::open(dir_.path()); }
  using Ids = std::vector<std::string>;

  const TempDir dir_;
  tl::expected<State, std::string> state_ = State::open(dir_.path());
  int64_t now_ms_ = 1'700'000'000'000;
};

TEST_F(StoredRequests, ARequestIsKeptWithItsIntentAndItsResultReplacesTheAnswer) {
  Intent flip = intent(10, "deploy-42");
  const auto row = state_->intend(flip);
  ASSERT_TRUE(row);
  restart();
  EXPECT_EQ(state_->open_intents()->front().revision, 10u);
  EXPECT_EQ(state_->load()->revision, 0u) << "it is not in force";
  ASSERT_EQ(state_->requests()->size(), 1u);
  EXPECT_EQ(state_->requests()->front().intent, *row);
  EXPECT_EQ(state_->requests()->front().content, 7u);
  EXPECT_EQ(*state_->answer("deploy-42"), R"({"generation":10})");
  flip.request->answer = R"({"generation":10,"workers":1})";
  Unrecorded result{.row = *row};
  result.finish = Finish{.at_ms = now_ms_, .request = flip.request};
  ASSERT_TRUE(state_->record({result}));
  EXPECT_EQ(*state_->answer("deploy-42"), R"({"generation":10,"workers":1})");
  EXPECT_EQ(state_->load()->revision, 10u);
  EXPECT_EQ(state_->history({})->front().revision, 10u);
  EXPECT_EQ(text_of(state_->history({})->front().actor), "alice (as root)");
}

TEST_F(StoredRequests, AChangeThatWasNotPublishedLeavesNeitherRequestNorRevision) {
  const auto row = state_->intend(intent(10, "deploy-42"));
  ASSERT_TRUE(state_->finish(*row, Outcome::kNotPublished, now_ms_, 0, "", {}));
  EXPECT_EQ(ids(), Ids{});
  EXPECT_EQ(*state_->answer("deploy-42"), std::nullopt);
  EXPECT_EQ(state_->load()->revision, 0u);
  EXPECT_FALSE(state_->history({})->front().revision);
}

TEST_F(StoredRequests, AreForgottenAfterADay) {
  ASSERT_TRUE(state_->intend(intent(10, "old")));
  now_ms_ += 23 * kHourMs;
  ASSERT_TRUE(state_->remember({"nothing", 1, "{}"}, now_ms_));
  EXPECT_EQ(ids(), (Ids{"old", "nothing"}));
  now_ms_ += 2 * kHourMs;
  ASSERT_TRUE(state_->intend(intent(11, "new")));
  EXPECT_EQ(ids(), (Ids{"nothing", "new"}));
}

// A lock has the generation of the change before. Its own number must not be given again.
TEST_F(StoredRequests, ALockHasARevisionOfItsOwn) {
  Intent lock = intent(10, "freeze");
  lock.revision = 11;
  lock.lock = LockChange{ChangeLock{1000, "alice", "frozen", 1, true}};
  ASSERT_TRUE(state_->intend(lock));
  restart();
  EXPECT_EQ(state_->load()->revision, 11u);
  EXPECT_EQ(state_->load()->given_generation, 11u);
  EXPECT_TRUE(state_->load()->lock->by_root);
}

TEST_F(StoredRequests, DamageIsToldWithItsRow) {
  ASSERT_TRUE(state_->remember({"deploy-42", 1, "not JSON"}, now_ms_));
  const auto answer = state_->answer("deploy-42");
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().find("table requests, row \"deploy-42\": answer is"), std::string::npos)
      << answer.error();
  run_sql(dir_.file("teal.db"), "UPDATE requests SET at_ms = -1");
  EXPECT_FALSE(state_->requests());
  run_sql(dir_.file("teal.db"), "DELETE FROM meta WHERE key = 'revision'");
  EXPECT_NE(state_->load().error().find("there is no row \"revision\""), std::string::npos);
}

}  // namespace
}  // namespace teal
