// SPDX-License-Identifier: Apache-2.0
//
// Wrong usage, help, and the man pages.
#include <fstream>

#include "control/cli/help.h"
#include "control/cli/verb_table.h"
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

TEST_F(CliTest, WrongUsageIsExitCode2WithAHint) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "a verb is missing"},
      {{"filp"}, "did you mean \"flip\"?"},
      {{"--sokcet", "x", "list"}, "did you mean \"--socket\"?"},
      {{"list", "--ouput=json"}, "did you mean \"--output\"?"},
      {{"list", "-x"}, "teal list: unknown option \"-x\""},
      {{"list", "extra"}, "unexpected argument \"extra\""},
      {{"list", "-o", "jsn"}, "did you mean \"json\"?"},
      {{"list", "-o"}, "option --output needs a value"},
      {{"list", "--timeout", "soon"}, "--timeout is \"soon\"; expected a time"},
      {{"flip", "a", "--to", "bleu"}, "did you mean \"blue\"?"},
      {{"flip", "a", "--to", "teal"}, "--to is \"teal\"; expected blue or green"},
      {{"flip", "a"}, "--to COLOUR is missing"},
      {{"flip", "--to", "blue"}, "SERVICE... or --group GROUP is missing"},
      {{"flip", "a", "--group", "g", "--to", "blue"}, "expected only one of them"},
      {{"flip", "a", "--to", "blue", "--if-generation", "-3"}, "--if-generation is \"-3\""},
      {{"flip", "a", "--to", "blue", "--if-generation", "3x"}, "--if-generation is \"3x\""},
      {{"flip", "a", "--to", "blue", "--wait", "--timeout", "x"}, "--timeout is \"x\""},
      {{"rollback", "a", "--to", "blue"}, "unknown option \"--to\""},
      {{"rollback"}, "is missing"},
      {{"rollback", "--to-generation", "0"}, "--to-generation is \"0\""},
      {{"flows", "--limit", "0"}, "--limit is \"0\""},
      {{"flows", "--colour", "gren"}, "did you mean \"green\"?"},
      {{"status", "--interval", "2s"}, "--interval needs --watch"},
      {{"status", "--count", "2"}, "--count needs --watch"},
      {{"status", "--watch=yes"}, "takes no value"},
      {{"drain"}, "SERVICE... or --group GROUP is missing"},
      {{"drain", "a", "--then", "rest"}, "did you mean \"reset\"?"},
      {{"drain", "a", "--timeout", "200h"}, "up to 168h"},
      {{"drain", "a", "--dry-run"}, "--dry-run needs --timeout or --then"},
      {{"--timeout", "2s", "drain", "a"}, "--timeout is before \"drain\""},
      {{"--timeout=2s", "wait", "a", "--for", "drained"}, "--timeout is before \"wait\""},
      {{"wait", "a"}, "--for CONDITION is missing"},
      {{"wait", "a", "--for", "drain"}, "did you mean \"drained\"?"},
      {{"wait", "--for", "drained"}, "SERVICE... or --group GROUP is missing"},
      {{"backend"}, "teal backend needs a command: list or set\n"},
      {{"backend", "st"}, "did you mean \"backend set\"?"},
      {{"backend", "set"}, "BACKEND is missing"},
      {{"backend", "set", "a/blue/x:1"}, "needs a state, a weight, or both"},
      {{"backend", "set", "a/blue", "ready"}, "expected SERVICE/COLOUR/ADDRESS"},
      {{"backend", "set", "a/bleu/x:1", "ready"}, "did you mean \"blue\"?"},
      {{"backend", "set", "a/blue/x:1", "main"}, "did you mean \"maint\"?"},
      {{"backend", "set", "a/blue/x:1", "--weight", "1001"}, "--weight is \"1001\""},
      {{"lock"}, "--reason TEXT is missing"},
      {{"history", "-n", "0"}, "--limit is \"0\""},
      {{"events", "--since", "x"}, "--since is \"x\""},
      {{"completion"}, "teal completion needs a shell: bash, zsh or fish"},
      {{"completion", "bash", "x"}, "unexpected argument \"x\""},
      {{"completion", "tcsh"}, "the shells are bash, zsh and fish"},
      {{"help", "flp"}, "did you mean \"flip\"?"},
      {{"--socket", std::string(200, 'x'), "list"}, "is not a path of a socket"},
  };
  for (const auto& [words, part] : cases) {
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 2) << part;
    EXPECT_TRUE(contains(result.err, part)) << part << "\nin: " << result.err;
    EXPECT_EQ(result.out, "") << part;
  }
  EXPECT_EQ(daemon_->last_request(), "") << "nothing was sent";
}

