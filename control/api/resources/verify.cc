// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/verify
//
// Checks each backend of a colour now, and says what a flip to this colour would meet. The gates are those of
// a dry run of the flip, so the two never differ. It changes nothing.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "control/api/resources/changes.h"
#include "control/api/resources/service_view.h"
#include "control/change/change_lock.h"
#include "control/health/health_policy.h"
#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

constexpr std::chrono::milliseconds kDefaultPatience(5000), kLeastPatience(100), kMostPatience(120'000);
constexpr std::chrono::milliseconds kLookAgain(20), kAskAgain(200);

struct Wanted {
  std::string name;  // of the service: a reload may replace the catalogue during the wait
  Colour to = Colour::kBlue;
};

struct VerifyRequest {
  Selection what;
  std::optional<Colour> to;  // nothing: the idle colour of each service
  std::chrono::milliseconds patience = kDefaultPatience;
};

// The services, and the checks that were asked for.
struct Inquiry {
  std::vector<Wanted> wanted;
  Clock::Time asked{};
  std::chrono::milliseconds patience = kDefaultPatience;
  bool is_sent = false;  // teal-health was told to check
};

// The answer of the gates, of all services together.
struct Forecast {
  std::vector<std::string> reasons;  // none: no gate refuses
  std::vector<std::string> warnings;
  std::vector<std::string> flipped, ramped, unchanged;  // names
};

tl::expected<VerifyRequest, Refusal> read_verify(const std::string& body) {
  constexpr std::array<std::string_view, 4> kKnown = {"services", "group", "to", "timeout"};
  auto fields = BodyFields::parse(body, kKnown);
  if (!fields) return tl::unexpected(fields.error());
  VerifyRequest request{.what = read_selection(*fields)};
  const std::optional<std::string> to = fields->text("to");
  if (to) {
    const auto colour = parse_colour("to", *to);
    if (!colour) return tl::unexpected(colour.error());
    request.to = *colour;
  }
  request.patience = fields->duration("timeout", kLeastPatience, kMostPatience).value_or(kDefaultPatience);
  if (fields->error()) return tl::unexpected(*fields->error());
  return request;
}

tl::expected<Inquiry, Refusal> inquiry_of(const VerifyRequest& request, const Catalogue& catalogue) {
  const RolloutView view = view_of(catalogue);
  const auto chosen = select_services(request.what, view);
  if (!chosen) return tl::unexpected(chosen.error());
  Inquiry inquiry;
  inquiry.patience = request.patience;
  for (const RolloutService* service : *chosen)
    inquiry.wanted.push_back({service->name, request.to.value_or(other(service->active))});
  return inquiry;
}

const std::vector<PoolMember>* pool_of(const Api& api, const Wanted& wanted) {
  const CatalogueService* service = api.executor.catalogue().find(wanted.name);
  return service == nullptr ? nullptr : &service->pools[static_cast<size_t>(wanted.to)];
}

template <typename Visit>
void for_each_checked(const Api& api, const Inquiry& inquiry, Visit&& visit) {
  for (const Wanted& wanted : inquiry.wanted) {
    const std::vector<PoolMember>* pool = pool_of(api, wanted);
    if (pool == nullptr) continue;
    for (const PoolMember& member : *pool)
      if (const BackendHealth* known = api.health.of(member.id); known != nullptr) visit(member, *known);
  }
}

bool has_answered(const Inquiry& inquiry, const BackendHealth& known) {
  return inquiry.is_sent && known.passed && known.heard_at >= inquiry.asked;
}

// Asks for the checks, and waits until each of them has answered or the time is over. It asks again for those
// that have not: a backend without any result needs `fall` failures before teal-health reports it, and a
// prober may be restarting.
Task<void> run_checks(const Api& api, Inquiry& inquiry) {
  const Clock::Time until = api.clock.now() + inquiry.patience;
  Clock::Time ask_next{};
  for (;;) {
    std::vector<uint16_t> missing;
    for_each_checked(api, inquiry, [&](const PoolMember& member, const BackendHealth& known) {
      if (!has_answered(inquiry, known)) missing.push_back(member.id);
    });
    const Clock::Time now = api.clock.now();
    if (missing.empty() || now >= until) co_return;
    if (now >= ask_next) {
      ask_next = now + kAskAgain;
      if (!inquiry.is_sent) inquiry.asked = now;
      inquiry.is_sent = api.check_now(missing) || inquiry.is_sent;
    }
    co_await api.clock.sleep(kLookAgain);
  }
}

// The gates and the lock refuse with these. Any other refusal says nothing about the colour.
bool is_by_a_gate(const Refusal& refusal) {
  return refusal.status == 422 || refusal.status == 423;
}

void add_plan(const ChangeResult& plan, Forecast& forecast) {
  for (const auto& change : plan.fields.value("changed", Json::array())) {
    const bool is_full = change.contains("to");
    (is_full ? forecast.flipped : forecast.ramped).push_back(change.value("service", ""));
  }
  for (const auto& hook : plan.fields.value("pre_flip", Json::array()))
    forecast.warnings.push_back(fmt::format("a flip would first run the hook pre_flip of {}: {}",
                                            listed(hook.at("services").get<std::vector<std::string>>()),
                                            hook.at("command").get<std::string>()));
  for (const auto& name : plan.fields.value("unchanged", Json::array()))
    forecast.unchanged.push_back(name.get<std::string>());
  forecast.warnings.insert(forecast.warnings.end(), plan.warnings.begin(), plan.warnings.end());
}

// The flip of the services that want this colour.
RolloutRequest flip_of(const Inquiry& inquiry, Colour to) {
  RolloutRequest flip;
  flip.verb = RolloutRequest::Verb::kFlip;
  flip.to = to;
  for (const Wanted& wanted : inquiry.wanted)
    if (wanted.to == to) flip.what.services.push_back(wanted.name);
  return flip;
}

ChangeOptions dry_run_of(const Request& request) {
  ChangeOptions options;
  options.dry_run = true;
  options.actor.uid = request.uid.value_or(0);
  options.client_is_gone = request.client_is_gone;
  return options;
}

// Plans the flip as POST /v1/flip does, once for each colour.
Task<tl::expected<Forecast, Refusal>> forecast_of(Api& api, const Request& request, const Inquiry& inquiry) {
  Forecast forecast;
  const auto& lock = api.executor.catalogue().inventory().lock;
  const std::string why_locked = lock ? lock_text(*lock) : "";
  std::string disk;  // why no change can be recorded
  for (const Colour to : {Colour::kBlue, Colour::kGreen}) {
    RolloutRequest flip = flip_of(inquiry, to);
    if (flip.what.services.empty()) continue;
    ChangeOptions options = dry_run_of(request);
    const Verbs::Result plan = co_await api.verbs.roll(std::move(flip), std::move(options));
    if (plan) {
      add_plan(*plan, forecast);
      continue;
    }
    if (disk.empty()) disk = api.journal.trouble();
    if (plan.error().code == "storage" && !disk.empty()) continue;
    if (!is_by_a_gate(plan.error())) co_return tl::unexpected(plan.error());
    std::string reason(plan.error().reason());
    if (!why_locked.empty() && reason.starts_with(why_locked + "; ")) reason.erase(0, why_locked.size() + 2);
    if (reason != why_locked) forecast.reasons.push_back(std::move(reason));
    forecast.reasons.insert(forecast.reasons.end(), plan.error().details.begin(), plan.error().details.end());
  }
  if (!disk.empty()) forecast.reasons.push_back("the change could not be recorded: " + disk);
  // The lock is one reason for both colours.
  if (!why_locked.empty()) forecast.reasons.push_back(why_locked);
  co_return forecast;
}

const char* check_word(const Inquiry& inquiry, const BackendHealth& known) {
  if (!has_answered(inquiry, known)) return "no_answer";
  return *known.passed ? "passed" : "failed";
}

Json view_verified(const Api& api, const Inquiry& inquiry, const PoolMember& member) {
  Json backend = {{"address", to_string(member.socket)},
                  {"state", kAdminStateNames[static_cast<size_t>(member.admin)]},
                  {"weight", member.weight}};
  add_next_hop(backend, api, member.id);
  const BackendHealth* known = api.health.of(member.id);
  backend["check"] = known == nullptr ? Json(nullptr) : Json(check_word(inquiry, *known));
  add_health(backend, api, member.id);
  return backend;
}

Json view_wanted(const Api& api, const Inquiry& inquiry, const Wanted& wanted) {
  const std::vector<PoolMember>& pool = *pool_of(api, wanted);
  const CatalogueService& service = *api.executor.catalogue().find(wanted.name);
  const PoolWeight weight = weight_of(pool, api.health);
  Json backends = Json::array();
  for (const PoolMember& member : pool) backends.push_back(view_verified(api, inquiry, member));
  return {{"name", wanted.name},      {"active", name_of(api.executor.catalogue().state(service).active)},
          {"to", name_of(wanted.to)}, {"weight", weight.all},
          {"weight_up", weight.up},   {"backends", std::move(backends)}};
}

// A backend may fail its check now, and still be up: it goes down after `fall` failures.
void warn_of_checks(const Api& api, const Inquiry& inquiry, std::vector<std::string>& warnings) {
  for (const Wanted& wanted : inquiry.wanted) {
    const CatalogueService* service = api.executor.catalogue().find(wanted.name);
    if (service == nullptr) continue;
    if (!service->config->check)
      warnings.push_back(wanted.name + " has no check: only its next hops are known");
    for (const PoolMember& member : service->pools[static_cast<size_t>(wanted.to)]) {
      const BackendHealth* known = api.health.of(member.id);
      if (known == nullptr || known->health != Health::kUp || !has_answered(inquiry, *known) ||
          *known->passed)
        continue;
      warnings.push_back(fmt::format("{}/{}/{} failed its check now, and is up until it has failed {} times",
                                     wanted.name, name_of(wanted.to), to_string(member.socket),
                                     service->config->check->fall));
    }
  }
}

// The numbers of backends that take new flows, and of those that are up and have a next hop.
std::string counts_text(const Api& api, const Inquiry& inquiry) {
  size_t takers = 0, able = 0;
  for (const Wanted& wanted : inquiry.wanted) {
    const std::vector<PoolMember>* pool = pool_of(api, wanted);
    if (pool == nullptr) continue;
    for (const PoolMember& member : *pool) {
      if (member.weight == 0) continue;
      ++takers;
      if (!api.health.is_out(member.id) && has_next_hop(api, member.id)) ++able;
    }
  }
  return fmt::format("{} of {} backends can serve", able, takers);
}

std::string targets_text(const Inquiry& inquiry) {
  std::string text;
  for (const Colour to : {Colour::kBlue, Colour::kGreen}) {
    std::vector<std::string> names;
    for (const Wanted& wanted : inquiry.wanted)
      if (wanted.to == to) names.push_back(wanted.name);
    if (names.empty()) continue;
    text += fmt::format("{}{} to {}", text.empty() ? "" : " and of ", listed(names), name_of(to));
  }
  return text;
}

struct Outlook {
  const char* verdict;
  std::string text;
};

// Returns the first service whose checks of the colour all fail now; "": there is none.
std::string failing_service(const Api& api, const Inquiry& inquiry) {
  for (const Wanted& wanted : inquiry.wanted) {
    const std::vector<PoolMember>* pool = pool_of(api, wanted);
    if (pool == nullptr) continue;
    size_t passed = 0, failed = 0;
    for (const PoolMember& member : *pool) {
      const BackendHealth* known = api.health.of(member.id);
      if (known != nullptr && member.weight != 0) ++(*known->passed ? passed : failed);
    }
    if (passed == 0 && failed != 0) return wanted.name;
  }
  return "";
}

Outlook outlook_of(const Api& api, const Inquiry& inquiry, const Forecast& forecast) {
  const std::string flip = "a flip of " + targets_text(inquiry);
  if (!forecast.reasons.empty())
    return {"refused", fmt::format("{} would be refused: {}", flip, forecast.reasons.front())};
  size_t checked = 0, silent = 0;
  for_each_checked(api, inquiry, [&](const PoolMember&, const BackendHealth& known) {
    ++checked;
    if (!has_answered(inquiry, known)) ++silent;
  });
  if (silent != 0)
    return {"no_answer", fmt::format("{} of {} checks gave no answer within {}{}", silent, checked,
                                     duration_text(inquiry.patience),
                                     api.health.is_fresh() ? "" : ": teal-health does not report")};
  if (forecast.flipped.empty() && forecast.ramped.empty())
    return {"unchanged", fmt::format("{} would change nothing; {}", flip, counts_text(api, inquiry))};
  if (const std::string name = failing_service(api, inquiry); !name.empty())
    return {"failing",
            fmt::format("no gate would refuse {}, but every backend of {} fails its check now", flip, name)};
  return {"flips", fmt::format("{} would {}: {}", flip, forecast.flipped.empty() ? "begin a ramp" : "be made",
                               counts_text(api, inquiry))};
}

}  // namespace

Task<Answer> verify(Api& api, const Request& request) {
  const auto wanted = read_verify(request.body);
  if (!wanted) co_return tl::unexpected(wanted.error());
  auto begun = inquiry_of(*wanted, api.executor.catalogue());
  if (!begun) co_return tl::unexpected(begun.error());
  Inquiry& inquiry = *begun;
  co_await run_checks(api, inquiry);
  auto forecast = co_await forecast_of(api, request, inquiry);
  if (!forecast) co_return tl::unexpected(forecast.error());
  warn_of_checks(api, inquiry, forecast->warnings);
  const Outlook outlook = outlook_of(api, inquiry, *forecast);
  Json services = Json::array();
  for (const Wanted& each : inquiry.wanted)
    if (pool_of(api, each) != nullptr) services.push_back(view_wanted(api, inquiry, each));
  co_return as_json({{"verdict", outlook.verdict},
                     {"text", outlook.text},
                     {"reasons", forecast->reasons},
                     {"warnings", forecast->warnings},
                     {"dataplane_running", api.publisher.dataplane_running()},
                     {"prober", view_prober(api)},
                     {"services", std::move(services)}});
}

}  // namespace teal
