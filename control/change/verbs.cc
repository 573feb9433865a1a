// SPDX-License-Identifier: Apache-2.0
#include "control/change/verbs.h"

#include <fmt/format.h>

#include "control/change/change_lock.h"
#include "control/change/drain_end.h"
#include "control/change/reload.h"

namespace teal {

Verbs::Verbs(ChangeExecutor& executor, Upkeep& upkeep, Recorder& recorder, Publisher& publisher,
             BackendFacts facts, const UserNames& users, asio::thread_pool& files, const Clock& clock)
    : executor_(executor),
      upkeep_(upkeep),
      recorder_(recorder),
      publisher_(publisher),
      facts_(facts),
      users_(users),
      files_(files),
      clock_(clock),
      file_(executor.catalogue().config().path),
      loaded_at_ms_(clock.wall_ms()),
      restart_(publisher) {
  const Config& config = executor.catalogue().config();
  if (auto options = parse_options(config.text, config.path)) options_ = std::move(*options);
  upkeep_.plan_with([this](const std::vector<std::string>& services) { return plan_next(services); },
                    [this](const std::vector<std::string>& services) { return plan_way_back(services); });
}

void Verbs::set_aside(ConfigErrors errors, std::string held_back) {
  file_errors_ = std::move(errors);
  held_back_ = std::move(held_back);
  last_reload_.done = file_errors_.empty() && held_back_.empty();
}

std::vector<std::string> Verbs::restart_lines() {
  return options_ ? restart_.lines(*options_) : std::vector<std::string>();
}

// Nobody expects a change any more that was asked for longer ago.
constexpr std::chrono::seconds kLongestQueue(30);

Task<Verbs::Result> Verbs::change(ChangeOptions options, Planner plan, Semaphore::Place place) {
  if (options.actor.user.empty()) options.actor.user = users_.known(options.actor.uid);
  const Clock::Time asked = clock_.now();
  const ChangeExecutor::Turn turn = co_await executor_.turn(place);
  if (options.client_is_gone())
    co_return tl::unexpected(Refusal(
        503, "client_gone", "nothing was changed: the client closed its connection before its turn came"));
  if (clock_.now() - asked > kLongestQueue)
    co_return tl::unexpected(Refusal(
        503, "queued_too_long", "nothing was changed: other changes took more than 30s before its turn came",
        "look at `teal status`, then repeat the command"));
  (void)co_await upkeep_.follow_segment(turn);
  std::optional<Result> repeated = co_await executor_.repeated(turn, options);
  if (repeated) co_return std::move(*repeated);
  Planned planned = co_await plan();
  if (!planned) co_return tl::unexpected(planned.error());
  co_return co_await executor_.execute(turn, std::move(*planned), std::move(options));
}

// Gives silent neighbours of a new colour the time after which their silence is certain: a reload may have
// just added these backends. The wait is before the flip's turn, so no other change waits.
Task<void> Verbs::wait_for_answers(const RolloutRequest& request) {
  const Clock::Time until = clock_.now() + kLongestSilence;
  while (clock_.now() < until && publisher_.dataplane_running()) {
    const Catalogue& catalogue = executor_.catalogue();
    const auto plan = plan_rollout(request, view_of(catalogue));
    if (!plan || !look_at_reach(*plan).is_undecided) co_return;
    co_await clock_.sleep(std::chrono::milliseconds(100));
  }
}

Task<Verbs::Result> Verbs::roll(RolloutRequest request, ChangeOptions options) {
  if (goes_forward(request.verb) && !request.force) co_await wait_for_answers(request);
  auto place = goes_forward(request.verb) ? Semaphore::Place::kLast : Semaphore::Place::kFirst;
  Planner plan = [this, request = std::move(request)] { return plan_roll(request); };
  co_return co_await change(std::move(options), std::move(plan), place);
}

Task<Verbs::Planned> Verbs::plan_roll(RolloutRequest request) {
  RolloutView view = view_of(executor_.catalogue());
  if (request.to_generation) {
    const auto looked = co_await look_back(*request.to_generation, view);
    if (!looked) co_return tl::unexpected(looked.error());
  }
  if (request.verb == RolloutRequest::Verb::kFlip) judge_flips_back(request.to, view);
  tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view);
  if (!plan) co_return tl::unexpected(plan.error());
  const Catalogue& catalogue = executor_.catalogue();
  learn_what_is_slow(*plan);
  if (goes_forward(request.verb) && !request.force)
    if (auto refusal = judged_bad(*plan)) co_return tl::unexpected(*refusal);
  if (plan->flipped_later) {
    const ServiceState& service = catalogue.state(*catalogue.find(*plan->flipped_later));
    co_return tl::unexpected(flipped_later(service, flipper(service), *request.seen_generation));
  }
  Change change = change_of(*plan, request.verb, catalogue);
  if (auto refusal = judge_reach(*plan, request, change.warnings)) co_return tl::unexpected(*refusal);
  if (goes_forward(request.verb) && file_differs())
    change.warnings.push_back(catalogue.config().path +
                              " was edited and not reloaded; teal reload --dry-run shows the differences");
  if (const std::string warning = way_back_is_lost(*plan, request.verb); !warning.empty())
    change.warnings.push_back(warning);
  tell_drains(*plan, change);
  if (goes_forward(request.verb)) change.fields["judged"] = judged_json(*plan, catalogue);
  if (request.to_generation) change.fields["added_since"] = plan->added_since;
  if (request.verb != RolloutRequest::Verb::kRollback || request.to_generation) co_return change;
  auto nothing = nlohmann::ordered_json::array();
  for (const std::string& name : plan->nothing_to_undo) {
    const ServiceState& service = catalogue.state(*catalogue.find(name));
    nothing.push_back(nothing_to_undo_json(service, flipper(service)));
  }
  change.fields["nothing_to_undo"] = std::move(nothing);
  co_return change;
}

