// SPDX-License-Identifier: Apache-2.0
//
// Joins health to the rest of teald: the socket of teal-health, and the words in the segment.
#include <pwd.h>
#include <unistd.h>

#include <charconv>

#include <spdlog/spdlog.h>

#include "control/daemon_parts.h"
#include "control/health/health_file.h"
#include "control/kernel/health_words.h"
#include "control/metrics/signals.h"
#include "control/metrics/trials.h"

namespace teal {

namespace {

struct ProberUser {
  uint32_t uid, gid;
};

// Looks the user up. A number need not belong to a user; its group then has the same number.
std::optional<ProberUser> prober_user(const std::string& name) {
  uint32_t uid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), uid);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  const passwd* user = is_number ? ::getpwuid(uid) : ::getpwnam(name.c_str());
  if (user != nullptr) return ProberUser{user->pw_uid, user->pw_gid};
  return is_number ? std::optional(ProberUser{uid, uid}) : std::nullopt;
}

// The prober has a user of its own, and teald, which is not root, may give the socket only to a group of
// which it is a member. Without that group, the socket is for teald's user and root.
tl::expected<Listener, std::string> listen_to_prober(const std::string& run_dir,
                                                     const std::optional<ProberUser>& user) {
  const std::string path = run_dir + "/health.sock";
  if (user) {
    auto listener = Listener::on_path(path, {.owner = {}, .group = user->gid, .mode = 0660});
    if (listener) return listener;
    spdlog::warn("teal-health must run as root or as teald's user: {}", listener.error());
  }
  return Listener::on_path(path, {.owner = {}, .group = {}, .mode = 0600});
}

}  // namespace

TrialSource Daemon::Parts::trial_source() const {
  return {.cells = [this](uint16_t service, Colour colour) { return trials_of(*publisher, service, colour); },
          .answer_times =
              [this](uint16_t service, Colour colour) {
                return times_of(*publisher, service, colour).first_answer.buckets;
              }};
}

// A backend without a check says nothing. If most of the weight of the others fails, the colour is sick.
OldColourChecks Daemon::Parts::old_colour_checks() {
  const auto checked_of = [this](uint16_t service, Colour colour) {
    std::vector<PoolMember> checked;
    const CatalogueService* known = executor.catalogue().find(executor.catalogue().service(service)->name);
    if (known == nullptr) return checked;
    for (const PoolMember& member : known->pools[static_cast<size_t>(colour)])
      if (member.weight != 0 && health.of(member.id) != nullptr) checked.push_back(member);
    return checked;
  };
  return {.ask =
              [this, checked_of](uint16_t service, Colour colour) {
                std::vector<uint16_t> backends;
                for (const PoolMember& member : checked_of(service, colour)) backends.push_back(member.id);
                return !backends.empty() && health_link != nullptr && health_link->ask_for(backends);
              },
          .answer = [this, checked_of](uint16_t service, Colour colour, Clock::Time asked,
                                       bool is_over) -> std::optional<FlipJudge::OldColour> {
            const auto weight = checked_since(checked_of(service, colour), health, asked, is_over);
            if (!weight) return std::nullopt;
            if (weight->all == 0) return FlipJudge::OldColour::kNotAsked;
            return 2 * weight->up >= weight->all ? FlipJudge::OldColour::kGood : FlipJudge::OldColour::kSick;
          }};
}

// A flow counts as unanswered after kAnswerTicks. The table may have room again by then.
constexpr uint64_t kNoRoomTicks = 2 * kAnswerTicks;

// Without a running dataplane the counts of flows stand still.
void Daemon::Parts::look_at_backends() {
  if (!publisher->attached()) return;
  const EjectionFacts facts{.sums =
                                [this](uint16_t backend) {
                                  BackendSums sums{.answers = stateless_answers_of(*publisher, backend)};
                                  for (const Colour colour : {Colour::kBlue, Colour::kGreen}) {
                                    const Outcomes outcomes = outcomes_of(*publisher, backend, colour);
                                    sums.failures += outcomes.refused + outcomes.unanswered;
                                    sums.answers += outcomes.answered;
                                  }
                                  return sums;
                                },
                            .is_down = [this](uint16_t backend) { return health.is_down(backend); },
                            .is_judged =
                                [this](uint16_t service, Colour colour) {
                                  const std::optional<TrialView> trial = trials.view_of(service);
                                  return trial && trial->tested == colour;
                                },
                            .lacks_room = found_no_room_within(*publisher, kNoRoomTicks, clock.tick())};
  if (health.ejector().look(executor.catalogue(), facts)) health_upkeep.has_news();
}

// Without a socket nothing is checked, but everything else works.
void Daemon::Parts::begin_health() {
  auto memory = read_health_file(options.run_dir);
  if (memory)
    health.remember(std::move(*memory));
  else
    spdlog::error("the health of backends is not known from before: {}", memory.error());
  health.follow(executor.catalogue());
  const std::optional<ProberUser> user = prober_user(options.health_user);
  auto listener = listen_to_prober(options.run_dir, user);
  if (!listener) {
    spdlog::critical("backends are not checked: {}", listener.error());
  } else {
    health_listener.emplace(std::move(*listener));
    std::vector<uint32_t> users = {::geteuid()};
    if (user) users.push_back(user->uid);
    health_link = std::make_unique<HealthLink>(io, health_listener->release_fd(), health, clock,
                                               std::move(users), [this] {
                                                 health_upkeep.has_news();
                                                 hooks.prober_has_news();
                                               });
  }
  api.check_now = [this](const std::vector<uint16_t>& backends) {
    return health_link != nullptr && health_link->ask_for(backends);
  };
  spawn(health_upkeep.run({.catalogue = [this]() -> const Catalogue& { return executor.catalogue(); },
                           .send_list =
                               [this] {
                                 if (health_link != nullptr) health_link->send_list();
                               },
                           .publish = [this](const HealthWords& words) { publish_health(words); }}));
}

void Daemon::Parts::begin_hooks() {
  hooks.order_with([this](HookOrder order, HealthLink::OnHookDone done) {
    return health_link != nullptr && health_link->order(std::move(order), std::move(done));
  });
  hooks.begin({.catalogue = [this]() -> const Catalogue& { return executor.catalogue(); },
               .generation = [this] { return executor.generation(); },
               .end_of = [this](const PendingDrain& drain) { return end_of(drain); },
               .is_connected = [this] { return health.is_fresh(); },
               .spawn = [this](Task<void> task) { spawn(std::move(task)); }});
  verbs.run_hooks_with([this](std::vector<HookJob> jobs) { return hooks.run_now(std::move(jobs)); });
  spawn(hooks.run());
}

Hooks::DrainEnd Daemon::Parts::end_of(const PendingDrain& drain) const {
  const CatalogueService* service = executor.catalogue().find(drain.service);
  if (service == nullptr) return Hooks::DrainEnd::kNever;
  const ServiceState& state = executor.catalogue().state(*service);
  if (state.flip_generation != drain.generation) return Hooks::DrainEnd::kNever;
  if (!publisher->counts_are_exact()) return Hooks::DrainEnd::kDrains;
  const uint64_t left = draining_of(*service, other(state.active), drain.generation, *publisher).live;
  return left == 0 ? Hooks::DrainEnd::kDrained : Hooks::DrainEnd::kDrains;
}

void Daemon::Parts::publish_health(const HealthWords& words) {
  const std::shared_ptr<Segment> segment = publisher->segment();
  if (segment != nullptr) store_health(segment->header(), words);
}

}  // namespace teal
