// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/change.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {
namespace {

constexpr size_t kPredicatesListed = 8;
constexpr int kRepetitions = 4;
constexpr std::chrono::milliseconds kBeforeARepetition(500);  // teald is back a second after its end

constexpr OptionSpec kChangeOptions[] = {
    {0, "if-revision", "N",
     "change only if no operator has changed anything since revision N; otherwise exit code 5"},
    {0, "if-generation", "N", "the same for the generation, which Teal itself raises too; will be removed"},
    {0, "request-id", "ID",
     "a change that is sent twice with the same ID is made once (default: a random one)"},
    {'r', "reason", "TEXT", "kept in the history"},
    {0, "dry-run", "", "show what would change, and change nothing"},
};

std::string arrow(const nlohmann::json& step, bool colour) {
  const auto word = [&](const char* key) {
    const auto& value = step.at(key);
    const std::string shown = value.is_string() ? clean(value.get<std::string>()) : value.dump();
    return styled(shown, style_of(shown), colour);
  };
  return word("from") + " -> " + word("to");
}

// As the API takes it (docs/api.md).
constexpr size_t kMaxRequestIdBytes = 128;

bool is_request_id(std::string_view id) {
  const auto is_visible = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  return !id.empty() && id.size() <= kMaxRequestIdBytes && std::all_of(id.begin(), id.end(), is_visible);
}

std::string random_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", random());
  return id;
}

// A change whose answer is lost is sent again. Its id keeps it from being made twice.
tl::expected<nlohmann::json, Failure> post_until_answered(const Invocation& call, const std::string& target,
                                                          const nlohmann::json& request) {
  const auto deadline = call.around.now() + call.daemon.timeout();
  auto reply = call.daemon.post(target, request);
  if (reply || reply.error().exit_code != kLostAnswer || !request.contains("request_id")) return reply;
  Failure lost = std::move(reply.error());
  lost.hint += fmt::format("; or repeat the command with --request-id {}, which makes it at most once",
                           request["request_id"].get<std::string>());
  for (int i = 0; i < kRepetitions && call.around.now() < deadline; ++i) {
    if (!call.around.pause(kBeforeARepetition)) break;
    reply = call.daemon.post(target, request);
    if (reply || (reply.error().exit_code != kLostAnswer && !may_pass(reply.error()))) return reply;
  }
  return tl::unexpected(std::move(lost));
}

// "service-a" and "blue -> green".
struct Described {
  std::string subject, predicate;
};

std::string subject_of(const nlohmann::json& entry) {
  std::string subject = text_or(entry, "service");
  for (const char* key : {"colour", "address"}) {
    if (const auto more = text_or(entry, key); !more.empty()) subject += "/" + more;
  }
  const auto kind = text_or(entry, "kind");  // in a reload's plan
  if (kind.empty()) return subject;
  return subject.empty() ? kind : kind + " " + subject;
}

// "198.18.1.102/32 -> green"
std::string preview_text(const nlohmann::json& preview, bool colour) {
  std::string clients;
  for (const std::string& client : texts(preview, "clients"))
    clients += (clients.empty() ? "" : ", ") + client;
  if (clients.empty()) return "no preview by clients";
  const std::string to = text(preview, "colour");
  return clients + " -> " + styled(to, style_of(to), colour);
}

Described describe(const nlohmann::json& entry, bool colour) {
  if (!entry.is_object()) return {clean(entry.is_string() ? entry.get<std::string>() : entry.dump()), ""};
  std::string predicate;
  const auto add = [&](const std::string& what) { predicate += (predicate.empty() ? "" : ", ") + what; };
  if (const auto& share = part(entry, "share"); share.is_object()) {
    add(arrow(share, colour));
  } else if (!part(entry, "from").is_null()) {
    add(arrow(entry, colour));
  }
  if (const auto& preview = part(entry, "preview"); preview.is_object()) add(preview_text(preview, colour));
  if (const auto& paused = part(entry, "paused"); paused.is_boolean())
    add(paused.get<bool>() ? "is paused" : "goes on");
  if (const auto forced = texts(entry, "forced"); !forced.empty())
    add("forced past " + joined(forced, " and "));
  for (const auto& generation : part(entry, "undoes")) add("undoes generation " + generation.dump());
  if (const auto& state = part(entry, "state"); state.is_object()) add(arrow(state, colour));
  if (const auto& weight = part(entry, "weight"); weight.is_object()) add("weight " + arrow(weight, colour));
  if (const auto deadline = text_or(entry, "deadline"); !deadline.empty())
    add("until " + time_text(deadline));
  else if (const auto& timeout = part(entry, "timeout_seconds"); timeout.is_number())
    add("for " + span_text(timeout.get<double>()));
  if (const auto then = text_or(entry, "then"); !then.empty()) add("then " + then);
  const auto detail = text_or(entry, "detail"), what = text_or(entry, "what");
  if (what == "changed" && !detail.empty()) {
    add(detail);
  } else if (!what.empty()) {  // added, retired
    add(detail.empty() ? what : fmt::format("{} ({})", what, detail));
  }
  return {subject_of(entry), predicate};
}

