// SPDX-License-Identifier: Apache-2.0
//
// Runs the command line as a user does: words in, output and exit code out. The daemon answers from a table.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/cli/dispatch.h"
#include "tests/unit/control/cli/fake_daemon.h"
#include "tests/unit/control/temp_dir.h"

namespace teal::cli {

// The daemon's answers. There are two services; service-a was flipped and drains.
nlohmann::json services_answer();
nlohmann::json summary_answer();
nlohmann::json lock_answer();  // alice's
nlohmann::json flip_answer();  // service-a and service-b, blue to green, generation 13
nlohmann::json error_answer(const char* code, const char* message, const char* hint = "");
// An answer to a change in generation 13: the fields that all changes have, and `own_fields`.
nlohmann::json change_answer(const nlohmann::json& own_fields);

bool contains(const std::string& text, const std::string& part);
void expect_80_columns(const std::string& text);

struct Result {
  int exit_code;
  std::string out;
  std::string err;
};

// Runs a command in sh. Result::out holds both outputs.
Result run_command(const std::string& command);
bool program_is_here(const std::string& name);

class CliTest : public testing::Test {
 protected:
  CliTest();

  Result teal(const std::vector<std::string>& words);
  // As on a terminal of 80 x 24 with colours and UTF-8.
  Result teal_on_terminal(const std::vector<std::string>& words);

  TempDir directory_;
  std::string socket_;
  std::unique_ptr<FakeDaemon> daemon_;
  int pauses_ = 1;                       // the number of pauses until a watch or a wait is ended
  std::chrono::milliseconds paused_{0};  // a pause passes at once
  std::function<void()> at_pause_ = [] {};
  std::optional<uint32_t> login_uid_;

 private:
  Result run_in(Surroundings around, const std::vector<std::string>& words);
};

}  // namespace teal::cli
