// SPDX-License-Identifier: Apache-2.0
//
// The completion scripts, in the shells they are for. TEAL_PROGRAM is the program that was built.
#include <fstream>
#include <sstream>

#include "control/cli/completion/completion.h"
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

class Completion : public CliTest {
 protected:
  Completion() {
    for (const char* shell : {"bash", "zsh", "fish"})
      std::ofstream(script(shell)) << teal({"completion", shell}).out;
  }

  std::string script(const std::string& shell) const { return directory_.file("teal." + shell); }

  // `teal` on the PATH, talking with the test's daemon.
  std::string environment() const {
    const std::string program = TEAL_PROGRAM;
    return "PATH=" + program.substr(0, program.rfind('/')) + ":$PATH TEAL_SOCKET=" + socket_ +
           " HOME=" + directory_.path() + " XDG_CONFIG_HOME=" + directory_.path() + " ";
  }

  // What bash offers for a line that ends at the cursor, in one line.
  std::string bash(const std::string& line) const {
    std::string words, result;
    std::istringstream split(line);
    for (std::string word; split >> word;) words += " " + shell_quoted(word);
    if (line.ends_with(' ')) words += " ''";
    const std::string commands = "source " + script("bash") + "; COMP_LINE=" + shell_quoted(line) +
                                 "; COMP_POINT=${#COMP_LINE}; COMP_WORDS=(" + words +
                                 "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _teal; echo \"${COMPREPLY[*]}\"";
    result = run_command(environment() + "bash --norc -c " + shell_quoted(commands)).out;
    if (result.ends_with('\n')) result.pop_back();
    return result;
  }

  std::string fish(const std::string& line) const {
    std::string words;
    std::istringstream lines(
        run_command(environment() + "fish --no-config -c " +
                    shell_quoted("source " + script("fish") + "; complete -C " + shell_quoted(line)))
            .out);
    for (std::string word; std::getline(lines, word);)
      words += (words.empty() ? "" : " ") + word.substr(0, word.find('\t'));
    return words;
  }
};

TEST_F(Completion, WordsOfTheDaemonComeFromASummaryAndFailSilently) {
  const auto services = teal({"completion", "--words", "services"});
  EXPECT_EQ(services.out, "service-a\nservice-b\n");
  EXPECT_EQ(daemon_->last_request(), "GET /v1/services?view=summary");
  EXPECT_EQ(teal({"completion", "--words", "groups"}).out, "shop\n");
  EXPECT_TRUE(
      teal({"completion", "--words", "backends"}).out.starts_with("service-a/blue/198.18.2.11:8080\n"));
  daemon_->answer("GET /v1/services?view=summary", Answer{.body = "{}"});
  daemon_->answer("GET /v1/services", Answer{.way = Answer::Way::kNever});
  for (const char* what : {"services", "backends"}) {
    const auto broken = teal({"completion", "--words", what});
    EXPECT_EQ(broken.exit_code, 0);
    EXPECT_EQ(broken.out + broken.err, "");
  }
  daemon_.reset();
  const auto alone = teal({"completion", "--words", "services"});
  EXPECT_EQ(alone.exit_code, 0);
  EXPECT_EQ(alone.out + alone.err, "");
}

TEST_F(Completion, BashKnowsVerbsOptionsAndValues) {
  EXPECT_EQ(bash("teal fl"), "flows flip");
  EXPECT_EQ(bash("teal backend "), "list set");
  EXPECT_EQ(bash("teal -o "), "json table");
  EXPECT_EQ(bash("teal flip --"),
            "--to --group --wait --if-generation --reason --dry-run --output --socket "
            "--timeout --help");
  EXPECT_EQ(bash("teal flip service-a --to "), "blue green");
  EXPECT_EQ(bash("teal flip service-a -t g"), "green");
  EXPECT_EQ(bash("teal flip service-a --to=b"), "blue");
  EXPECT_EQ(bash("teal wait x --for "), "drained healthy settled");
  EXPECT_EQ(bash("teal drain x --then r"), "reset");
  EXPECT_EQ(bash("teal completion "), "bash zsh fish");
  EXPECT_EQ(bash("teal help dr"), "drain");
  EXPECT_EQ(bash("teal drain x --timeout "), "");
  EXPECT_EQ(bash("teal -o json wait x --f"), "--for");
}

TEST_F(Completion, BashAsksTheDaemonForNames) {
  EXPECT_EQ(bash("teal flip "), "service-a service-b");
  EXPECT_EQ(bash("teal flip service-a --reason because service-"), "service-a service-b");
  EXPECT_EQ(bash("teal flip --group "), "shop");
  // Readline replaces what is behind the last colon only.
  EXPECT_EQ(bash("teal backend set service-a/blue/198.18.2.1"),
            "service-a/blue/198.18.2.11:8080 service-a/blue/198.18.2.12:8080");
  EXPECT_EQ(bash("teal backend set service-a/blue/198.18.2.11:"), "8080");
  EXPECT_EQ(bash("teal backend set service-b/blue/[fd18:2:"), ":11]:8080");
  EXPECT_EQ(bash("teal backend set service-a/blue/198.18.2.11:8080 "), "ready drain maint");
  const auto other = directory_.file("other.sock");
  FakeDaemon elsewhere(other);
  auto summary = summary_answer();
  summary["services"][0]["name"] = "of-another-daemon";
  elsewhere.answer("GET /v1/services?view=summary", summary);
  EXPECT_EQ(bash("teal --socket " + other + " status of"), "of-another-daemon");
  daemon_.reset();
  EXPECT_EQ(bash("teal flip "), "") << "no daemon: no names, and no noise";
}

TEST_F(Completion, BashCompletesFiles) {
  std::ofstream(directory_.file("a.toml")) << "\n";
  EXPECT_EQ(bash("teal check " + directory_.file("a.t")), directory_.file("a.toml"));
}

TEST_F(Completion, ZshTakesTheScript) {
  if (!program_is_here("zsh")) GTEST_SKIP() << "zsh is not installed: its completion was not checked";
  const auto checked = run_command("zsh -f -n " + script("zsh"));
  EXPECT_EQ(checked.exit_code, 0);
  EXPECT_EQ(checked.out, "");
  const auto loaded =
      run_command("cd " + directory_.path() + " && zsh -f -c 'autoload -U compinit && compinit -u -d " +
                  directory_.file("dump") + " && source " + script("zsh") + " && echo $_comps[teal]'");
  EXPECT_EQ(loaded.out, "_teal\n");
}

TEST_F(Completion, FishCompletesByTheScript) {
  if (!program_is_here("fish")) GTEST_SKIP() << "fish is not installed: its completion was not checked";
  const auto checked = run_command("HOME=" + directory_.path() + " fish -n " + script("fish"));
  EXPECT_EQ(checked.exit_code, 0);
  EXPECT_EQ(checked.out, "");
  EXPECT_EQ(fish("teal fli"), "flip");
  EXPECT_EQ(fish("teal backend "), "list set");
  EXPECT_EQ(fish("teal flip service-a --to "), "blue green");
  EXPECT_EQ(fish("teal flip --reason because "), "service-a service-b");
  EXPECT_EQ(fish("teal flip --group "), "shop");
  EXPECT_EQ(fish("teal backend set x "), "drain maint ready");
  EXPECT_EQ(fish("teal wait x --for "), "drained healthy settled");
  EXPECT_EQ(fish("teal -o "), "json table");
  daemon_.reset();
  EXPECT_EQ(fish("teal flip "), "");
}

}  // namespace
}  // namespace teal::cli
