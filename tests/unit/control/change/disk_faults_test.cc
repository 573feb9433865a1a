// SPDX-License-Identifier: Apache-2.0
//
// Changes while the disk is full, fails or hangs.
#include <fstream>
#include <thread>

#include "tests/unit/control/change/change_fixture.h"
#include "tests/unit/control/faulty_disk.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

class HungDisk : public ChangeFixture {
 protected:
  HungDisk() {
    static const FaultyDisk disk;
    FaultyDisk::use(control_file);
    set_disk("works");
    start_dataplane();
    start_teald();
    take_events();
  }
  ~HungDisk() override { set_disk("works"); }  // else the disk's thread could not be joined

  // Only a disk that hangs may exceed a time limit, not a loaded machine.
  void set_disk(const std::string& word) {
    FaultyDisk::set(control_file, word);
    limits = word == "hangs" ? Recorder::Limits{.commit = 250ms, .query = 2s}
                             : Recorder::Limits{.commit = 20s, .query = 20s};
    if (teald) teald->recorder.set_limits(limits);
  }
  // Returns when the commits that were given up have landed and everything is recorded.
  bool recorded() {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!teald->journal.unrecorded().empty() || teald->recorder.hangs_since()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(1ms);  // for the disk's thread
      tidy();
    }
    return true;
  }
  std::string code(const Result& result) { return result ? "" : std::string(result.error().code); }
  std::vector<HistoryRow> rows(uint32_t limit) {
    return *teald->state().history({.service = {}, .limit = limit, .before = {}});
  }

  const std::string control_file = dir.file("disk");
};

class DiskFaults : public HungDisk, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Each, DiskFaults, testing::Values("full", "fails", "hangs"),
                         [](const auto& info) { return std::string(info.param); });

TEST(RecorderLimits, ACommitHasAboutASecond) {
  EXPECT_EQ(Recorder::Limits().commit, 1s);
}

TEST_F(HungDisk, OnlyTheFirstCommitWaitsForADiskThatHangs) {
  set_disk("hangs");
  EXPECT_EQ(code(flip("service-b", Colour::kGreen)), "storage");
  const auto asked = std::chrono::steady_clock::now();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(code(flip("service-b", Colour::kGreen)), "storage");
  EXPECT_LT(std::chrono::steady_clock::now() - asked, 4 * limits.commit) << "8 waits would take twice this";
}

TEST_P(DiskFaults, AFlipIsRefusedAndARollbackIsMadeAndRecordedLater) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  take_events();
  set_disk(GetParam());
  EXPECT_EQ(code(flip("service-b", Colour::kGreen)), "storage");
  EXPECT_EQ(code(lock()), "storage");
  EXPECT_FALSE(teald->executor.catalogue().inventory().lock);
  EXPECT_EQ((*dataplane)->generation(), 2u);

  const Result back = rollback("service-a");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_FALSE(back->recorded);
  EXPECT_EQ(back->warnings.size(), 1u);
  EXPECT_EQ(take_events(), "published adopted done");
  EXPECT_EQ((*dataplane)->splits().services[0].active, Colour::kBlue);
  EXPECT_FALSE(teald->journal.unrecorded().empty());

  set_disk("works");
  ASSERT_TRUE(recorded());
  EXPECT_EQ(teald->state().load()->services[0].active, Colour::kBlue);
  EXPECT_FALSE(teald->state().load()->lock);
  EXPECT_TRUE(teald->state().open_intents()->empty());
  const auto written = rows(10);
  const auto is_rollback = [](const HistoryRow& row) {
    return row.verb == "rollback" && row.result == "done";
  };
  EXPECT_EQ(std::count_if(written.begin(), written.end(), is_rollback), 1);
}

