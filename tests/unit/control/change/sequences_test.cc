// SPDX-License-Identifier: Apache-2.0
//
// Random sequences of commands, reloads, kills, restarts and disk errors, compared with a model of a few
// lines. From time to time the disk is full, fails or hangs until it is repaired. Meanwhile every change but
// a rollback is refused.
// After each step:
//   - the generation has not gone down
//   - a change that was answered as done is in the segment and acknowledged
//   - no active pool is empty
//   - after a step that was killed, the state is the model's before or after that step, never between
//
// TEAL_SEQUENCES is how many (12 by default; scripts/test --long runs 10,000), TEAL_SEED the first seed.
#include <map>
#include <random>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/control/change/mortal_daemon.h"
#include "tests/unit/control/change/seeds.h"
#include "tests/unit/control/faulty_disk.h"

namespace teal {
namespace {

const std::vector<std::string> kServices = {"service-a", "service-b", "service-c"};

// The state of a service as an operator sees it.
struct ServiceModel {
  std::string active = "blue";
  bool flipped = false;
  bool undo = false;                            // a rollback goes to the other colour
  std::map<std::string, std::string> backends;  // "blue 198.18.2.11:8080" -> admin state
  friend bool operator==(const ServiceModel&, const ServiceModel&) = default;
};
using Model = std::map<std::string, ServiceModel>;

// Three contents of the config file. kBad is refused.
enum class File { kPlain, kOtherBackend, kBad };

std::string toml_of(File file) {
  std::string toml = kShopToml;
  if (file == File::kOtherBackend)
    toml.replace(toml.find("\"198.18.2.12:8080\""), 18, "\"198.18.2.14:8080\"");
  if (file == File::kBad) toml += "\n[[service]]\nname = \"x\"\n";
  return toml;
}

void enter_file(File file, Model& model) {
  auto& backends = model["service-a"].backends;
  backends.erase(file == File::kPlain ? "blue 198.18.2.14:8080" : "blue 198.18.2.12:8080");
  backends.emplace(file == File::kPlain ? "blue 198.18.2.12:8080" : "blue 198.18.2.14:8080", "ready");
}

Model first_model() {
  Model model;
  model["service-a"].backends = {{"blue 198.18.2.11:8080", "ready"},
                                 {"blue 198.18.2.12:8080", "ready"},
                                 {"green 198.18.2.21:8080", "ready"}};
  model["service-b"].backends = {{"blue [fd18:2::11]:8080", "ready"}, {"green [fd18:2::21]:8080", "ready"}};
  model["service-c"].backends = {{"blue 198.18.2.13:8080", "ready"}, {"green 198.18.2.23:8080", "ready"}};
  return model;
}

bool takes_flows(const ServiceModel& service, const std::string& colour) {
  return std::any_of(service.backends.begin(), service.backends.end(), [&](const auto& backend) {
    return backend.first.starts_with(colour) && backend.second == "ready";
  });
}

std::string other_colour(const std::string& colour) {
  return colour == "blue" ? "green" : "blue";
}

struct Step {
  std::string path, body;
  std::optional<Model> after;  // nothing: it is refused
  std::optional<File> file;    // of a reload
};

class Sequence {
 public:
  explicit Sequence(uint64_t seed) : random_(seed) {
    std::filesystem::create_directories(home_.run_dir());
    dataplane_.emplace(home_.run_dir(), 1 + random_() % 2);
    teald_.emplace(home_);
  }

  void run() {
    for (uint64_t steps = 6 + random_() % 10; steps > 0 && !testing::Test::HasFailure(); --steps) {
      switch (random_() % 11) {
        case 10:
          change_disk();
          break;
        case 0:
          kill_and_restart();
          break;
        case 1:
          replace_dataplane();
          break;
        case 2:
          step_with_a_kill(next_step());
          break;
        default:
          step(next_step());
      }
      check();
    }
  }

 private:
  std::string any_service() { return kServices[random_() % kServices.size()]; }

  Step next_step() {
    switch (random_() % 8) {
      case 0:
        return reload_step();
      case 1:
      case 2:
        return backend_step();
      case 3:
        return lock_step();
      case 4:
        return rollback_step();
      default:
        return flip_step();
    }
  }

