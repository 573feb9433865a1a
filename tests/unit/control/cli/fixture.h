// SPDX-License-Identifier: Apache-2.0
//
// The command line as a user meets it: words in, output and exit code out, against a daemon that answers from
// a table.
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

// What the daemon would say: two services, of which service-a was flipped and drains.
nlohmann::json services_answer();
nlohmann::json summary_answer();
nlohmann::json flip_answer();  // service-a and service-b, blue to green, generation 13
nlohmann::json error_answer(const char* code, const char* message, const char* hint = "");
// What all answers to a change have in common, in generation 13.
nlohmann::json change_answer(const nlohmann::json& own_fields);

bool contains(const std::string& text, const std::string& part);
void expect_80_columns(const std::string& text);

struct Result {
  int exit_code;
  std::string out;
  std::string err;
};

// A command of a shell, with what it prints on both outputs.
Result run_command(const std::string& command);
bool program_is_here(const std::string& name);

class CliTest : public testing::Test {
 protected:
  CliTest();

  Result teal(const std::vector<std::string>& words);
  // In a terminal of 80 x 24 with colours and UTF-8.
  Result teal_on_terminal(const std::vector<std::string>& words);

  TempDir directory_;
  std::string socket_;
  std::unique_ptr<FakeDaemon> daemon_;
  int pauses_ = 1;  // how many are made; the last one ends what is being watched
  std::function<void()> at_pause_ = [] {};

 private:
  Result run_in(Surroundings around, const std::vector<std::string>& words);
};

}  // namespace teal::cli