TEST_P(DiskFaults, ALockIsRemovedWithoutTheDiskSoThatARollbackIsPossible) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  ASSERT_TRUE(lock());
  set_disk(GetParam());
  EXPECT_EQ(code(rollback("service-a")), "locked");
  EXPECT_EQ(code(unlock()), "storage") << "the first one finds out that the disk is bad";
  const Result opened = unlock();
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_FALSE(opened->recorded);
  EXPECT_FALSE(teald->executor.catalogue().inventory().lock);
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ((*dataplane)->splits().services[0].active, Colour::kBlue);
  set_disk("works");
  ASSERT_TRUE(recorded());
  EXPECT_FALSE(teald->state().load()->lock);
  EXPECT_TRUE(teald->state().open_intents()->empty());
  const auto written = rows(2);
  EXPECT_EQ(written[1].verb, "unlock");
  EXPECT_EQ(written[1].result, "done");
  start_teald();
  EXPECT_FALSE(teald->executor.catalogue().inventory().lock);
}

// Nothing waits to be recorded, so only the failed commit tells of the disk.
TEST_P(DiskFaults, AFailedCommitCountsUntilACommitWorks) {
  set_disk(GetParam());
  EXPECT_EQ(code(flip("service-a", Colour::kGreen)), "storage");
  tidy();
  EXPECT_TRUE(teald->journal.unrecorded().empty());
  EXPECT_NE(teald->recorder.trouble(), "");
  set_disk("works");
  ASSERT_TRUE(recorded());
  tidy();
  EXPECT_EQ(teald->recorder.trouble(), "");
}

TEST_P(DiskFaults, RevisionsAndRequestIdsNeedNoDisk) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  set_disk(GetParam());
  ChangeOptions options;
  options.request = RequestId{"deploy-42", 1};
  options.if_revision = 2;
  const Result back = rollback("service-a", options);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->revision, 3u);
  EXPECT_NE(back->warnings.back().find("with its request id, which is in memory"), std::string::npos);
  const Result again = rollback("service-a", options);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->first_answer["revision"], 3);
  options.request->id = "deploy-43";
  options.if_revision = 3;
  const Result nothing = rollback("service-a", options);
  ASSERT_TRUE(nothing);
  EXPECT_NE(nothing->warnings.back().find("the request id is kept in memory only"), std::string::npos);
  set_disk("works");
  ASSERT_TRUE(recorded());
  start_teald();
  EXPECT_EQ(teald->executor.catalogue().inventory().revision, 3u);
  EXPECT_TRUE(*teald->state().answer("deploy-42"));
}

TEST_P(DiskFaults, AResultIsRecordedWhenTheDiskWorksAgain) {
  on_event = [&](const std::string& type) {
    if (type == "published") set_disk(GetParam());
  };
  const Result drained = set_backend("198.18.2.12:8080", AdminState::kDrain);
  ASSERT_TRUE(drained) << "it is in force";
  EXPECT_FALSE(drained->recorded);
  on_event = [](const std::string&) {};
  EXPECT_EQ(code(set_backend("198.18.2.12:8080", AdminState::kReady)), "storage")
      << "the database must not have a change before the results of the changes before it";
  set_disk("works");
  ASSERT_TRUE(recorded());
  EXPECT_EQ(teald->state().load()->backends[1].members[0].admin, AdminState::kDrain);
  EXPECT_TRUE(teald->state().open_intents()->empty());
  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kReady));
  start_teald();
  EXPECT_EQ(teald->state().load()->backends[1].members[0].admin, AdminState::kReady) << "what came last wins";
}

// No slot is free, and that cannot be recorded either.
TEST_P(DiskFaults, AFailureIsRecordedWhenTheDiskWorksAgain) {
  clock.on_sleep = [] {};
  const auto flip_again = [&] { return code(flip("service-a", other(service("service-a").active))); };
  int flips = 0;
  while (flip_again() != "no_free_slot") ASSERT_LT(++flips, 70);
  on_event = [&](const std::string& type) {
    if (type == "intended") set_disk(GetParam());
  };
  ASSERT_EQ(flip_again(), "no_free_slot");
  on_event = [](const std::string&) {};
  set_disk("works");
  ASSERT_TRUE(recorded());
  EXPECT_EQ(latest().result, "not_published");
}

