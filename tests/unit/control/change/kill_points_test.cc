// SPDX-License-Identifier: Apache-2.0
//
// Promise 10, as a table: each kind of change, with and without a segment, while teald is killed or its disk
// becomes bad at each step. Afterwards teald is killed in any case. It starts again with a disk that works.
// Then these claims hold:
//   - A change that was answered as done is in force, and a refused one is not.
//   - The state is the one before the change or the one after it, never between, and nothing older.
//   - The history has the change once, with the operator's name, and nothing is pending.
//   - The same request again makes no second change.
//   - A generation is given once. The revision is the one that was told.
//
// The automatic step of a ramp has a table of its own, at the end.
//
// The whole table takes about two minutes; scripts/test --long tries it. The default run tries every kill,
// and each seventh disk error.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/unit/control/change/mortal_daemon.h"
#include "tests/unit/control/faulty_disk.h"

namespace teal {
namespace {

using nlohmann::json;

struct Kind {
  const char* verb;
  const char* body;
  const char* done_event = "done";  // of the last step
};
constexpr Kind kKinds[] = {
    {"flip", R"({"group":"shop","to":"green"})"},
    {"rollback", R"({"services":["service-c"]})"},
    {"backend",
     R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"drain","weight":3})"},
    {"drain", R"({"services":["service-c"],"timeout":"7m","then":"reset"})"},
    {"ramp", R"({"services":["service-b"],"to":"green","steps":["5%","50%","100%"],"every":"10m"})"},
    {"next", R"({"services":["service-b"]})"},
    {"pause", R"({"services":["service-b"]})"},
    {"resume", R"({"services":["service-b"]})"},
    {"abort", R"({"services":["service-b"]})"},
    {"preview", R"({"service":"service-a","clients":["198.18.0.0/24"]})"},
    {"reload", "{}"},
    {"lock", "{}", "locked"},
    {"unlock", "{}", "unlocked"}};

// A fault that comes before the change, or after one of its steps. The disk of "late" hangs, and takes all
// commits before teald is killed.
struct Fault {
  std::string step, what;
  bool segment = true;
};

struct Case {
  Kind kind;
  Fault fault;
};

// A change that is published first, and recorded with its result.
bool has_no_intent(const std::string& verb) {
  return verb == "rollback" || verb == "abort";
}

// Without flows nothing drains. Without a segment every ramp is paused by a start of teald.
bool needs_segment(const std::string& verb) {
  return verb == "drain" || verb == "pause" || verb == "resume";
}

// A lock publishes nothing, and without a segment nobody adopts.
bool passes(const std::string& verb, const std::string& step, bool segment) {
  if (step == "intended") return !has_no_intent(verb) && verb != "lock" && verb != "unlock";
  if (step == "published") return verb != "lock" && verb != "unlock";
  return step != "adopted" || (segment && verb != "lock" && verb != "unlock");
}

void PrintTo(const Case& tried, std::ostream* out) {
  *out << tried.kind.verb << " " << tried.fault.step << " " << tried.fault.what;
}

// TEAL_FAULTS=all tries every case. Otherwise it is every kill, and each seventh error of the disk:
// seven has no factor in common with the number of cases of a step.
std::vector<Case> cases() {
  const char* wanted = std::getenv("TEAL_FAULTS");
  const bool every = wanted != nullptr && wanted == std::string("all");
  int disk_errors = 0;
  std::vector<Case> all;
  for (const Kind& kind : kKinds)
    for (const char* step : {"asked", "intended", "published", "adopted", "done"})
      for (const char* what : {"dies", "full", "fails", "hangs", "late"})
        for (const bool segment : {true, false}) {
          if (!passes(kind.verb, step, segment)) continue;
          if (step == std::string("asked") && what == std::string("dies")) continue;
          if (!segment && needs_segment(kind.verb)) continue;
          if (what != std::string("dies") && ++disk_errors % 7 != 0 && !every) continue;
          all.push_back({kind, {step, what, segment}});
        }
  return all;
}

json shown_ramp(const json& ramp, bool with_pauses) {
  if (ramp.is_null()) return ramp;
  return {ramp["to"], ramp["share_percent"], ramp["step"], with_pauses && !ramp["paused"].is_null()};
}

// Returns what an operator sees, without times and numbers.
json shown(const DaemonHome& home, bool with_pauses) {
  const json page = home.get("/v1/services").body;
  json seen = {{"lock", !page["lock"].is_null()}, {"services", json::object()}};
  for (const json& service : page["services"]) {
    json& of = seen["services"][service["name"]];
    of = {{"active", service["active"]},
          {"back", service["undo"].is_null() ? json() : service["undo"]["to"]},
          {"preview", service["preview"]},
          {"drain", service["drain"]},
          {"ramp", shown_ramp(service["ramp"], with_pauses)}};
    for (const char* colour : {"blue", "green"})
      for (const json& backend : service["colours"][colour]["backends"])
        of[colour][backend["address"]] = backend.value("retired", false)
                                             ? json("retired")
                                             : json{backend["id"], backend["state"], backend["weight"]};
  }
  return seen;
}

constexpr size_t kRamp = 4;  // in kKinds

constexpr const char* kOther = "\"198.18.2.14:8080\"";  // in place of 198.18.2.12

class Home : public DaemonHome {
 public:
  Home(const Kind& changed, bool segment) : kind(changed) {
    std::filesystem::create_directories(run_dir());
    if (segment) dataplane.emplace(run_dir(), 2);
  }