TEST_F(CliTest, HelpNamesEveryVerbAndFits80Columns) {
  for (const auto& words : {std::vector<std::string>{"help"}, {"--help"}, {"-h"}}) {
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 0);
    for (const auto& verb : verbs())
      EXPECT_TRUE(contains(result.out, "\n  " + std::string(verb.name) + " ")) << verb.name;
    expect_80_columns(result.out);
  }
  for (const auto& verb : verbs()) {
    std::vector<std::string> words;
    for (const auto word : split(verb.name, ' ')) words.emplace_back(word);
    auto asked = words, of_help = words;
    asked.push_back("--help");
    of_help.insert(of_help.begin(), "help");
    const auto help = teal(asked);
    EXPECT_EQ(help.exit_code, 0) << verb.name;
    EXPECT_EQ(help.out, teal(of_help).out);
    EXPECT_TRUE(help.out.starts_with("usage: teal " + std::string(verb.name)));
    for (const auto& option : verb.own_options())
      EXPECT_EQ(contains(help.out, "--" + std::string(option.name)), !option.hidden) << option.name;
    expect_80_columns(help.out);
  }
}

TEST_F(CliTest, HelpOfAFamilyOfVerbsNamesItsMembers) {
  const auto help = teal({"backend", "--help"});
  EXPECT_EQ(help.exit_code, 0) << help.err;
  EXPECT_EQ(help.out, teal({"help", "backend"}).out);
  EXPECT_TRUE(contains(help.out, "usage: teal backend set SERVICE/COLOUR/ADDRESS [ready|drain|maint]"));
  EXPECT_TRUE(contains(help.out, "usage: teal backend list"));
}

TEST_F(CliTest, EveryVerbThatChangesTakesTheOptionsOfAChange) {
  for (const char* name : {"flip", "rollback", "drain", "backend set", "reload", "lock", "unlock"}) {
    const auto verb = verb_named(name);
    ASSERT_TRUE(verb) << name;
    EXPECT_TRUE((*verb)->changes) << name;
    EXPECT_TRUE(contains(help_text(**verb), "--dry-run")) << name;
    EXPECT_TRUE(contains(help_text(**verb), "--if-generation N")) << name;
  }
}

TEST_F(CliTest, HelpOfRollbackSaysWhatAGroupUndoes) {
  EXPECT_TRUE(contains(teal({"help", "rollback"}).out, "undoes its own latest flip"));
}

TEST_F(CliTest, HelpOfBackendsSaysWhichStateResetsFlows) {
  EXPECT_TRUE(contains(teal({"help", "backend", "set"}).out, "its flows are RESET"));
}

TEST_F(CliTest, OptionsMayStandAnywhereAndInEachForm) {
  for (const auto& words : {std::vector<std::string>{"-o", "json", "list"},
                            {"list", "-ojson"},
                            {"list", "--output=json"},
                            {"--output", "json", "--timeout", "2s", "list"}}) {
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(json::parse(result.out), summary_answer());
  }
  EXPECT_EQ(teal({"backend", "-o", "json", "list"}).out, teal({"-ojson", "backend", "list"}).out);
}

// ---- man pages ----

class ManPages : public CliTest {
 protected:
  // Returns mandoc(1)'s warnings and errors about the page.
  static std::string complaints(const std::string& path) {
    return run_command("mandoc -T lint -W warning " + path).out;
  }
};

TEST_F(ManPages, TheOneFromTheVerbTableHasEveryVerbAndOption) {
  const auto page = teal({"help", "--man"}).out;
  EXPECT_TRUE(contains(page, ".Dt TEAL 1\n"));
  for (const auto& verb : verbs()) {
    EXPECT_TRUE(contains(page, "\n.It Cm " + std::string(verb.name))) << verb.name;
    for (const auto& option : verb.options) {
      std::string name;
      for (const char c : option.name) name += c == '-' ? std::string("\\-") : std::string(1, c);
      const std::string flag = "Fl \\-" + name;  // not the beginning of another one's name
      EXPECT_EQ(contains(page, flag + "\n") || contains(page, flag + " "), !option.hidden) << option.name;
    }
  }
}

TEST_F(ManPages, MandocHasNothingToComplainOf) {
  if (!program_is_here("mandoc")) GTEST_SKIP() << "mandoc is not installed: the man pages were not checked";
  const std::string generated = directory_.file("teal.1");
  std::ofstream(generated) << teal({"help", "--man"}).out;
  EXPECT_EQ(complaints(generated), "");
  for (const char* page : {"teald.8", "teal-dataplane.8", "teal.toml.5"})
    EXPECT_EQ(complaints(std::string(TEAL_MAN_DIR) + "/" + page), "") << page;
}

TEST_F(ManPages, TheExampleOfTheConfigIsOne) {
  std::ifstream page(std::string(TEAL_MAN_DIR) + "/teal.toml.5");
  std::ofstream config(directory_.file("teal.toml"));
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line == ".Ed") inside = false;
    if (inside) config << (line.find("group = \"teal\"") == std::string::npos ? line : "") << "\n";
    if (line.starts_with(".Bd -literal")) inside = true;
  }
  config.close();
  const auto result =
      teal({"check", directory_.file("teal.toml")});  // without the group, which a host may lack
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "2 workers, 2 ports, 1 service, 1 group, 3 backends"));
}

}  // namespace
}  // namespace teal::cli
