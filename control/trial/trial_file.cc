// SPDX-License-Identifier: Apache-2.0
#include "control/trial/trial_file.h"

#include <nlohmann/json.hpp>

#include "control/loop/run_file.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kTrialsFileVersion = 1;

std::string trials_path(const std::string& run_dir) {
  return run_dir + "/trials.json";
}

Json cells_json(const TrialCells& cells) {
  Json json = Json::array();
  for (const TrialCounts& cell : cells)
    json.push_back(
        {cell.begun, cell.refused, cell.unanswered, cell.reset, cell.no_reply, cell.measured, cell.slow});
  return json;
}

std::optional<TrialCells> cells_in(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  TrialCells cells;
  if (found == entry.end() || !found->is_array() || found->size() != cells.size()) return std::nullopt;
  for (size_t cell = 0; cell < cells.size(); ++cell) {
    const Json& row = (*found)[cell];
    constexpr size_t kCounts = 7;
    if (!row.is_array() || row.size() != kCounts) return std::nullopt;
    for (const Json& count : row)
      if (!count.is_number_unsigned()) return std::nullopt;
    cells[cell] = {.begun = row[0],
                   .refused = row[1],
                   .unanswered = row[2],
                   .reset = row[3],
                   .no_reply = row[4],
                   .measured = row[5],
                   .slow = row[6]};
  }
  return cells;
}

}  // namespace

std::string trials_text(const TrialStarts& starts) {
  Json entries = Json::array();
  for (const auto& [of, start] : starts)
    entries.push_back({{"generation", of.first},
                       {"service", of.second},
                       {"old_colour", cells_json(start.old_colour)},
                       {"flows_per_second", start.flows_per_second},
                       {"at_flip", cells_json(start.at_flip)},
                       {"flipped_at_steady_ms", start.flipped_at_ms},
                       {"is_forgiven", start.is_forgiven}});
  return Json{{"version", kTrialsFileVersion}, {"starts", std::move(entries)}}.dump() + "\n";
}

tl::expected<TrialStarts, std::string> parse_trials(std::string_view text) {
  const auto bad = [](const char* what) { return tl::unexpected(std::string(what)); };
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return bad("it is not a JSON object");
  if (json.value("version", Json()) != kTrialsFileVersion) return bad("it has another version");
  const auto entries = json.find("starts");
  if (entries == json.end() || !entries->is_array()) return bad("it lacks a field");
  TrialStarts starts;
  for (const Json& entry : *entries) {
    if (!entry.is_object()) return bad("a start is not an object");
    const Json generation = entry.value("generation", Json()), service = entry.value("service", Json()),
               rate = entry.value("flows_per_second", Json()),
               flipped_at = entry.value("flipped_at_steady_ms", Json()),
               is_forgiven = entry.value("is_forgiven", Json());
    const auto old_colour = cells_in(entry, "old_colour"), at_flip = cells_in(entry, "at_flip");
    if (!generation.is_number_unsigned() || !service.is_string() || !rate.is_number() || !old_colour ||
        !at_flip || !flipped_at.is_number_integer() || flipped_at.get<int64_t>() < 0 ||
        !is_forgiven.is_boolean() || rate.get<double>() < 0)
      return bad("a start lacks a field");
    starts[{generation.get<uint64_t>(), service.get<std::string>()}] = {.old_colour = *old_colour,
                                                                        .flows_per_second = rate,
                                                                        .at_flip = *at_flip,
                                                                        .flipped_at_ms = flipped_at,
                                                                        .is_forgiven = is_forgiven};
  }
  return starts;
}

tl::expected<void, std::string> write_trials_file(const std::string& run_dir, const TrialStarts& starts) {
  return replace_run_file(trials_path(run_dir), trials_text(starts));
}

tl::expected<TrialStarts, std::string> read_trials_file(const std::string& run_dir) {
  return read_run_file(trials_path(run_dir), parse_trials);
}

}  // namespace teal
