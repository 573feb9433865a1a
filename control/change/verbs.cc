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
Task<Verbs::Result> Verbs::reload(ChangeOptions options, bool force) {
  const bool dry_run = options.dry_run;
  const std::string path = executor_.catalogue().config().path;
  auto read = [path] { return read_config_file(path); };
  const auto file = co_await run_on(files_, std::move(read));
  std::vector<BackendWithoutHop> unreachable;
  if (file) unreachable = co_await new_without_hop(file->config);
  Planner plan = [this, &file, &unreachable, force]() -> Task<Planned> {
    if (file && file_.differs_from(file->config.text))  // another reload may have taken over the later text
      co_return tl::unexpected(Refusal(409, "conflict",
                                       "nothing was changed: the config file was edited after it was read",
                                       "look at `teal reload --dry-run`, then repeat the command"));
    co_return plan_reload_of(file, unreachable, force);
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
                                     const std::vector<BackendWithoutHop>& new_without_hop, bool force) {
  const Catalogue& catalogue = executor_.catalogue();
  Planned change = plan_reload(file, catalogue, publisher_);
  if (!change) return change;
  if (!force && change->config != nullptr && publisher_.dataplane_running()) {
    const Catalogue after(*change->config, *change->inventory);
    auto refusal =
        loses_reach(catalogue, after, new_without_hop, facts_.hops, clock_.now(), publisher_.dataplane_pid());
    if (refusal) return tl::unexpected(std::move(*refusal));
  }
  if (ConfigErrors errors = check_api_(file->config); !errors.empty())
    return tl::unexpected(bad_api(catalogue.config().path, std::move(errors)));
  change->fields["plan"]["restart"] = restart_.lines(file->options);
  change->fields["drains"] = drains_after_reload(*change, catalogue, publisher_, clock_);
  for (const BackendWithoutHop& backend : new_without_hop)
    change->warnings.push_back(fmt::format("{} is new and has no next hop ({}): no flow begins there",
                                           backend.name, backend.problem));
  return change;
}

// Returns the new backends that have no next hop after the time that makes silence certain.
Task<std::vector<BackendWithoutHop>> Verbs::new_without_hop(const Config& config) const {
  constexpr std::chrono::milliseconds kPause(100);
  constexpr size_t kLookupsAtOnce = 16;  // then other tasks of the event loop run
  const BackendsBySocket known = backends_by_socket(executor_.catalogue().inventory());
  std::vector<BackendWithoutHop> backends;
  for (const ServiceConfig& service : config.services)
    for (size_t colour = 0; colour < kColours; ++colour)
      for (const BackendConfig& backend : service.pools[colour])
        if (!known.contains(backend.socket))
          backends.push_back(
              {fmt::format("{}/{}/{}", service.name, kColourNames[colour], to_string(backend.socket)),
               backend.socket, ""});
  const Clock::Time deadline = clock_.now() + kLongestSilence;
  for (;;) {
    for (size_t i = 0; i < backends.size(); ++i) {
      backends[i].problem = hop_problem_(backends[i].socket.address);
      if (i % kLookupsAtOnce == kLookupsAtOnce - 1) co_await yield_to_loop();
    }
    std::erase_if(backends, [](const BackendWithoutHop& backend) { return backend.problem.empty(); });
    if (backends.empty() || clock_.now() >= deadline) break;
    co_await clock_.sleep(kPause);
  }
  co_return backends;
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