// A ramp whose colour is bad goes on by force only.
std::optional<Refusal> Verbs::judged_bad(const RolloutPlan& plan) const {
  for (const ColourChange& change : plan.changes) {
    const std::optional<Ramp>& ramp = executor_.catalogue().service(change.service)->ramp;
    if (!ramp || change.kind == ColourChange::Kind::kAbort || !upkeep_.trials().is_bad(ramp->id)) continue;
    const Finding* finding = upkeep_.trials().latest(change.name);
    return Refusal{
        422, "refused",
        "nothing was changed: " + (finding != nullptr ? text_of(*finding) : change.name + " is bad"),
        fmt::format("teal abort {} takes the share back; --force goes on all the same", change.name)};
  }
  return std::nullopt;
}

// A ramp that begins keeps the times of its old colour: the colours are compared by them.
void Verbs::learn_what_is_slow(RolloutPlan& plan) const {
  for (ColourChange& change : plan.changes)
    if (change.ramp && change.ramp->id == 0)
      change.ramp->slow_us = upkeep_.trials().slow_us(*executor_.catalogue().service(change.service));
}

Verbs::Planned Verbs::plan_next(const std::vector<std::string>& services) const {
  const RolloutRequest request{.verb = RolloutRequest::Verb::kNext, .what = {.services = services}};
  const Catalogue& catalogue = executor_.catalogue();
  const tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view_of(catalogue));
  if (!plan) return tl::unexpected(plan.error());
  Change change = change_of(*plan, request.verb, catalogue);
  if (auto refusal = judge_reach(*plan, request, change.warnings)) return tl::unexpected(*refusal);
  return change;
}

// Plans a rollback that nobody asked for. It is refused where no backend of the old colour can serve.
Verbs::Planned Verbs::plan_way_back(const std::vector<std::string>& services) const {
  const RolloutRequest request{.verb = RolloutRequest::Verb::kRollback, .what = {.services = services}};
  const Catalogue& catalogue = executor_.catalogue();
  const tl::expected<RolloutPlan, Refusal> plan = plan_rollout(request, view_of(catalogue));
  if (!plan) return tl::unexpected(plan.error());
  const Reach reach = look_at_reach(*plan);
  if (!plan->changes.empty())
    if (auto refusal = cannot_serve(reach, plan->changes.front().to)) return tl::unexpected(*refusal);
  return change_of(*plan, request.verb, catalogue);
}