  // Brings a teald into the state before the change: service-c is green, 198.18.2.12 is in maint, the blue
  // backends of both hold flows, and changes are locked if they are to be unlocked.
  void prepare() {
    if (dataplane) hold_flows();
    EXPECT_EQ(flip("service-c", "green").status, 200u);
    EXPECT_EQ(post("/v1/backend",
                   R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"maint"})")
                  .status,
              200u);
    if (is("unlock")) {
      EXPECT_EQ(post("/v1/lock", R"({"reason":"audit"})").status, 200u);
    }
    if (is("reload")) write_other();
    if (is("next") || is("pause") || is("resume") || is("abort")) {
      EXPECT_EQ(post("/v1/ramp", kKinds[kRamp].body).status, 200u);
    }
    if (is("resume")) {
      EXPECT_EQ(post("/v1/pause", kind.body).status, 200u);
    }
  }
  void hold_flows() {
    for (const char* name : {"service-c", "service-a"}) {
      const json blue = service(name)["colours"]["blue"]["backends"];
      for (const json& backend : blue)
        dataplane->segment().worker(0).flows[backend["id"].get<size_t>()][0].live = 1;
    }
  }
  void write_other() const {
    std::string toml = kShopToml;
    toml.replace(toml.find("\"198.18.2.12:8080\""), 18, kOther);
    write_config(toml);
  }
  ApiReply ask() const {
    json body = json::parse(kind.body);
    body["reason"] = "release 42";
    body["request_id"] = "deploy-42";
    return post(std::string("/v1/") + kind.verb, body.dump());
  }
  json shown() const { return teal::shown(*this, dataplane.has_value()); }
  bool is(const char* verb) const { return kind.verb == std::string(verb); }
  void set_disk(const std::string& word) const { FaultyDisk::set(dir().file("disk"), word); }

  const Kind kind;
  std::optional<FakeDataplane> dataplane;
};

// The states before and after a change without a fault.
struct States {
  json before, after;
};

const States& states_of(const Kind& kind, bool segment) {
  static std::map<std::pair<std::string, bool>, States> known;
  const auto [found, is_new] = known.try_emplace({kind.verb, segment});
  if (!is_new) return found->second;
  Home home(kind, segment);
  const MortalDaemon teald(home);
  home.prepare();
  found->second.before = home.shown();
  EXPECT_EQ(home.ask().status, 200u);
  found->second.after = home.shown();
  EXPECT_NE(found->second.before, found->second.after);
  return found->second;
}

class Faults : public testing::TestWithParam<Case> {
 protected:
  bool is(const char* what) const { return fault.what == what; }
  bool is_step(const char* step) const { return fault.step == step; }

  // Makes the change while the fault happens. Afterwards this teald is dead.
  void change() {
    const char* event = is_step("done") ? kind.done_event : fault.step.c_str();
    MortalDaemon teald(home, event, MortalDaemon::kArmed, is("late") ? "hangs" : fault.what);
    home.prepare();
    generation = home.get("/v1/services").body["generation"];
    revision = home.get("/v1/services").body["revision"];
    home.set_disk(!is_step("asked") ? MortalDaemon::kArmedWord : is("late") ? "hangs" : fault.what);
    reply = home.ask();
    if (is("dies")) {
      EXPECT_EQ(reply.status, 0u) << "no answer: it was killed";
      ASSERT_TRUE(teald.dies());
      EXPECT_TRUE(teald.was_killed());
      return;
    }
    EXPECT_EQ(home.shown(), reply.status == 200 ? states.after : states.before);
    if (reply.status == 200) {
      revision = reply.body["revision"];
    } else {
      EXPECT_EQ(reply.body["error"]["code"], "storage") << reply.body;
    }
    EXPECT_EQ(home.get("/v1/services").body["revision"], revision);
    generation = home.get("/v1/services").body["generation"];
    if (!is("late")) return;
    home.set_disk("works");
    EXPECT_TRUE(FakeDataplane::wait_for([&] {
      const json storage = home.get("/v1/services").body["storage"];
      return storage["error"].is_null() && storage["unrecorded"] == 0;
    }));
  }

  // The file as it is at the next start: the one that was in force, unless the reload was published. A file
  // that somebody breaks afterwards takes nothing back.
  void leave_file(bool in_force) const {
    if (!home.is("reload")) return;
    if (!in_force) home.write_config(kShopToml);
    if (reply.status == 200) home.write_config("this is not TOML");
  }

  const Kind kind = GetParam().kind;
  const Fault fault = GetParam().fault;
  const States& states = states_of(kind, fault.segment);
  Home home{kind, fault.segment};
  ApiReply reply;
  uint64_t generation = 0, revision = 0;
};

