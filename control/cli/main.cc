// SPDX-License-Identifier: Apache-2.0
//
// teal: the operator's command line. It sends requests to teald and has no privileges of its own.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <string_view>
#include <thread>

#include "control/cli/dispatch.h"
#include "control/cli/terminal/utf8_locale.h"

namespace {

std::string environment(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// The kernel knows who logged in, also behind sudo. A service of the system has no login.
std::optional<uint32_t> login_uid() {
  constexpr uint32_t kUnset = UINT32_MAX;
  std::ifstream file("/proc/self/loginuid");
  uint32_t uid = kUnset;
  if (!(file >> uid) || uid == kUnset) return std::nullopt;
  return uid;
}

void measure_terminal(teal::cli::Surroundings& around) {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return;
  around.columns = std::max<unsigned>(size.ws_col, 40);
  around.rows = std::max<unsigned>(size.ws_row, 5);
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  teal::cli::Surroundings around{
      .out = std::cout,
      .err = std::cerr,
      // https://no-color.org: any value that is not empty
      .colour = terminal && environment("NO_COLOR", "").empty() && environment("TERM", "dumb") != "dumb",
      .terminal = terminal && environment("TERM", "dumb") != "dumb",
      .utf8 =
          teal::cli::is_utf8(environment("LC_ALL", ""), environment("LC_CTYPE", ""), environment("LANG", "")),
      .socket = environment("TEAL_SOCKET", "/run/teal/control.sock"),
      .login_uid = login_uid(),
      .pause =
          [](std::chrono::milliseconds time) {
            std::this_thread::sleep_for(time);
            return true;
          },
  };
  if (terminal) {
    measure_terminal(around);
    around.measure = measure_terminal;
  }
  int exit_code = teal::cli::kError;
  try {
    exit_code = teal::cli::run(words, around);
  } catch (const std::exception& error) {
    std::cerr << "teal: " << error.what() << '\n';
  }
  std::cout.flush();
  if (!std::cout) {  // for example a full disk: the change was made, but its report is lost
    std::fputs("teal: cannot write the output\n", stderr);
    if (exit_code == teal::cli::kDone) exit_code = teal::cli::kError;
  }
  return exit_code;
}
