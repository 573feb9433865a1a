// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/cli/fixture.h"

#include <sys/wait.h>

#include <cstdio>
#include <sstream>

#include "control/cli/terminal/table.h"

namespace teal::cli {

using nlohmann::json;

namespace {

json backend(const char* address, int flows, const char* next_hop = "resolved") {
  return {{"address", address}, {"id", 0},      {"weight", 1},      {"file_weight", 1},
          {"flows", flows},     {"closing", 0}, {"state", "ready"}, {"next_hop", next_hop}};
}

json pool(int flows, int begun, const std::vector<json>& backends) {
  return {{"flows", flows}, {"closing", 3}, {"new_flows", begun}, {"backends", backends}};
}

json dataplane() {
  return {{"running", true},          {"pid", 77},          {"workers", 2}, {"adopted_generation", 12},
          {"flow_capacity", 1000000}, {"flow_entries", 223}};
}

const json kGroups = json::array({{{"name", "shop"}, {"services", {"service-a", "service-b"}}}});

}  // namespace

json services_answer() {
  const json drain = {{"timeout_seconds", 300.0}, {"then", "wait"}, {"udp", "stick"}};
  json a = {{"name", "service-a"},
            {"id", 0},
            {"vip", "198.18.0.10:80"},
            {"protocol", "tcp"},
            {"active", "green"},
            {"previous", "blue"},
            {"generation_of_flip", 11},
            {"flipped_at", "2026-11-23T05:30:00.123Z"},
            {"file_active", "blue"},
            {"drift", {"this drain is 1h, the file says 5m"}},
            {"drain", drain},
            {"colours",
             {{"blue", pool(198, 1234, {backend("198.18.2.11:8080", 100), backend("198.18.2.12:8080", 98)})},
              {"green", pool(20, 20, {backend("198.18.2.21:8080", 20, "unresolved")})}}},
            {"draining",
             {{"colour", "blue"},
              {"flows", 198},
              {"backends", 2},
              {"state", "draining"},
              {"deadline", "2026-11-23T05:35:00.123Z"},
              {"seconds_left", 252.4},
              {"then", "wait"},
              {"estimate_seconds", 33.0}}}};
  json b = {{"name", "service-b"},
            {"id", 1},
            {"vip", "[fd18:0::10]:80"},
            {"protocol", "tcp"},
            {"active", "blue"},
            {"previous", nullptr},
            {"generation_of_flip", 0},
            {"flipped_at", nullptr},
            {"file_active", "blue"},
            {"drift", json::array()},
            {"drain", drain},
            {"colours",
             {{"blue", pool(5, 7, {backend("[fd18:2::11]:8080", 5)})},
              {"green", pool(0, 0, {backend("[fd18:2::21]:8080", 0)})}}},
            {"draining", nullptr}};
  return {
      {"generation", 12},
      {"dataplane", dataplane()},
      {"lock", nullptr},
      {"config",
       {{"path", "/etc/teal/teal.toml"}, {"loaded_at", "2026-11-23T05:00:00.000Z"}, {"file_differs", false}}},
      {"retired_services", json::array()},
      {"services", {a, b}},
      {"groups", kGroups}};
}

json summary_answer() {
  return {{"generation", 12},
          {"dataplane", dataplane()},
          {"lock", nullptr},
          {"services",
           {{{"name", "service-a"},
             {"vip", "198.18.0.10:80"},
             {"protocol", "tcp"},
             {"active", "green"},
             {"backends", {{"blue", 2}, {"green", 1}}}},
            {{"name", "service-b"},
             {"vip", "[fd18:0::10]:80"},
             {"protocol", "tcp"},
             {"active", "blue"},
             {"backends", {{"blue", 1}, {"green", 1}}}}}},
          {"groups", kGroups}};
}

json lock_answer() {
  return {
      {"uid", 1000}, {"user", "alice"}, {"reason", "release freeze"}, {"since", "2026-11-23T05:00:00.000Z"}};
}

json change_answer(const json& own_fields) {
  json answer = {{"generation", 13},
                 {"dry_run", false},
                 {"workers", {{"live", 2}, {"adopted", 2}, {"asleep", 0}}},
                 {"slowest_us", 3.14},
                 {"dataplane_running", true},
                 {"drains", json::array()},
                 {"warnings", json::array()}};
  answer.update(own_fields);
  return answer;
}

json flip_answer() {
  return change_answer({{"changed",
                         {{{"service", "service-a"}, {"from", "blue"}, {"to", "green"}},
                          {{"service", "service-b"}, {"from", "blue"}, {"to", "green"}}}},
                        {"unchanged", json::array()}});
}

json error_answer(const char* code, const char* message, const char* hint) {
  return {{"error", {{"code", code}, {"message", message}, {"hint", hint}}}};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void expect_80_columns(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(width_of(line), 80u) << line;
}

Result run_command(const std::string& command) {
  Result result{-1, "", ""};
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  char bytes[4096];
  for (size_t n; (n = fread(bytes, 1, sizeof(bytes), pipe)) > 0;) result.out.append(bytes, n);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

bool program_is_here(const std::string& name) {
  return run_command("command -v " + name).exit_code == 0;
}

CliTest::CliTest()
    : socket_(directory_.file("control.sock")), daemon_(std::make_unique<FakeDaemon>(socket_)) {
  const json all = services_answer();
  daemon_->answer("GET /v1/services", all);
  daemon_->answer("GET /v1/services?view=summary", summary_answer());
  for (const auto& service : all["services"])
    daemon_->answer("GET /v1/services/" + service["name"].get<std::string>(), service);
  daemon_->answer("GET /v1/version", {{"version", "0.1.0"}, {"pid", 7}, {"uptime_seconds", 61.2}});
  daemon_->answer("POST /v1/flip", flip_answer());
  daemon_->answer("POST /v1/rollback", flip_answer());
}

Result CliTest::run_in(Surroundings around, const std::vector<std::string>& words) {
  std::ostringstream out, err;
  Surroundings mine{.out = out,
                    .err = err,
                    .colour = around.colour,
                    .terminal = around.terminal,
                    .utf8 = around.utf8,
                    .socket = socket_,
                    .login_uid = login_uid_,
                    .pause =
                        [this](auto time) {
                          paused_ += time;
                          at_pause_();
                          return --pauses_ > 0;
                        },
                    .now = [this] { return std::chrono::steady_clock::now() + paused_; }};
  const int exit_code = run(words, mine);
  return {exit_code, out.str(), err.str()};
}

Result CliTest::teal(const std::vector<std::string>& words) {
  std::ostringstream unused;
  return run_in({.out = unused, .err = unused}, words);
}

Result CliTest::teal_on_terminal(const std::vector<std::string>& words) {
  std::ostringstream unused;
  return run_in({.out = unused, .err = unused, .colour = true, .terminal = true, .utf8 = true}, words);
}

}  // namespace teal::cli
