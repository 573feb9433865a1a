// SPDX-License-Identifier: Apache-2.0
#include "control/cli/pages/status_page.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/pages/health_words.h"
#include "control/cli/pages/rollout_lines.h"
#include "control/cli/pages/signals_table.h"
#include "control/cli/pages/status_ports.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {
namespace {

using nlohmann::json;

// Without named services, backends are shown only if there are at most this many.
constexpr size_t kBackendsOnAScreen = 24;

// Wraps a line that may be longer than the screen.
std::string wrapped(const std::string& line, const Surroundings& around) {
  return filled(line, 2, around.columns);
}

std::string warning_line(const std::string& line, const Surroundings& around) {
  std::string text = wrapped(with_times(line), around);
  text.pop_back();
  return styled(text, Style::kWarning, around.colour) + "\n";
}

std::string summary_line(const json& reply) {
  const auto generation = number(reply, "generation");
  const auto& dataplane = reply.at("dataplane");
  std::string line = fmt::format("generation {}", generation);
  if (const auto& revision = part(reply, "revision"); !revision.is_null())
    line += ", revision " + revision.dump();
  line += "; ";
  if (const auto refused = text_or(dataplane, "segment_refused"); !refused.empty())
    return line + "teald cannot use the dataplane's segment: " + refused;
  if (!dataplane.at("running").get<bool>()) return line + "the dataplane is not running";
  line += counted(number(dataplane, "workers"), "worker");
  if (const auto adopted = number(dataplane, "adopted_generation"); adopted != generation)
    line += fmt::format(" (adopted: generation {})", adopted);
  return line + fmt::format(", {} of {} flow entries", number(dataplane, "flow_entries"),
                            number(dataplane, "flow_capacity"));
}

std::string config_warnings(const json& config, bool is_locked, const Surroundings& around) {
  std::string lines;
  const auto errors = texts(config, "file_errors");
  if (const auto& refused = part(config, "refused"); !refused.is_null()) {
    const auto reasons = texts(refused, "errors");
    lines += warning_line(
        fmt::format(
            "the config file was refused at {}: {}{}; still in force is the config of {}; see teal "
            "reload --dry-run",
            text(refused, "at"), reasons.empty() ? "" : reasons.front(),
            reasons.size() > 1 ? fmt::format(" (and {})", counted(reasons.size() - 1, "more error")) : "",
            text_or(config, "loaded_at")),
        around);
  } else if (const auto held_back = text_or(config, "held_back"); !held_back.empty()) {
    lines += warning_line(
        "the start did not take over the config file, and teald runs on the latest good config: " +
            held_back +
            (is_locked ? "; to see what it changes: teal unlock, then teal reload --dry-run"
                       : "; see teal reload --dry-run"),
        around);
  } else if (!errors.empty()) {
    lines += warning_line(
        fmt::format(
            "the config file is bad ({}), and teald runs on the latest good config: {}; see teal check",
            counted(errors.size(), "error"), errors.front()),
        around);
  } else if (flag(config, "file_differs")) {
    lines +=
        warning_line("the config file has changed since it was loaded; see teal reload --dry-run", around);
  }
  for (const auto& line : texts(config, "restart")) lines += warning_line("not in force: " + line, around);
  return lines;
}

// Returns whether no backend that takes the users' new flows can get a packet.
bool is_out_of_reach(const json& service) {
  size_t takers = 0;
  for (const auto& backend : service.at("colours").at(text(service, "active")).at("backends")) {
    if (!takes_new_flows(backend)) continue;
    if (text_or(backend, "next_hop") != "unresolved") return false;
    ++takers;
  }
  return takers != 0;
}

std::string reach_warning(const json& reply, const Surroundings& around) {
  if (!flag(reply.at("dataplane"), "running")) return "";
  std::vector<std::string> names;
  for (const auto& service : reply.at("services"))
    if (is_out_of_reach(service)) names.push_back(text(service, "name"));
  return names.empty() ? ""
                       : warning_line(
                             "new flows are dropped, as no backend of the active colour has a next "
                             "hop: " +
                                 names_or_count(names),
                             around);
}

// Facts that an operator must know first.
std::string warnings_of(const json& reply, const Surroundings& around) {
  std::string lines;
  if (const auto& lock = part(reply, "lock"); !lock.is_null())
    lines += warning_line(lock_text(lock) + "; see teal unlock", around);
  if (const auto& storage = part(reply, "storage"); !storage.is_null())
    if (const auto error = text_or(storage, "error"); !error.empty())
      lines +=
          warning_line(fmt::format("{}every change but a rollback and an unlock is refused: {}",
                                   number(storage, "unrecorded") == 0
                                       ? ""
                                       : counted(number(storage, "unrecorded"), "change") + " not on disk, ",
                                   error),
                       around);
  if (const auto& config = part(reply, "config"); !config.is_null())
    lines += config_warnings(config, !part(reply, "lock").is_null(), around);
  if (const auto problem = prober_problem(part(reply, "health")); !problem.empty())
    lines += warning_line(problem, around);
  for (const std::string& line : port_warnings(reply.at("dataplane"))) lines += warning_line(line, around);
  return lines + reach_warning(reply, around);
}

Cell state_of_colour(const json& service, const std::string& colour) {
  const auto& ramp = part(service, "ramp");
  if (!ramp.is_null()) {
    const double share = ramp.at("share_percent").get<double>();
    return {fmt::format("{:g}% of new flows", ramp.at("to") == colour ? share : 100 - share),
            Style::kWarning};
  }
  if (service.at("active") == colour) return "active";
  const auto& draining = service.at("draining");
  if (draining.is_null() || draining.at("colour") != colour) return "";
  const auto state = text_or(draining, "state");
  return {state.empty() ? "draining" : state, Style::kWarning};
}

// The same with a mark if the pool does not serve as usual, because too few of its backends are up: all its
// backends serve, or the pool rejects new flows.
Cell state_of_pool(const json& service, const std::string& colour) {
  const Cell state = state_of_colour(service, colour);
  const auto mode = text_or(service.at("colours").at(colour), "mode");
  if (mode.empty() || mode == "normal") return state;
  const std::string mark = mode == "reject" ? "rejects" : "all serve";
  return {state.text.empty() ? mark : state.text + ", " + mark, Style::kWarning};
}

Cell state_of_backend(const json& backend) {
  if (flag(backend, "retired")) return {"retired", Style::kWarning};
  std::string state;
  const auto add = [&](const std::string& what) { state += (state.empty() ? "" : ", ") + what; };
  const auto admin = text_or(backend, "state");
  const bool takes_flows = admin.empty() || admin == "ready";
  if (!takes_flows) add(admin);
  if (text_or(backend, "next_hop") == "unresolved") {
    const auto problem = text_or(backend, "next_hop_problem");
    add(problem.empty() ? "no next hop" : problem);
  }
  if (!is_healthy(backend)) add(health_cell(backend).text);
  const bool is_ejected = !part(backend, "ejected").is_null();
  if (const auto failing = failing_words(backend); !failing.empty() && !is_ejected) add(failing);
  const bool warns = !state.empty();
  const auto weight = number(backend, "weight");
  const auto& in_file = part(backend, "file_weight");
  if (takes_flows && in_file.is_number() && in_file != weight) {
    add(fmt::format("weight {} (file {})", weight, in_file.get<uint64_t>()));
  } else if (takes_flows && weight != 1) {
    add(fmt::format("weight {}", weight));
  }
  return {state, warns ? Style::kWarning : Style::kPlain};
}

size_t members(const json& backends) {
  return static_cast<size_t>(
      std::count_if(backends.begin(), backends.end(), [](const json& b) { return !flag(b, "retired"); }));
}

// With `all_backends` false, only the backends that are unwell have a line.
void add_service(Table& table, const json& service, bool all_backends) {
  std::string name = text(service, "name");
  for (const std::string colour : {"blue", "green"}) {
    const auto& pool = service.at("colours").at(colour);
    const auto& backends = pool.at("backends");
    table.rows.push_back({std::exchange(name, ""),
                          {colour, style_of(colour)},
                          counted(members(backends), "backend"),
                          std::to_string(number(pool, "flows")),
                          std::to_string(number(pool, "closing")),
                          std::to_string(number(pool, "new_flows")),
                          state_of_pool(service, colour)});
    for (const auto& backend : backends) {
      const Cell state = state_of_backend(backend);
      if (!all_backends && state.style != Style::kWarning) continue;
      table.rows.push_back({"", "", "  " + text(backend, "address"), std::to_string(number(backend, "flows")),
                            std::to_string(number(backend, "closing")), "", state});
    }
  }
}

// "preview of green: at 198.18.0.110:80, and for 198.18.1.102/32; it has answered"
std::string preview_line(const json& service) {
  const auto& preview = part(service, "preview");
  if (preview.is_null()) return {};
  std::string line = fmt::format("preview of {}: ", text(preview, "colour"));
  const auto address = text_or(preview, "address");
  const auto clients = texts(preview, "clients");
  if (!address.empty()) line += "at " + address;
  if (!address.empty() && !clients.empty()) line += ", and ";
  if (!clients.empty()) line += fmt::format("for {}", fmt::join(clients, ", "));
  return line + (flag(preview, "answered") ? "; it has answered" : "; no flow was answered yet");
}

// Details of a service that the operator named.
std::string detail_lines(const json& service, const Surroundings& around) {
  std::string line = fmt::format("{}: {} {}, active {}", text(service, "name"), text(service, "vip"),
                                 text(service, "protocol"), text(service, "active"));
  const auto previous = text_or(service, "previous");
  const bool was_aborted = previous == text(service, "active");
  if (!previous.empty() && !was_aborted) line += fmt::format(", previously {}", previous);
  if (const auto phase = text_or(service, "phase"); !phase.empty()) line += ", " + phase;
  std::string lines = wrapped(line, around);
  const bool is_old = was_aborted && !part(service, "ramp").is_null();  // another ramp has begun
  if (const auto at = text_or(service, "flipped_at"); !at.empty() && !is_old) {
    lines += fmt::format("  {} at {} in generation {}\n", was_aborted ? "ramp aborted" : "flipped",
                         time_text(at), number(service, "generation_of_flip"));
  }
  if (const auto& drain = part(service, "drain"); !drain.is_null()) {
    lines += fmt::format("  drains for {}, then {}; udp {}\n",
                         span_text(drain.at("timeout_seconds").get<double>()), text(drain, "then"),
                         text(drain, "udp"));
  }
  if (const auto preview = preview_line(service); !preview.empty()) lines += "  " + wrapped(preview, around);
  return lines;
}

std::string draining_line(const json& service, const Surroundings& around) {
  const auto& draining = service.at("draining");
  if (draining.is_null()) return {};
  std::string line = fmt::format("draining: {} {}, {} left on {}", text(service, "name"),
                                 text(draining, "colour"), counted(number(draining, "flows"), "flow"),
                                 counted(number(draining, "backends"), "backend"));
  const auto state = text_or(draining, "state");
  const auto& left = part(draining, "seconds_left");
  if (state == "resetting") {
    line += "; the deadline has passed, the flows are being reset";
  } else if (state == "overdue") {
    line += fmt::format("; the deadline has passed, then {}", text_or(draining, "then"));
  } else if (left.is_number()) {
    line += fmt::format("; {} to the deadline, then {}", span_text(left.get<double>()),
                        text_or(draining, "then"));
  }
  if (const auto& estimate = part(draining, "estimate_seconds"); estimate.is_number())
    line += fmt::format("; done in about {}", span_text(estimate.get<double>()));
  return wrapped(line, around);
}

std::string retired_line(const json& service, const Surroundings& around) {
  return wrapped(fmt::format("retired: {} {} {}, {} left", text(service, "name"), text(service, "vip"),
                             text(service, "protocol"), counted(number(service, "flows"), "flow")),
                 around);
}

// A smaller number is more urgent.
int trouble_of(const json& service) {
  const auto& draining = part(service, "draining");
  const bool drains = !draining.is_null();
  if (drains && (text_or(draining, "state") == "overdue" || text_or(draining, "state") == "resetting"))
    return 0;
  bool is_notable = !texts(service, "drift").empty();
  for (const auto& [colour, pool] : service.at("colours").items()) {
    for (const auto& backend : pool.at("backends")) {
      if (colour == service.at("active") && !flag(backend, "retired") &&
          (text_or(backend, "next_hop") == "unresolved" || text_or(backend, "health") == "down" ||
           !part(backend, "ejected").is_null()))
        return 1;
      is_notable = is_notable || state_of_backend(backend).style == Style::kWarning;
    }
  }
  if (drains || !part(service, "ramp").is_null() || !part(service, "trial").is_null()) return 2;
  return is_notable ? 3 : 4;
}

// Returns the drains, the retired services and the differences from the file, an element for each sentence.
std::vector<std::string> notes_of(const json& reply, bool named, const Surroundings& around) {
  std::vector<std::string> notes;
  for (const auto& service : reply.at("services"))
    for (std::string& line : rollout_lines(service, named, around))
      if (std::find(notes.begin(), notes.end(), line) == notes.end()) notes.push_back(std::move(line));
  for (const auto& service : reply.at("services"))
    if (auto line = draining_line(service, around); !line.empty()) notes.push_back(std::move(line));
  if (!named)
    for (const auto& service : part(reply, "retired_services"))
      notes.push_back(retired_line(service, around));
  for (const auto& service : reply.at("services"))
    for (const auto& line : texts(service, "drift"))
      notes.push_back(wrapped(fmt::format("drift: {}: {}", text(service, "name"), line), around));
  return notes;
}

// As many notes as fit, below the line that counts all drains.
std::string fitting(const std::vector<std::string>& notes, size_t max_lines, const std::string& drains) {
  std::string all;
  for (const std::string& note : notes) all += note;
  if (lines_of(all) <= max_lines) return all;
  std::string text = drains;
  size_t shown = 0;
  for (; shown < notes.size() && lines_of(text + notes[shown]) < max_lines; ++shown) text += notes[shown];
  return text + fmt::format("and {} more of such lines\n", notes.size() - shown);
}

// "203 services drain, 40194 flows left, 3 drains past the deadline": for a page without room for all drains.
std::string drains_line(const json& services) {
  uint64_t drains = 0, flows = 0, late = 0;
  for (const auto& service : services) {
    const auto& draining = service.at("draining");
    if (draining.is_null()) continue;
    ++drains;
    flows += number(draining, "flows");
    if (text_or(draining, "state") != "draining") ++late;
  }
  if (drains == 0) return {};
  return fmt::format(
      "{}, {} left{}\n", drains == 1 ? "1 service drains" : fmt::format("{} services drain", drains),
      counted(flows, "flow"), late == 0 ? "" : fmt::format(", {} past the deadline", counted(late, "drain")));
}

// The table of the first `count` services.
std::string table_of(const json& services, size_t count, bool with_backends, const Surroundings& around) {
  Table table{.columns = {{"SERVICE", kLeft, true},
                          {"COLOUR"},
                          {"BACKEND", kLeft, true},
                          {"FLOWS", kRight},
                          {"CLOSING", kRight},
                          {"BEGUN", kRight},
                          {"STATE", kLeft, true}},
              .rows = {}};
  for (size_t i = 0; i < count; ++i) add_service(table, services[i], with_backends);
  std::string page = table.text(around.columns, around.colour);
  if (count < services.size())
    page += fmt::format("{} of {} services; teal status SERVICE shows any other\n", count, services.size());
  else if (!with_backends)
    page += "teal status SERVICE shows a service's backends\n";
  return page;
}

}  // namespace