  Step flip_step() {
    const bool group = random_() % 3 == 0;
    const std::vector<std::string> names =
        group ? std::vector<std::string>{"service-a", "service-b"} : std::vector<std::string>{any_service()};
    const std::string to = random_() % 2 == 0 ? "blue" : "green";
    Step step{"/v1/flip",
              nlohmann::json(group ? nlohmann::json{{"group", "shop"}, {"to", to}}
                                   : nlohmann::json{{"services", names}, {"to", to}})
                  .dump(),
              model_, std::nullopt};
    // Each flip is less than an hour old. A flip back undoes it, unless the same request is a release for
    // another service.
    const bool takes_back = std::none_of(names.begin(), names.end(), [&](const std::string& name) {
      return model_[name].active != to && !model_[name].undo;
    });
    for (const std::string& name : names) {
      ServiceModel& service = (*step.after)[name];
      if (service.active == to) continue;
      if (!takes_flows(service, to)) return step.after.reset(), step;
      service.active = to;
      service.flipped = true;
      service.undo = !takes_back;
    }
    if (locked_) step.after.reset();
    return step;
  }

  Step rollback_step() {
    const std::string name = any_service();
    Step step{"/v1/rollback", nlohmann::json{{"services", {name}}}.dump(), model_, std::nullopt};
    ServiceModel& service = (*step.after)[name];
    if (service.undo) service.active = other_colour(service.active);
    service.undo = false;
    if (!takes_flows(service, service.active) || locked_) step.after.reset();
    return step;
  }

  Step backend_step() {
    const std::string name = any_service();
    ServiceModel after = model_[name];
    auto backend = std::next(after.backends.begin(), static_cast<long>(random_() % after.backends.size()));
    static const char* const kStates[] = {"ready", "drain", "maint"};
    backend->second = kStates[random_() % 3];
    const size_t space = backend->first.find(' ');
    Step step{"/v1/backend",
              nlohmann::json{{"service", name},
                             {"colour", backend->first.substr(0, space)},
                             {"address", backend->first.substr(space + 1)},
                             {"state", backend->second}}
                  .dump(),
              model_, std::nullopt};
    const bool would_empty = !takes_flows(after, after.active);
    (*step.after)[name] = std::move(after);
    if (would_empty || locked_) step.after.reset();
    return step;
  }

  Step reload_step() {
    const auto file = static_cast<File>(random_() % 3);
    Step step{"/v1/reload", "{}", model_, file};
    if (file != File::kBad) enter_file(file, *step.after);
    const ServiceModel& a = (*step.after)["service-a"];
    if (file == File::kBad || locked_ || !takes_flows(a, a.active)) step.after.reset();
    return step;
  }

  Step lock_step() {
    Step step{locked_ ? "/v1/unlock" : "/v1/lock", R"({"reason":"random"})", model_, std::nullopt};
    return step;
  }

  // A change that the disk must record first.
  bool is_stopped_by_disk(const Step& step) const {
    const bool changes =
        *step.after != model_ || step.file.value_or(file_) != file_ || step.path.ends_with("lock");
    return disk_ != "works" && changes && step.path != "/v1/rollback";
  }

  void change_disk() {
    static const char* const kErrors[] = {"full", "fails", "hangs"};
    disk_ = disk_ == "works" ? kErrors[random_() % 3] : "works";
    trace_ += "the disk " + disk_ + "\n";
    FaultyDisk::set(home_.dir().file("disk"), disk_);
    const auto is_made_good = [&] { return home_.get("/v1/services").body["storage"]["error"].is_null(); };
    ASSERT_TRUE(disk_ != "works" || FakeDataplane::wait_for(is_made_good)) << trace_;
  }

  void write_file(const Step& step) {
    if (step.file) home_.write_config(toml_of(*step.file));
  }

  void took(const Step& step) {
    model_ = *step.after;
    if (step.file) file_ = *step.file;
    if (step.path.ends_with("lock")) locked_ = step.path == "/v1/lock";
  }

  void step(const Step& step) {
    write_file(step);
    const ApiReply reply = home_.post(step.path, step.body);
    trace_ += step.path + " " + step.body + " -> " + std::to_string(reply.status) + "\n";
    if (step.after && reply.status == 504) {  // the machine gave the workers no time: published, not undone
      ASSERT_EQ(reply.body["error"]["code"], "adoption_timeout") << trace_;
      took(step);
    } else if (step.path == "/v1/unlock" && disk_ != "works" && reply.status == 200) {
      took(step);  // the disk was known to be bad: a lock does not keep the way back away
    } else if (step.after && is_stopped_by_disk(step)) {
      ASSERT_EQ(reply.status, 503u) << reply.body << "\n" << trace_;
    } else if (step.after) {
      ASSERT_EQ(reply.status, 200u) << reply.body << "\n" << trace_;
      took(step);
      ASSERT_GE(dataplane_->segment().header().acknowledged.load(), reply.body["generation"].get<uint64_t>())
          << "done means adopted\n"
          << trace_;
    } else {
      ASSERT_GE(reply.status, 400u) << reply.body << "\n" << trace_;
    }
    if (step.file) home_.write_config(toml_of(file_));  // a start reads what is in force
  }