std::string adoption(const nlohmann::json& reply) {
  if (flag(reply, "repeated")) return "an earlier request with this id made the change";
  if (!reply.value("dataplane_running", true)) return "no dataplane is running";
  const auto& workers = reply.at("workers");
  std::string text = fmt::format("adopted by {} of {}", number(workers, "adopted"),
                                 counted(number(workers, "live"), "worker"));
  if (const auto asleep = number_or_0(workers, "asleep"); asleep > 0)
    text += fmt::format(" ({} asleep)", asleep);
  // A worker that is asleep has no adoption time: it adopts the latest generation when it wakes.
  if (const auto& slowest = part(reply, "slowest_us"); slowest.is_number() && slowest > 0)
    text += ", slowest " + span_text(slowest.get<double>() / 1e6);
  return text;
}

}  // namespace

std::span<const OptionSpec> change_options() {
  return kChangeOptions;
}

tl::expected<nlohmann::json, Failure> selection(const Invocation& call) {
  const auto& arguments = call.arguments;
  const auto group = arguments.value("group");
  if (group && !arguments.positional.empty()) {
    return tl::unexpected(usage_failure(
        fmt::format("teal {}: SERVICE... and --group are given; expected only one of them", call.verb.name),
        fmt::format("teal {} --help", call.verb.name)));
  }
  if (!group && arguments.positional.empty()) {
    return tl::unexpected(
        usage_failure(fmt::format("teal {}: SERVICE... or --group GROUP is missing", call.verb.name),
                      "teal list shows services and groups"));
  }
  if (group) return nlohmann::json{{"group", *group}};
  return nlohmann::json{{"services", arguments.positional}};
}

tl::expected<nlohmann::json, Failure> selection_with_colour(const Invocation& call) {
  const auto to = call.arguments.colour("to");
  if (!to) return tl::unexpected(to.error());
  auto request = selection(call);
  if (!request) return request;
  if (!*to)
    return tl::unexpected(
        usage_failure(fmt::format("teal {}: --to COLOUR is missing; expected blue or green", call.verb.name),
                      fmt::format("teal {} --help", call.verb.name)));
  (*request)["to"] = **to;
  if (call.arguments.has("force")) (*request)["force"] = true;
  return request;
}

tl::expected<nlohmann::json, Failure> post_change(const Invocation& call, const std::string& target,
                                                  nlohmann::json request) {
  for (const auto& [option, field] :
       {std::pair("if-revision", "if_revision"), std::pair("if-generation", "if_generation")}) {
    const auto number = call.arguments.number(option, 0, std::numeric_limits<int64_t>::max());
    if (!number) return tl::unexpected(number.error());
    if (*number) request[field] = **number;
  }
  if (const auto reason = call.arguments.value("reason")) request["reason"] = *reason;
  const auto id = call.arguments.value("request-id");
  if (id && !is_request_id(*id))
    return tl::unexpected(
        usage_failure(fmt::format("--request-id is \"{}\"; expected 1 to {} ASCII characters without a space",
                                  clean(*id), kMaxRequestIdBytes)));
  if (call.arguments.has("dry-run")) {
    request["dry_run"] = true;
  } else {
    request["request_id"] = id.value_or(random_id());
  }
  return post_until_answered(call, target, request);
}

std::string change_sentence(const nlohmann::json& reply, const ChangeWords& words) {
  const auto generation = number(reply, "generation");
  const bool dry = flag(reply, "dry_run");
  if (words.done.empty() && words.sentence.empty()) {
    return dry ? fmt::format("would change nothing, {}; generation {}\n", words.nothing, generation)
               : fmt::format("generation {}: nothing to change, {}\n", generation, words.nothing);
  }
  if (dry) return fmt::format("would {}; nothing was changed, generation {}\n", words.would, generation);
  if (!words.sentence.empty()) return words.sentence + "\n";
  return fmt::format("generation {}: {}; {}\n", generation, words.done, adoption(reply));
}

void print_change(const Invocation& call, const nlohmann::json& reply, const ChangeWords& words) {
  call.around.out << change_sentence(reply, words) << words.lines << std::flush;
  for (const auto& warning : texts(reply, "warnings"))
    call.around.err << "warning: " << with_times(warning) << '\n';
  if (!words.hint.empty()) call.around.err << "hint: " << words.hint << '\n';
}

std::string changes_text(const nlohmann::json& entries, bool colour) {
  std::vector<std::pair<std::string, std::vector<std::string>>> by_predicate;
  for (const auto& entry : entries) {
    auto [subject, predicate] = describe(entry, colour);
    if (by_predicate.empty() || by_predicate.back().first != predicate)
      by_predicate.push_back({predicate, {}});
    by_predicate.back().second.push_back(std::move(subject));
  }
  std::string text;
  for (size_t i = 0; i < by_predicate.size() && i < kPredicatesListed; ++i) {
    const auto& [predicate, subjects] = by_predicate[i];
    text += (i == 0 ? "" : ", ") + names_or_count(subjects) + (predicate.empty() ? "" : " ") + predicate;
  }
  if (by_predicate.size() > kPredicatesListed)
    text += fmt::format(" and {} more", by_predicate.size() - kPredicatesListed);
  return text;
}

std::string unchanged_text(const nlohmann::json& reply, std::string_view how) {
  const auto unchanged = texts(reply, "unchanged");
  return fmt::format("{} {} {}", names_or_count(unchanged), unchanged.size() == 1 ? "is" : "are", how);
}

}  // namespace teal::cli