TEST_P(DiskFaults, AStartTakesOverWhatIsKnown) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  ASSERT_TRUE(flip("service-b", Colour::kGreen));
  teald.reset();
  set_disk(GetParam());
  start_teald();
  EXPECT_FALSE(teald->recorder.is_open());
  EXPECT_EQ(service("service-a").active, Colour::kGreen);
  EXPECT_EQ((*dataplane)->generation(), 3u) << "nothing was published: the segment has everything";
  EXPECT_EQ(code(flip("service-a", Colour::kBlue)), "storage");
}

TEST_F(HungDisk, ACommitThatLandsTooLateIsFollowedByItsResult) {
  set_disk("hangs");
  EXPECT_EQ(code(flip("service-a", Colour::kGreen)), "storage");
  EXPECT_EQ(code(lock()), "storage") << "at once, as the disk does not answer";
  EXPECT_EQ(code(flip("service-a", Colour::kGreen, {.dry_run = true})), "storage") << "as the flip itself";
  EXPECT_TRUE(teald->journal.unrecorded().empty());
  EXPECT_NE(teald->recorder.trouble().find("has not answered"), std::string::npos) << "told all the same";
  set_disk("works");
  ASSERT_TRUE(recorded());
  EXPECT_EQ(teald->recorder.trouble(), "");
  EXPECT_EQ(latest().verb, "flip");
  EXPECT_EQ(latest().result, "not_published");
  EXPECT_TRUE(teald->state().open_intents()->empty());
  EXPECT_EQ((*dataplane)->generation(), 1u);
}

TEST_F(HungDisk, AReloadThatLandsTooLateLeavesTheStatesOfBackends) {
  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kMaint));
  set_disk("hangs");
  write_with(", \"198.18.2.12:8080\"", "");
  EXPECT_EQ(code(reload()), "storage");
  std::ofstream(dir.file("teal.toml")) << kShopToml;
  set_disk("works");
  ASSERT_TRUE(recorded());
  start_teald();
  for (const BackendState& backend : teald->executor.catalogue().inventory().backends)
    if (to_string(backend.socket) == "198.18.2.12:8080") {
      EXPECT_FALSE(backend.retired);
      EXPECT_EQ(backend.members[0].admin, AdminState::kMaint);
    }
}

TEST_F(HungDisk, ALockThatLandsTooLateIsTakenBack) {
  set_disk("hangs");
  ChangeOptions options;
  options.request = RequestId{"deploy-42", 1};
  EXPECT_EQ(code(lock(options)), "storage");
  set_disk("works");
  ASSERT_TRUE(recorded());
  EXPECT_FALSE(teald->state().load()->lock);
  EXPECT_FALSE(*teald->state().answer("deploy-42")) << "the lock was refused";
  EXPECT_EQ(teald->state().load()->revision, teald->executor.catalogue().inventory().revision);
  EXPECT_FALSE(latest().revision) << "teald took it back";
  EXPECT_EQ(text_of(latest().actor), "teald");
  EXPECT_EQ(latest().verb, "unlock");
  start_teald();
  EXPECT_TRUE(flip("service-a", Colour::kGreen));
}

TEST_F(HungDisk, ARollbackIsPublishedBeforeItIsRecorded) {
  ASSERT_TRUE(flip("service-a", Colour::kGreen));
  std::string recorded_then;
  on_event = [&](const std::string& type) {
    if (type == "adopted") recorded_then = latest().verb;
  };
  ASSERT_TRUE(rollback("service-a"));
  EXPECT_EQ(recorded_then, "flip");
  EXPECT_EQ(latest().verb, "rollback");
}

TEST_F(HungDisk, ANewSegmentGetsItsRulesWithoutTheDisk) {
  set_disk("hangs");
  dataplane.reset();
  std::filesystem::remove(dir.file("run/segment"));
  start_dataplane();
  take_events();
  ASSERT_TRUE(follow());
  EXPECT_EQ(take_events().find("intended"), std::string::npos) << "the disk would be asked";
  EXPECT_NE((*dataplane)->generation(), 0u);
}

}  // namespace
}  // namespace teal