TEST_P(Faults, AnAnsweredChangeStandsAndARefusedOneDoesNot) {
  change();
  const bool is_killed_in_force = is_step("done") || (fault.segment && !is_step("intended"));
  const bool in_force = is("dies") ? is_killed_in_force : reply.status == 200;
  leave_file(in_force);
  home.set_disk("works");

  MortalDaemon teald(home);
  EXPECT_EQ(home.shown(), in_force ? states.after : states.before);
  const json page = home.get("/v1/services").body;
  if (is("dies") && in_force) {
    EXPECT_GT(page["revision"], revision);
  } else {
    EXPECT_EQ(page["revision"], revision);
  }
  EXPECT_GE(page["generation"], generation);

  const bool is_lock = home.is("lock") || home.is("unlock");
  // A rollback or an abort that teald did not live to copy or to record has no name.
  const bool is_known = !(is("dies") && is_step("published") && has_no_intent(kind.verb));
  int done = 0;
  const json history = home.get("/v1/history?limit=50").body["changes"];
  for (const json& row : history) {
    EXPECT_NE(row["result"], "pending") << row;
    if (row["reason"] != "release 42" || row["result"] != "done") continue;
    EXPECT_EQ(row["verb"], kind.verb);
    EXPECT_EQ(row["uid"], getuid());
    ++done;
  }
  // A lock is on the disk before it is in force, so one that lands too late is done, and then taken back.
  const bool is_taken_back = is_lock && is_step("asked") && is("late");
  EXPECT_EQ(done, is_taken_back || (in_force && is_known) ? 1 : 0);
  if (is_taken_back) {
    EXPECT_EQ(history[0]["verb"], home.is("lock") ? "unlock" : "lock");
    EXPECT_EQ(history[0]["user"], "teald") << history[0];
  }

  if (home.is("reload")) home.write_other();
  const uint64_t now = page["generation"];
  const ApiReply again = home.ask();
  ASSERT_EQ(again.status, 200u) << again.body;
  EXPECT_EQ(again.body["repeated"], in_force && is_known) << again.body;
  EXPECT_EQ(home.shown(), states.after);
  const uint64_t then = home.get("/v1/services").body["generation"];
  if (in_force) {
    EXPECT_EQ(then, now);
  } else {
    EXPECT_EQ(then > now, !is_lock) << "done now, under a generation that was never given before";
  }
  if (!home.dataplane) return;
  EXPECT_TRUE(FakeDataplane::wait_for(
      [&] { return home.dataplane->segment().header().acknowledged == home.dataplane->generation(); }));
}

INSTANTIATE_TEST_SUITE_P(EveryStep, Faults, testing::ValuesIn(cases()), [](const auto& info) {
  const Fault& fault = info.param.fault;
  return fmt::format("{}_{}_{}{}", info.param.kind.verb, fault.step, fault.what,
                     fault.segment ? "" : "_without_segment");
});

// Teald makes the step by itself, so nobody asks again and nobody gets an answer.
class AutomaticStep : public testing::TestWithParam<const char*> {};

TEST_P(AutomaticStep, IsMadeOnceAndTheRampGoesOnIfTealdIsKilled) {
  Home home(kKinds[kRamp], true);
  {
    MortalDaemon teald(home, GetParam(), MortalDaemon::kArmed);
    const char* body =
        R"({"services":["service-b"],"to":"green","steps":["5%","50%","100%"],"every":"500ms"})";
    ASSERT_EQ(home.post("/v1/ramp", body).status, 200u);
    home.set_disk(MortalDaemon::kArmedWord);
    ASSERT_TRUE(teald.dies());
    ASSERT_TRUE(teald.was_killed());
  }
  const uint16_t id = 1;  // of service-b
  const bool in_force = GetParam() != std::string("intended");
  const uint16_t share = home.dataplane->splits().services[id].other_share;
  EXPECT_EQ(share, in_force ? kShareOne / 2 : kShareOne / 20);
  home.set_disk("works");

  MortalDaemon teald(home);
  const auto rows = [&] { return home.get("/v1/history?limit=50").body["changes"]; };
  ASSERT_TRUE(FakeDataplane::wait_for(
      [&] { return home.service("service-b")["active"] == "green" && rows()[0]["result"] == "done"; },
      std::chrono::seconds(20)))
      << rows();
  EXPECT_EQ(home.dataplane->splits().services[id].other_share, 0);
  EXPECT_TRUE(home.service("service-b")["ramp"].is_null());
  int done = 0;
  const json history = rows();
  for (const json& row : history) {
    EXPECT_NE(row["result"], "pending") << row;
    if (row["verb"] != "step" || row["result"] != "done") continue;
    EXPECT_EQ(row["user"], "teald");
    ++done;
  }
  EXPECT_EQ(done, 2) << "to 50%, and to 100%: " << history;
}

INSTANTIATE_TEST_SUITE_P(EveryStep, AutomaticStep,
                         testing::Values("intended", "published", "adopted", "done"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace teal
