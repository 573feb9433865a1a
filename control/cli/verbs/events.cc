// SPDX-License-Identifier: Apache-2.0
//
// Prints and follows teald's events. After a lost connection it continues from the latest id, also when teald
// was restarted.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/invocation/event_parser.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kKeptAreSentWithin(1000);  // teald sends the events that it keeps at once
constexpr milliseconds kLongestSilence(40'000);   // teald sends a comment every 15 s
constexpr milliseconds kRetry(500);

struct Life {  // of one teald process
  int64_t pid = 0;
  double uptime = 0;
};

class Follower {
 public:
  Follower(const Invocation& call, std::optional<uint64_t> since) : call_(call), last_(since) {}

  Outcome print_kept() {
    wants_what_is_kept_ = !last_;
    if (!last_) last_ = 0;
    const auto end = read(kKeptAreSentWithin);
    if (!end) return tl::unexpected(end.error());
    if (printed_ == 0 && !call_.json) call_.around.out << "no events since teald started\n";
    return {};
  }

  Outcome follow() {
    const auto first = life();
    if (!first) return tl::unexpected(first.error());
    life_ = *first;
    while (true) {
      const auto end = read(kLongestSilence);
      if (!call_.around.out) return {};
      if (!end && !may_pass(end.error())) return tl::unexpected(end.error());
      if (!wait_for_teald(end ? std::string() : end.error().message)) return {};
    }
  }

 private:
  tl::expected<Client::StreamEnd, Failure> read(milliseconds silence) {
    EventParser parser;
    const std::string target = last_ ? fmt::format("/v1/events?since={}", *last_) : "/v1/events";
    return call_.daemon.stream(target, last_, silence, [&](std::string_view bytes) {
      for (const auto& event : parser.feed(bytes)) print(event);
      return static_cast<bool>(call_.around.out);
    });
  }

  tl::expected<Life, Failure> life() const {
    const auto version = call_.daemon.get("/v1/version");
    if (!version) return tl::unexpected(version.error());
    return Life{version->at("pid").get<int64_t>(), version->at("uptime_seconds").get<double>()};
  }

  // Returns false when the operator ends the command.
  bool wait_for_teald(std::string why) {
    bool told = false;
    while (true) {
      const auto now = life();
      if (now) {
        const bool another = now->pid != life_.pid || now->uptime < life_.uptime;
        life_ = *now;
        if (another || told) say(fmt::format("teald answers again, pid {}", now->pid));
        return another || told || call_.around.pause(kRetry);
      }
      if (!told)
        say(fmt::format("teald does not answer; waiting for it ({})",
                        why.empty() ? now.error().message : why));
      told = true;
      if (!call_.around.pause(kRetry)) return false;
    }
  }

  void say(const std::string& what) { call_.around.err << "teal: " << clean(what) << std::endl; }

  void print(const StreamedEvent& event) {
    if (event.data.empty()) {
      last_ = event.id;
      return;
    }
    json data = json::parse(event.data, nullptr, false);
    if (!data.is_object()) data = {{"text", event.data}};
    if (event.type == "lost") {
      last_ = number(data, "next") - 1;
      if (wants_what_is_kept_) return;
      if (call_.json)
        print_as_json(event, data);
      else
        say(fmt::format("events were lost: the oldest event that teald keeps has id {}",
                        number(data, "next")));
      return;
    }
    if (event.id) last_ = *event.id;
    ++printed_;
    if (call_.json) {
      print_as_json(event, data);
    } else {
      call_.around.out << line(event, data) << std::flush;
    }
  }

  void print_as_json(const StreamedEvent& event, const json& data) const {
    json document = {{"id", event.id.value_or(0)}, {"event", event.type}};
    document.update(data);
    call_.print_line(document);
  }

  static std::string value_text(const json& value) {
    if (value.is_string()) return clean(value.get<std::string>());
    if (!value.is_array()) return clean(value.dump());
    std::string names;
    for (const auto& name : value) names += (names.empty() ? "" : " ") + value_text(name);
    return names;
  }

  // Known fields come first, in words. Other fields are printed as they are: a newer teald may send more.
  static std::string line(const StreamedEvent& event, const json& data) {
    const std::string& type = event.type;
    std::string rest;
    const auto add = [&](const std::string& what) {
      if (!what.empty()) rest += (rest.empty() ? "" : ", ") + what;
    };
    if (const auto generation = number_or_0(data, "generation"); generation != 0)
      add(fmt::format("generation {}", generation));
    std::string what = text_or(data, "verb");
    for (const char* list : {"services", "changes"}) {
      if (const auto changes = changes_text(part(data, list), false); !changes.empty())
        what += (what.empty() ? "" : " ") + changes;
    }
    add(what);
    if (data.contains("uid")) add("by " + who_text(data));
    for (const auto& [key, value] : data.items()) {
      static constexpr std::array<std::string_view, 9> kTold = {
          "at", "generation", "verb", "services", "changes", "uid", "user", "by_root", "evidence"};
      const bool is_empty =
          value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty());
      if (std::find(kTold.begin(), kTold.end(), key) != kTold.end() || is_empty) continue;
      if ((key == "result" && value == type) || (key == "recorded" && value == true)) continue;
      if (key == "duration_us" && value.is_number()) {
        add(span_text(value.get<double>() / 1e6));
      } else {
        add(fmt::format("{} {}", clean(key), value_text(value)));
      }
    }
    std::string result = fmt::format("{:>13}  {}  {:<14}  {}", event.id ? std::to_string(*event.id) : "",
                                     time_text(text_or(data, "at")), clean(type), rest);
    result.resize(result.find_last_not_of(' ') + 1);
    return result + "\n";
  }

  const Invocation& call_;
  std::optional<uint64_t> last_;  // id of the last event; none: only new events
  bool wants_what_is_kept_ = false;
  Life life_;
  size_t printed_ = 0;
};

}  // namespace

Outcome run_events(const Invocation& call) {
  const auto since = call.arguments.number("since", 0, std::numeric_limits<int64_t>::max());
  if (!since) return tl::unexpected(since.error());
  Follower follower(call, *since);
  return call.arguments.has("follow") ? follower.follow() : follower.print_kept();
}

}  // namespace teal::cli