Task<Verbs::Result> Verbs::pause(Selection what, ChangeOptions options) {
  Planner plan = [this, what = std::move(what), reason = options.reason]() -> Task<Planned> {
    const Catalogue& catalogue = executor_.catalogue();
    co_return plan_pause(what, reason, view_of(catalogue), catalogue);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::resume(Selection what, ChangeOptions options) {
  Planner plan = [this, what = std::move(what)]() -> Task<Planned> {
    const Catalogue& catalogue = executor_.catalogue();
    co_return plan_resume(what, view_of(catalogue), catalogue);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

// Tells the drains as they would begin now. The answer has them as they began.
void Verbs::tell_drains(const RolloutPlan& plan, Change& change) const {
  change.fields["drains"] = drains_begun(plan.changes, executor_.catalogue(), publisher_, clock_);
  std::vector<std::string> services;
  for (const ColourChange& colour : plan.changes) services.push_back(colour.name);
  change.complete = [this, services = std::move(services)](nlohmann::ordered_json& fields) {
    fields["drains"] = drains_in_force(services, executor_.catalogue(), publisher_, clock_);
  };
}

// Says which services a flip to `to` would take back.
void Verbs::judge_flips_back(Colour to, RolloutView& view) const {
  const Catalogue& catalogue = executor_.catalogue();
  for (RolloutService& service : view.services) {
    if (!service.undo || service.undo->to != to) continue;
    const CatalogueService& known = *catalogue.find(service.name);
    const bool has_flows = flows_of(known, to, publisher_).live != 0;
    service.flip_back_undoes = flip_back_undoes(catalogue.state(known), has_flows, clock_.wall_ms());
  }
}

Reach Verbs::look_at_reach(const RolloutPlan& plan) const {
  return reach_of(plan, executor_.catalogue(), facts_, clock_.now(), publisher_.dataplane_pid());
}

// Adds warnings about backends that cannot serve. A flip to a colour without any other backend, or with too
// few of them, is refused, unless it is forced; a rollback never is.
std::optional<Refusal> Verbs::judge_reach(const RolloutPlan& plan, const RolloutRequest& request,
                                          std::vector<std::string>& warnings) const {
  if (plan.changes.empty() || !publisher_.dataplane_running()) return std::nullopt;  // nothing is known
  const Reach reach = look_at_reach(plan);
  if (goes_forward(request.verb) && !request.force)
    if (auto refusal = cannot_serve(reach, plan.changes.front().to)) return refusal;
  warnings.insert(warnings.end(), reach.warnings.begin(), reach.warnings.end());
  warnings.insert(warnings.end(), reach.sizes.begin(), reach.sizes.end());
  return std::nullopt;
}

// Returns the name of the user who made the present colour active; "" if it is not known.
std::string Verbs::flipper(const ServiceState& service) const {
  return service.flipped_by ? users_.known(service.flipped_by->uid) : "";
}

// Fills in the active colours at that generation.
Task<tl::expected<void, Refusal>> Verbs::look_back(uint64_t generation, RolloutView& view) {
  const auto flips = co_await recorder_.flips_since(generation);
  if (!flips)
    co_return tl::unexpected(Refusal{503, "storage", flips.error(), "teal flip SERVICE --to COLOUR", {}});
  if (!*flips)
    co_return tl::unexpected(
        Refusal{404,
                "unknown_generation",
                fmt::format("the history has no publication of generation {}", generation),
                "teal history",
                {}});
  const auto colours = colours_before(**flips);
  for (RolloutService& service : view.services)
    if (const auto then = colours.find(service.name); then != colours.end()) service.back_then = then->second;
  co_return tl::expected<void, Refusal>();
}

Task<Verbs::Result> Verbs::set_drain(DrainRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)]() -> Task<Planned> {
    const Catalogue& catalogue = executor_.catalogue();
    co_return plan_drain(request, view_of(catalogue), catalogue, publisher_, clock_);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::set_backend(BackendRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)]() -> Task<Planned> {
    co_return plan_backend(request, executor_.catalogue(), publisher_);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::set_preview(PreviewRequest request, ChangeOptions options) {
  Planner plan = [this, request = std::move(request)]() -> Task<Planned> {
    const std::shared_ptr<Segment> segment = publisher_.segment();
    const auto on_link_bits = [&](uint16_t backend) {
      return segment == nullptr
                 ? uint8_t{0}
                 : segment->header().on_link_prefix_bits[backend].load(std::memory_order_relaxed);
    };
    co_return plan_preview(request, executor_.catalogue(), on_link_bits);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

constexpr unsigned kFileRefused = 422;  // any other refusal is not about the file

// The file is read, and new backends get time to answer the kernel, before the turn: neither holds up another
// change.
Task<Verbs::Result> Verbs::reload(ChangeOptions options) {
  const bool dry_run = options.dry_run;
  const std::string path = executor_.catalogue().config().path;
  auto read = [path] { return read_config_file(path); };
  const auto file = co_await run_on(files_, std::move(read));
  std::vector<std::string> warnings;
  if (file) warnings = co_await new_without_hop(file->config);
  Planner plan = [this, &file, &warnings]() -> Task<Planned> {
    if (file && file_.differs_from(file->config.text))  // another reload may have taken over the later text
      co_return tl::unexpected(Refusal(409, "conflict",
                                       "nothing was changed: the config file was edited after it was read",
                                       "look at `teal reload --dry-run`, then repeat the command"));
    co_return plan_reload_of(file, std::move(warnings));
  };
  Result result = co_await change(std::move(options), std::move(plan));
  if (!dry_run) last_reload_ = {result.has_value(), clock_.wall_ms()};
  if (!dry_run && !result && result.error().status == kFileRefused) {
    const Refusal& why = result.error();
    refused_file_ = {clock_.wall_ms(), why.details.empty() ? ConfigErrors{why.message} : why.details};
  }
  // Also after a reload that timed out: it is in force.
  if (!dry_run && file && executor_.catalogue().config().text == file->config.text) {
    set_aside({}, "");
    refused_file_.reset();
    options_ = file->options;
    loaded_at_ms_ = clock_.wall_ms();
  }
  co_return result;
}

Verbs::Planned Verbs::plan_reload_of(const tl::expected<ConfigFile, ConfigErrors>& file,
                                     std::vector<std::string> warnings) {
  const Catalogue& catalogue = executor_.catalogue();
  Planned change = plan_reload(file, catalogue, publisher_);
  if (!change) return change;
  if (ConfigErrors errors = check_api_(file->config); !errors.empty())
    return tl::unexpected(bad_api(catalogue.config().path, std::move(errors)));
  change->fields["plan"]["restart"] = restart_.lines(file->options);
  change->fields["drains"] = drains_after_reload(*change, catalogue, publisher_, clock_);
  change->warnings.insert(change->warnings.end(), warnings.begin(), warnings.end());
  return change;
}

// Warns of new backends that have no next hop after a second.
Task<std::vector<std::string>> Verbs::new_without_hop(const Config& config) const {
  constexpr std::chrono::milliseconds kPatience(1000), kPause(100);
  constexpr size_t kLookupsAtOnce = 16;  // then other tasks of the event loop run
  struct NewBackend {
    std::string name;
    IpAddress address;
    std::string problem;
  };
  const BackendsBySocket known = backends_by_socket(executor_.catalogue().inventory());
  std::vector<NewBackend> backends;
  for (const ServiceConfig& service : config.services)
    for (size_t colour = 0; colour < kColours; ++colour)
      for (const BackendConfig& backend : service.pools[colour])
        if (!known.contains(backend.socket))
          backends.push_back(
              {fmt::format("{}/{}/{}", service.name, kColourNames[colour], to_string(backend.socket)),
               backend.socket.address, ""});
  const Clock::Time deadline = clock_.now() + kPatience;
  for (;;) {
    for (size_t i = 0; i < backends.size(); ++i) {
      backends[i].problem = hop_problem_(backends[i].address);
      if (i % kLookupsAtOnce == kLookupsAtOnce - 1) co_await yield_to_loop();
    }
    std::erase_if(backends, [](const NewBackend& backend) { return backend.problem.empty(); });
    if (backends.empty() || clock_.now() >= deadline) break;
    co_await clock_.sleep(kPause);
  }
  std::vector<std::string> warnings;
  warnings.reserve(backends.size());
  for (const NewBackend& backend : backends)
    warnings.push_back(fmt::format("{} is new and has no next hop ({}): no flow begins there", backend.name,
                                   backend.problem));
  co_return warnings;
}

Task<Verbs::Result> Verbs::lock(ChangeOptions options) {
  const ChangeLock wanted{options.actor.uid, users_.known(options.actor.uid), options.reason,
                          clock_.wall_ms(), options.actor.by_root()};
  Planner plan = [this, wanted]() -> Task<Planned> {
    co_return plan_lock(wanted, executor_.catalogue().inventory().lock);
  };
  co_return co_await change(std::move(options), std::move(plan));
}

Task<Verbs::Result> Verbs::unlock(ChangeOptions options) {
  Planner plan = [this]() -> Task<Planned> { co_return plan_unlock(executor_.catalogue().inventory().lock); };
  co_return co_await change(std::move(options), std::move(plan));
}

}  // namespace teal
