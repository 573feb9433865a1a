// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_messages.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "dataplane/shm/counters.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kMaxRise = 100;
constexpr int64_t kMaxCheckMs = 3'600'000;

std::string as_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Reads the fields of an object. After the first bad field, every read returns a default.
class FieldReader {
 public:
  explicit FieldReader(const Json& object) : object_(object) {
    if (!object.is_object()) error_ = "it is not an object";
  }

  const std::string& error() const { return error_; }
  void refuse(const char* key, const char* expected) {
    if (error_.empty()) error_ = std::string("\"") + key + "\" is not " + expected;
  }

  bool has(const char* key) const { return error_.empty() && object_.contains(key); }

  int64_t integer(const char* key, int64_t least, int64_t most) {
    const Json* value = find(key);
    // An unsigned number beyond int64_t would come out negative.
    const bool fits = value != nullptr && value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<uint64_t>() <= uint64_t{INT64_MAX});
    const int64_t number = fits ? value->get<int64_t>() : 0;
    if (fits && number >= least && number <= most) return number;
    refuse(key, "an integer within its bounds");
    return least;
  }
  bool flag(const char* key) {
    const Json* value = find(key);
    if (value != nullptr && value->is_boolean()) return value->get<bool>();
    refuse(key, "true or false");
    return false;
  }
  std::string text(const char* key, size_t most_bytes) {
    const Json* value = find(key);
    if (value != nullptr && value->is_string() && value->get_ref<const std::string&>().size() <= most_bytes)
      return value->get<std::string>();
    refuse(key, "a text within its bounds");
    return "";
  }
  std::string text_or_empty(const char* key, size_t most_bytes) {
    return has(key) ? text(key, most_bytes) : "";
  }
  const Json& list(const char* key) {
    static const Json kEmpty = Json::array();
    const Json* value = find(key);
    if (value != nullptr && value->is_array()) return *value;
    refuse(key, "a list");
    return kEmpty;
  }

 private:
  const Json* find(const char* key) const {
    if (!error_.empty()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const Json& object_;
  std::string error_;
};

Json json_of(const CheckOrder& order) {
  const HealthCheck& check = order.check;
  Json json = {{"backend", order.backend},
               {"address", to_string(order.address)},
               {"service", order.service},
               {"colour", order.colour},
               {"kind", name_of(check.kind)},
               {"interval_ms", check.interval.count()},
               {"timeout_ms", check.timeout.count()},
               {"rise", check.rise},
               {"fall", check.fall}};
  if (order.up) json["up"] = *order.up;
  if (check.port) json["port"] = *check.port;
  switch (check.kind) {
    case CheckKind::kTcp:
      break;
    case CheckKind::kHttp:
      json["path"] = check.path;
      json["host"] = check.host;
      json["least_status"] = check.least_status;
      json["most_status"] = check.most_status;
      json["match"] = check.match;
      break;
    case CheckKind::kUdp:
      json["send"] = check.send;
      json["expect"] = check.expect;
      break;
    case CheckKind::kCommand:
      json["command"] = check.command;
      break;
  }
  return json;
}

std::optional<CheckKind> kind_of(std::string_view name) {
  const auto* const found = std::find(std::begin(kCheckKindNames), std::end(kCheckKindNames), name);
  if (found == std::end(kCheckKindNames)) return std::nullopt;
  return static_cast<CheckKind>(found - std::begin(kCheckKindNames));
}

// The bounds of texts are those of the config, with room for what JSON cannot carry: bytes that are not UTF-8
// were replaced by three bytes each.
constexpr size_t kMaxText = 3 * 4096;
constexpr size_t kMaxWords = 64;

std::vector<std::string> read_words(FieldReader& fields) {
  std::vector<std::string> command;
  for (const Json& word : fields.list("command")) {
    const bool fits = word.is_string() && word.get_ref<const std::string&>().size() <= kMaxText &&
                      word.get_ref<const std::string&>().find('\0') == std::string::npos;
    if (!fits) {
      fields.refuse("command", "a list of texts");
      return command;
    }
    command.push_back(word.get<std::string>());
  }
  if (command.empty() || command.size() > kMaxWords || !command.front().starts_with('/'))
    fields.refuse("command", "a list that begins with an absolute path");
  return command;
}

void read_kind(FieldReader& fields, HealthCheck& check) {
  switch (check.kind) {
    case CheckKind::kTcp:
      return;
    case CheckKind::kHttp:
      check.path = fields.text("path", kMaxText);
      check.host = fields.text("host", kMaxText);
      check.least_status = static_cast<uint16_t>(fields.integer("least_status", 100, 599));
      check.most_status = static_cast<uint16_t>(fields.integer("most_status", 100, 599));
      check.match = fields.text("match", kMaxText);
      return;
    case CheckKind::kUdp:
      check.send = fields.text("send", kMaxText);
      check.expect = fields.text("expect", kMaxText);
      return;
    case CheckKind::kCommand:
      check.command = read_words(fields);
      return;
  }
}

tl::expected<CheckOrder, std::string> order_of(const Json& json) {
  FieldReader fields(json);
  CheckOrder order;
  order.backend = static_cast<uint16_t>(fields.integer("backend", 0, kMaxBackends - 1));
  const auto address = parse_socket(fields.text("address", 64));
  if (!address) fields.refuse("address", "an address and port");
  order.address = address.value_or(Socket());
  order.service = fields.text("service", 64);
  order.colour = fields.text("colour", 16);
  if (fields.has("up")) order.up = fields.flag("up");
  HealthCheck& check = order.check;
  const auto kind = kind_of(fields.text("kind", 16));
  if (!kind) fields.refuse("kind", "a kind of check");
  check.kind = kind.value_or(CheckKind::kTcp);
  if (fields.has("port")) check.port = static_cast<uint16_t>(fields.integer("port", 1, 65535));
  check.interval = std::chrono::milliseconds(fields.integer("interval_ms", 1, kMaxCheckMs));
  check.timeout = std::chrono::milliseconds(fields.integer("timeout_ms", 1, kMaxCheckMs));
  check.rise = static_cast<uint32_t>(fields.integer("rise", 1, kMaxRise));
  check.fall = static_cast<uint32_t>(fields.integer("fall", 1, kMaxRise));
  read_kind(fields, check);
  if (!fields.error().empty()) return tl::unexpected(fields.error());
  return order;
}

tl::expected<ToProber, std::string> list_of(FieldReader& fields) {
  CheckList list;
  list.revision = static_cast<uint64_t>(fields.integer("revision", 0, INT64_MAX));
  const Json& checks = fields.list("checks");
  if (checks.size() > kMaxBackends) fields.refuse("checks", "a list of at most 4096 checks");
  if (!fields.error().empty()) return tl::unexpected(fields.error());
  std::vector<bool> seen(kMaxBackends);
  for (const Json& json : checks) {
    auto order = order_of(json);
    if (!order) return tl::unexpected("a check: " + order.error());
    if (seen[order->backend]) return tl::unexpected<std::string>("two checks have the same backend");
    seen[order->backend] = true;
    list.checks.push_back(std::move(*order));
  }
  return list;
}

tl::expected<ToProber, std::string> check_now_of(FieldReader& fields) {
  CheckNow order;
  order.revision = static_cast<uint64_t>(fields.integer("revision", 0, INT64_MAX));
  const Json& backends = fields.list("backends");
  if (backends.size() > kMaxBackends) fields.refuse("backends", "a list of at most 4096 ids");
  for (const Json& id : backends) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxBackends)
      fields.refuse("backends", "a list of ids below 4096");
    if (!fields.error().empty()) break;
    order.backends.push_back(id.get<uint16_t>());
  }
  if (!fields.error().empty()) return tl::unexpected(fields.error());
  return order;
}