void sort_by_trouble(json& services) {
  std::stable_sort(services.begin(), services.end(),
                   [](const json& a, const json& b) { return trouble_of(a) < trouble_of(b); });
}

std::string status_page(const json& reply, const PageForm& form, const Surroundings& around) {
  const auto& services = reply.at("services");
  size_t backends = 0;
  for (const auto& service : services) {
    for (const auto& pool : service.at("colours")) backends += pool.at("backends").size();
  }
  const bool with_backends = form.named || backends <= kBackendsOnAScreen;
  std::string page = wrapped(summary_line(reply), around) + warnings_of(reply, around);
  if (form.named)
    for (const auto& service : services) page += detail_lines(service, around);
  const size_t max_lines =
      form.max_lines == 0 ? SIZE_MAX : form.max_lines - std::min(form.max_lines, lines_of(page) + 1);
  const auto notes = notes_of(reply, form.named, around);
  std::string ports = form.named ? "" : ports_table(reply.at("dataplane"), around);
  std::string table = table_of(services, services.size(), with_backends, around);
  if (form.named)
    if (const std::string signals = signals_table(services, around); !signals.empty())
      table += "\n" + signals;
  const std::string all = fitting(notes, SIZE_MAX, "");
  if (lines_of(all) + lines_of(table) + lines_of(ports) <= max_lines)
    return page + all + "\n" + table + ports;
  if (lines_of(ports) > max_lines / 4)
    ports = fmt::format("{}; teal stats shows them\n",
                        counted(part(reply.at("dataplane"), "ports").size(), "port"));
  const size_t room = max_lines - std::min(max_lines, lines_of(ports));
  const std::string urgent = fitting(notes, room / 2, drains_line(services));
  const size_t left = room - std::min(room, lines_of(urgent));
  size_t count = std::min(services.size(), left / 2);
  do table = table_of(services, count, with_backends, around);
  while (lines_of(table) > left && count-- != 0);
  return page + urgent + "\n" + table + ports;
}

}  // namespace teal::cli
