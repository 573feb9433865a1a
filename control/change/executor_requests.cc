// SPDX-License-Identifier: Apache-2.0
//
// How the executor answers requests that change nothing: there is nothing to do, or an earlier request with
// the same id has made the change (requests.h). And how it treats workers that adopt a change late.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/change/executor.h"
#include "control/change/executor_refusals.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

// A field of the answers that are kept, and of none that is sent.
constexpr const char* kWayBack = "way_back";

std::string dumped(const Json& answer) {
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The change of an earlier request may be in force no longer.
void warn_of_later_flips(const Catalogue& catalogue, Json& answer) {
  const auto text = [](const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const uint64_t generation = answer.value("generation", uint64_t{0});
  for (const Json& change : answer.value("changed", Json::array())) {
    const CatalogueService* service = catalogue.find(text(change, "service"));
    const bool is_step = change.contains("share") && !change.contains("to");  // of a ramp
    const std::string wanted = text(change, is_step ? "colour" : "to");
    if (service == nullptr || wanted.empty()) continue;
    const ServiceState& state = catalogue.state(*service);
    if (state.flip_generation <= generation || wanted == name_of(state.active)) continue;
    answer["warnings"].push_back(fmt::format("{}: that was changed since: {} is active since generation {}",
                                             state.name, name_of(state.active), state.flip_generation));
  }
}

}  // namespace

// There is nothing to do. But the present publication may be one that a worker has not adopted, and this the
// repetition of its request.
Task<ChangeExecutor::Result> ChangeExecutor::confirm(const Change& change, const ChangeOptions& options) {
  std::string way_back = change.way_back;
  std::optional<Refusal> late = co_await not_adopted_yet(std::move(way_back));
  if (late) co_return tl::unexpected(std::move(*late));
  co_return answer_without_change(change, options);
}

ChangeResult ChangeExecutor::answer_without_change(const Change& change, const ChangeOptions& options) const {
  ChangeResult result = unchanged(change, options);
  warn_without_dataplane(change, result);
  return result;
}

Task<Watch> ChangeExecutor::acknowledge_present(const Turn&) {
  co_return co_await acknowledge();
}

void ChangeExecutor::acknowledge_if_adopted(const Turn&) {
  if (!publisher_.attached() || publisher_.acknowledged() >= publisher_.generation()) return;
  if (!publisher_.dataplane_running() || !publisher_.adoption(true).complete()) return;
  publisher_.acknowledge(publisher_.generation());
  spdlog::info("generation {} is adopted now", publisher_.generation());
}

// Waits for the workers, unless they have adopted the present publication.
Task<std::optional<Refusal>> ChangeExecutor::not_adopted_yet(std::string way_back) {
  if (!publisher_.attached() || publisher_.acknowledged() >= publisher_.generation()) co_return std::nullopt;
  const Watch watch = co_await acknowledge();
  if (watch.adoption.complete()) co_return std::nullopt;
  co_return not_adopted(generation(), watch.adoption, way_back);
}

Task<std::optional<ChangeExecutor::Result>> ChangeExecutor::repeated(const Turn&,
                                                                     const ChangeOptions& options) {
  std::optional<Result> result;
  if (!options.request || options.dry_run) co_return result;
  const Requests::Known* found = requests_.find(options.request->id, clock_.wall_ms());
  if (found == nullptr) co_return result;
  const Requests::Known known = *found;  // a copy, as others may come meanwhile
  if (known.content != options.request->content) {
    result.emplace(tl::unexpected(id_of_another_request(options.request->id)));
    co_return result;
  }
  // The first request may have ended because a worker had not adopted its change. Its way back undoes
  // nothing else.
  auto first = co_await first_answer(known, options.request->id);
  std::string way_back;
  if (first && first->value("generation", uint64_t{0}) == generation()) way_back = first->value(kWayBack, "");
  const std::optional<Refusal> late = co_await not_adopted_yet(std::move(way_back));
  if (late) {
    result.emplace(tl::unexpected(*late));
  } else if (!first) {
    result.emplace(tl::unexpected(answer_is_lost(first.error())));
  } else {
    first->erase(kWayBack);
    warn_of_later_flips(catalogue_, *first);
    ChangeResult answer;
    answer.first_answer = std::move(*first);
    result.emplace(std::move(answer));
  }
  co_return result;
}

Task<tl::expected<Json, std::string>> ChangeExecutor::first_answer(const Requests::Known& known,
                                                                   const std::string& id) {
  std::string text = known.answer;
  if (text.empty()) {
    std::string asked = id;
    const auto stored = co_await journal_.answer(std::move(asked));
    if (!stored) co_return tl::unexpected(stored.error());
    text = stored->value_or("");
  }
  Json answer = Json::parse(text, nullptr, false);
  if (!answer.is_object()) co_return tl::unexpected<std::string>("it is gone");
  co_return answer;
}

// Leaves out which workers have adopted the change, if that is not known: at the intent, and after a timeout.
std::optional<CarriedOut> ChangeExecutor::carried_out(const ChangeResult& result,
                                                      const ChangeOptions& options, bool is_adopted) {
  if (!options.request) return std::nullopt;
  Json answer = answer_json(result);
  answer[kWayBack] = result.way_back;
  if (!is_adopted) {
    answer.erase("workers");
    answer.erase("slowest_us");
  }
  return CarriedOut{options.request->id, options.request->content, dumped(answer)};
}

void ChangeExecutor::know(const ChangeResult& result, const ChangeOptions& options, int64_t at_ms,
                          bool is_adopted, bool is_on_disk) {
  if (std::optional<CarriedOut> request = carried_out(result, options, is_adopted))
    requests_.add(request->id, {request->content, at_ms, is_on_disk ? "" : std::move(request->answer)});
}

// Takes over a config that changes nothing, for the comparison with the file.
Task<void> ChangeExecutor::keep(const Config& config, const ChangeOptions& options, ChangeResult& result) {
  catalogue_.replace(Config(config), Inventory(catalogue_.inventory()));
  co_await keep_copy();
  Unrecorded kept{.config = std::make_shared<const std::string>(config.text)};
  const State::Done done = co_await journal_.record(std::move(kept));
  if (!done) say_not_recorded(done.error(), options, result);
}

// A change of nothing is kept, too: otherwise a late repetition could make a change.
Task<void> ChangeExecutor::remember_nothing(ChangeResult& result, const ChangeOptions& options) {
  std::optional<CarriedOut> request = carried_out(result, options, true);
  if (!request) co_return;
  const int64_t at_ms = clock_.wall_ms();
  CarriedOut kept = std::move(*request);
  const State::Done done = co_await journal_.remember(std::move(kept), at_ms);
  if (!done)
    result.warnings.push_back("the request id is kept in memory only, until teald ends: " + done.error());
  know(result, options, at_ms, true, done.has_value());
}

}  // namespace teal