tl::expected<ToProber, std::string> hook_of(FieldReader& fields) {
  HookOrder order;
  order.id = static_cast<uint64_t>(fields.integer("id", 0, INT64_MAX));
  const std::string name = fields.text("hook", 16);
  const auto* const known = std::find(kHookNames.begin(), kHookNames.end(), name);
  if (known == kHookNames.end()) fields.refuse("hook", "a hook");
  order.hook = static_cast<Hook>(known == kHookNames.end() ? 0 : known - kHookNames.begin());
  order.run.command = read_words(fields);
  order.run.timeout = std::chrono::milliseconds(fields.integer("timeout_ms", 1, kMaxCheckMs));
  order.input = fields.text("input", kMaxHookInput);
  order.not_after_ms = fields.integer("not_after_ms", 0, INT64_MAX);
  if (!fields.error().empty()) return tl::unexpected(fields.error());
  return order;
}

tl::expected<ToTeald, std::string> hook_done_of(FieldReader& fields) {
  HookDone done;
  done.id = static_cast<uint64_t>(fields.integer("id", 0, INT64_MAX));
  done.passed = fields.flag("passed");
  done.reason = clean_reason(fields.text("reason", kMaxReportBytes));
  if (!fields.error().empty()) return tl::unexpected(fields.error());
  return done;
}