  // Killed at an event of this change, or a moment after it.
  void step_with_a_kill(const Step& step) {
    static const char* const kEvents[] = {"intended", "published", "adopted", "done"};
    teald_->kill_now();
    teald_.emplace(home_, kEvents[random_() % 4]);
    if (teald_->is_over()) teald_.emplace(home_);  // the start itself published
    write_file(step);
    const ApiReply reply = home_.post(step.path, step.body);
    trace_ += step.path + " " + step.body + " with a kill -> " + std::to_string(reply.status) + "\n";
    teald_->kill_now();
    if (step.after && step.path != "/v1/lock" && step.path != "/v1/unlock") {
      teald_.emplace(home_);
      const Model seen = look();
      if (reply.status == 200) {
        ASSERT_EQ(seen == *step.after, true) << "an acknowledged change is never forgotten\n" << trace_;
      }
      ASSERT_TRUE(seen == model_ || seen == *step.after) << "half done\n" << trace_;
      if (seen == *step.after) {
        model_ = seen;
        for (const std::string& name : kServices) flipped_as_seen(name);
        if (step.file) file_ = *step.file;
      }
      home_.write_config(toml_of(file_));
      return;
    }
    home_.write_config(toml_of(file_));
    teald_.emplace(home_);
    if (!step.path.ends_with("lock")) return;
    locked_ = !home_.get("/v1/services").body["lock"].is_null();
    ASSERT_TRUE(reply.status != 200 || locked_ == (step.path == "/v1/lock"))
        << "an acknowledged lock is never forgotten\n"
        << trace_;
  }

  void flipped_as_seen(const std::string& name) {
    model_[name].flipped = !home_.service(name)["previous"].is_null();
  }

  void kill_and_restart() {
    teald_->kill_now();
    teald_.emplace(home_);
    trace_ += "kill -9 and restart of teald\n";
  }

  void replace_dataplane() {
    if (random_() % 2 == 0) {
      dataplane_->die();
    } else {
      dataplane_->stop();
    }
    dataplane_.reset();
    dataplane_.emplace(home_.run_dir(), 1 + random_() % 2);
    trace_ += "another dataplane\n";
  }

  Model look() {
    Model seen;
    const nlohmann::json answer = home_.get("/v1/services").body;
    for (const nlohmann::json& service : answer["services"]) {
      ServiceModel& model = seen[service["name"]];
      model.active = service["active"];
      model.flipped = !service["previous"].is_null();
      model.undo = !service["undo"].is_null();
      for (const char* colour : {"blue", "green"})
        for (const nlohmann::json& backend : service["colours"][colour]["backends"])
          if (!backend.value("retired", false))
            model.backends[std::string(colour) + " " + backend["address"].get<std::string>()] =
                backend["state"];
    }
    return seen;
  }

  void check() {
    if (testing::Test::HasFailure()) return;
    ASSERT_EQ(look() == model_, true) << home_.get("/v1/services").body.dump(1) << "\n" << trace_;
    const uint64_t generation = home_.get("/v1/services").body["generation"];
    ASSERT_GE(generation, generation_) << trace_;
    generation_ = generation;
    ASSERT_TRUE(FakeDataplane::wait_for([&] { return dataplane_->generation() >= generation; })) << trace_;
    const Ruleset& rules = dataplane_->ruleset();
    const TrafficSplits& splits = dataplane_->splits();
    for (uint16_t id = 0; id < kMaxServices; ++id) {
      const ServiceRule& rule = rules.services[id];
      if ((rule.flags & kServicePresent) == 0 || (rule.flags & kServiceRetired) != 0) continue;
      ASSERT_NE(rule.pools[static_cast<size_t>(splits.services[id].active)].size, 0u) << trace_;
    }
  }

  std::mt19937_64 random_;
  DaemonHome home_;
  std::optional<FakeDataplane> dataplane_;
  std::optional<MortalDaemon> teald_;
  Model model_ = first_model();
  File file_ = File::kPlain;
  bool locked_ = false;
  std::string disk_ = "works";
  uint64_t generation_ = 0;
  std::string trace_;
};

TEST(Sequences, OfCommandsReloadsAndKillsFollowTheModel) {
  const uint64_t first = number_from("TEAL_SEED", 1), count = number_from("TEAL_SEQUENCES", 12);
  for (uint64_t seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("TEAL_SEED=" + std::to_string(seed) + " TEAL_SEQUENCES=1");
    Sequence(seed).run();
  }
}

}  // namespace
}  // namespace teal
