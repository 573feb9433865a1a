// SPDX-License-Identifier: Apache-2.0
//
// Tests of the completion scripts in their shells: offered.SHELL loads a script into its shell and prints
// what the shell offers. TEAL_PROGRAM is the program that was built, and the daemon is the fixture's.
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

std::string quoted(const std::string& text) {  // for sh
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

struct Expected {
  std::string line;     // is typed before the Tab key
  std::string offered;  // sorted
};

class Completion : public CliTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (!program_is_here(GetParam()))
      GTEST_SKIP() << GetParam() << " is not installed: its completion was not checked";
    std::ofstream(script_) << teal({"completion", GetParam()}).out;
  }

  void expect_offers(const std::vector<Expected>& expected) const {
    const std::string shell = GetParam(), program = TEAL_PROGRAM;
    std::string command = "cd " + directory_.path() + " && PATH=" + program.substr(0, program.rfind('/')) +
                          ":$PATH TEAL_SOCKET=" + socket_ + " HOME=" + directory_.path() + " " + shell +
                          (shell == "fish"  ? " --no-config "
                           : shell == "zsh" ? " -f "
                                            : " --norc ") +
                          TEAL_CLI_TESTS_DIR "/offered." + shell + " " + script_;
    for (const auto& [line, offered] : expected) command += " " + quoted(line);
    const auto result = run_command(command);
    EXPECT_EQ(result.exit_code, 0);
    std::istringstream lines(result.out);
    for (const auto& [line, offered] : expected) {
      std::string words;
      std::getline(lines, words);
      EXPECT_EQ(words, offered) << shell << ", after: " << line;
    }
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(lines), {}), "");
  }

  std::string script_ = directory_.file("completion");
};

INSTANTIATE_TEST_SUITE_P(Shells, Completion, testing::Values("bash", "zsh", "fish"),
                         [](const auto& shell) { return shell.param; });

TEST_P(Completion, OffersVerbsOptionsAndValues) {
  expect_offers(
      {{"teal fl", "flip flows"},
       {"teal xyz", ""},
       {"teal xyz ", ""},
       {"teal backend ", "list set"},
       {"teal --so", "--socket"},
       {"teal flip --",
        "--dry-run --force --group --help --if-generation --if-revision --now --output --reason --request-id "
        "--socket --timeout --to --wait"},
       {"teal flip --to ", "blue green"},
       {"teal flip service-a -t g", "green"},
       {"teal -o ", "json table"},
       {"teal wait x --for ", "drained healthy rolled-out settled"},
       {"teal -o json wait x --f", "--for"},
       {"teal drain x --then r", "reset"},
       {"teal drain x --timeout ", ""},
       {"teal completion ", "bash fish zsh"},
       {"teal completion bash ", ""},
       {"teal help dr", "drain"},
       {"teal list ", ""}});
}

TEST_P(Completion, OffersNamesThatTheDaemonKnows) {
  const auto other = directory_.file("other.sock");
  FakeDaemon elsewhere(other);
  auto summary = summary_answer();
  summary["services"][0]["name"] = "of-another-daemon";
  elsewhere.answer("GET /v1/services?view=summary", summary);
  expect_offers(
      {{"teal flip ", "service-a service-b"},
       {"teal flip service-a --reason 'release 42' service-", "service-a service-b"},
       {"teal flip --group ", "shop"},
       {"teal backend set service-a/blue/198.18.2.1",
        "service-a/blue/198.18.2.11:8080 service-a/blue/198.18.2.12:8080"},
       {"teal backend set --reason 'new disk' service-a/blue/198.18.2.11:8080 ", "drain maint ready"},
       {"teal --socket " + other + " status of", "of-another-daemon"},
       {"teal --socket=" + other + " status of", "of-another-daemon"}});
}

TEST_P(Completion, OffersNothingAndPrintsNothingWithoutADaemon) {
  daemon_.reset();
  expect_offers({{"teal flip ", ""}, {"teal flip --to ", "blue green"}});
}

TEST_P(Completion, OffersFiles) {
  std::ofstream(directory_.file("a.toml")) << "\n";
  std::ofstream(directory_.file("b.toml")) << "\n";
  expect_offers({{"teal check a.", "a.toml"}, {"teal --socket b.", "b.toml"}});
}

TEST_P(Completion, ContinuesAWordBehindAnEqualsSignOrAColon) {
  // bash replaces only what follows the sign, the others the whole word.
  const bool part = std::string(GetParam()) == "bash";
  expect_offers(
      {{"teal flip service-a --to=b", part ? "blue" : "--to=blue"},
       {"teal flip service-a --to=", part ? "blue green" : "--to=blue --to=green"},
       {"teal backend set service-a/blue/198.18.2.11:", part ? "8080" : "service-a/blue/198.18.2.11:8080"},
       {"teal backend set service-a/green/198.18.2.21:80",
        part ? "8080" : "service-a/green/198.18.2.21:8080"}});
}

class InstalledCompletion : public Completion {
 protected:
  InstalledCompletion() { script_ = directory_.file("_teal"); }  // offered.zsh puts its folder into $fpath
};

INSTANTIATE_TEST_SUITE_P(Shells, InstalledCompletion, testing::Values("zsh"),
                         [](const auto& shell) { return shell.param; });

TEST_P(InstalledCompletion, IsFoundByItsName) {
  expect_offers({{"teal flip ", "service-a service-b"}, {"teal flip --to ", "blue green"}});
}

TEST_F(CliTest, OfferAsksForASummaryAndFailsSilently) {
  const auto offered = [this](const std::string& verb) {
    return teal({"completion", "--offer", "--", "wait", verb, ""});
  };
  const auto services = offered("x");
  EXPECT_EQ(services.out, "service-a\nservice-b\n");
  EXPECT_EQ(daemon_->last_request(), "GET /v1/services?view=summary");
  EXPECT_TRUE(teal({"completion", "--offer", "--", "backend", "set", ""})
                  .out.starts_with("service-a/blue/198.18.2.11:8080\n"));
  EXPECT_TRUE(contains(teal({"completion", "--offer", "--", ""}).out, "\nflip\tsend new flows to"));
  daemon_->answer("GET /v1/services?view=summary", Answer{.body = "{}"});
  daemon_->answer("GET /v1/services", Answer{.way = Answer::Way::kNever});
  for (const std::vector<std::string>& words : {std::vector<std::string>{"wait", ""},
                                                {"backend", "set", ""},
                                                {"wait", "--for="},
                                                {"wait", "--none=", ""}}) {
    std::vector<std::string> all = {"completion", "--offer", "--"};
    all.insert(all.end(), words.begin(), words.end());
    const auto broken = teal(all);
    EXPECT_EQ(broken.exit_code, 0);
    EXPECT_EQ(broken.err, "");
  }
}

}  // namespace
}  // namespace teal::cli