// Returns the object and its type. nlohmann's parser keeps its own stack, so deep nesting is safe.
std::pair<Json, std::string> parsed(std::string_view line) {
  Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return {Json(), ""};
  const auto type = json.find("type");
  if (type == json.end() || !type->is_string()) return {Json(), ""};
  std::string name = type->get<std::string>();
  return {std::move(json), std::move(name)};
}

tl::unexpected<std::string> not_a_message() {
  return tl::unexpected<std::string>("the line is not a JSON object with a known \"type\"");
}

}  // namespace

std::string line_of(const CheckList& list) {
  // Check by check: a JSON tree of 4,096 checks takes ten times the memory of its text.
  std::string line = "{\"type\":\"checks\",\"revision\":" + std::to_string(list.revision) + ",\"checks\":[";
  for (const CheckOrder& order : list.checks) {
    if (&order != &list.checks.front()) line += ',';
    line += json_of(order).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return line + "]}\n";
}

std::string line_of(const CheckNow& order) {
  return as_line({{"type", "check_now"}, {"revision", order.revision}, {"backends", order.backends}});
}

std::string line_of(const HookOrder& order) {
  return as_line({{"type", "hook"},
                  {"id", order.id},
                  {"hook", name_of(order.hook)},
                  {"command", order.run.command},
                  {"timeout_ms", order.run.timeout.count()},
                  {"input", order.input},
                  {"not_after_ms", order.not_after_ms}});
}

std::string line_of(const ProberRefused& refused) {
  return as_line({{"type", "refused"}, {"why", refused.why}});
}

std::string line_of(const HealthReport& report) {
  return as_line({{"type", "health"},
                  {"revision", report.revision},
                  {"backend", report.backend},
                  {"up", report.up},
                  {"passed", report.passed},
                  {"reason", report.reason},
                  {"at_ms", report.at_ms}});
}

std::string line_of(const HookDone& done) {
  return as_line({{"type", "hook_done"}, {"id", done.id}, {"passed", done.passed}, {"reason", done.reason}});
}

std::string line_of(const ProberAlive&) {
  return "{\"type\":\"alive\"}\n";
}

tl::expected<ToProber, std::string> parse_to_prober(std::string_view line) {
  if (line.size() > kMaxCheckListBytes) return tl::unexpected<std::string>("the line is too long");
  const auto [json, type] = parsed(line);
  FieldReader fields(json);
  if (type == "checks") return list_of(fields);
  if (type == "check_now") return check_now_of(fields);
  if (type == "hook") return hook_of(fields);
  if (type != "refused") return not_a_message();
  ProberRefused refused{clean_reason(fields.text("why", kMaxReportBytes))};
  if (!fields.error().empty()) return tl::unexpected(fields.error());
  return refused;
}

tl::expected<ToTeald, std::string> parse_to_teald(std::string_view line) {
  if (line.size() > kMaxReportBytes) return tl::unexpected<std::string>("the line is too long");
  const auto [json, type] = parsed(line);
  if (type == "alive") return ProberAlive{};
  FieldReader fields(json);
  if (type == "hook_done") return hook_done_of(fields);
  if (type != "health") return not_a_message();
  HealthReport report;
  report.revision = static_cast<uint64_t>(fields.integer("revision", 0, INT64_MAX));
  report.backend = static_cast<uint16_t>(fields.integer("backend", 0, kMaxBackends - 1));
  report.up = fields.flag("up");
  report.passed = fields.flag("passed");
  report.reason = clean_reason(fields.text("reason", kMaxReportBytes));
  report.at_ms = fields.integer("at_ms", 0, INT64_MAX / 2);
  if (!fields.error().empty()) return tl::unexpected(fields.error());
  return report;
}

std::string clean_reason(std::string_view text) {
  // A dump with "replace" turns bytes that are not UTF-8 into U+FFFD.
  const std::string dumped = Json(std::string(text.substr(0, kMaxHealthReason)))
                                 .dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string valid = Json::parse(dumped, nullptr, false).get<std::string>();
  for (char& c : valid)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  size_t end = std::min(valid.size(), kMaxHealthReason);
  while (end < valid.size() && end > 0 && (static_cast<unsigned char>(valid[end]) & 0xc0) == 0x80) --end;
  valid.resize(end);
  const size_t first = valid.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return valid.substr(first, valid.find_last_not_of(' ') - first + 1);
}

}  // namespace teal
