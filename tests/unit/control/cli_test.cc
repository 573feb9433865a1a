// SPDX-License-Identifier: Apache-2.0
//
// The command line as a user meets it: words in, output and exit code out, against a small daemon on a unix
// socket that answers from a table.
#include <utility>  // before Asio 1.74, which forgets it in C++20

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/cli/change.h"
#include "control/cli/nearest.h"
#include "control/cli/table.h"
#include "control/cli/verb.h"

namespace teal::cli {
namespace {

namespace http = boost::beast::http;
using nlohmann::json;
using Protocol = boost::asio::local::stream_protocol;

std::string make_directory() {
  char path[] = "/tmp/teal-cli-test-XXXXXX";
  if (mkdtemp(path) == nullptr) std::abort();
  return path;
}

struct Answer {
  unsigned status = 200;
  std::string body;
  enum class Way { kWhole, kNever, kCut, kNoHttp } way = Way::kWhole;
};

class FakeDaemon {
 public:
  explicit FakeDaemon(const std::string& path)
      : acceptor_(io_, Protocol::endpoint(path)), thread_([this] { serve(); }) {}
  ~FakeDaemon() {
    stopping_ = true;
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);  // wakes accept()
    thread_.join();
  }

  void answer(const std::string& request, Answer answer) {
    const std::lock_guard lock(mutex_);
    answers_[request] = std::move(answer);
  }
  void answer(const std::string& request, const json& body, unsigned status = 200) {
    answer(request, Answer{.status = status, .body = body.dump()});
  }
  std::string last_request() {
    const std::lock_guard lock(mutex_);
    return last_request_;
  }
  json last_body() {
    const std::lock_guard lock(mutex_);
    return json::parse(last_body_);
  }

 private:
  void serve() {
    while (!stopping_) {
      boost::system::error_code error;
      Protocol::socket socket(io_);
      acceptor_.accept(socket, error);
      if (!error) exchange(socket);
    }
  }
  void exchange(Protocol::socket& socket) {
    boost::system::error_code error;
    boost::beast::flat_buffer buffer;
    http::request<http::string_body> request;
    http::read(socket, buffer, request, error);
    if (error) return;
    Answer answer{.status = 404,
                  .body = R"({"error":{"code":"unknown_path","message":"not in the test's table"}})"};
    {
      const std::lock_guard lock(mutex_);
      last_request_ = std::string(request.method_string()) + " " + std::string(request.target());
      last_body_ = request.body();
      if (const auto found = answers_.find(last_request_); found != answers_.end()) answer = found->second;
    }
    if (answer.way == Answer::Way::kNever) {
      char byte;
      [[maybe_unused]] const auto end =
          ::read(socket.native_handle(), &byte, 1);  // until the client gives up
      return;
    }
    if (answer.way == Answer::Way::kNoHttp) {
      boost::asio::write(socket, boost::asio::buffer(answer.body), error);
      return;
    }
    http::response<http::string_body> response(http::status(answer.status), 11);
    response.set(http::field::content_type, "application/json");
    response.body() = answer.body;
    response.prepare_payload();
    if (answer.way == Answer::Way::kCut) response.content_length(answer.body.size() + 100);
    http::write(socket, response, error);
  }

  boost::asio::io_context io_;
  Protocol::acceptor acceptor_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::map<std::string, Answer> answers_;
  std::string last_request_, last_body_;
  std::thread thread_;  // last: it uses the others
};

json backend(const char* address, int flows, const char* next_hop = "resolved") {
  return {{"address", address}, {"id", 0},      {"weight", 1},
          {"flows", flows},     {"closing", 0}, {"next_hop", next_hop}};
}
json pool(int flows, int begun, const std::vector<json>& backends) {
  return {{"flows", flows}, {"closing", 3}, {"new_flows", begun}, {"backends", backends}};
}
json services_answer() {
  json a = {{"name", "service-a"},
            {"id", 0},
            {"vip", "198.18.0.10:80"},
            {"protocol", "tcp"},
            {"active", "green"},
            {"previous", "blue"},
            {"generation_of_flip", 11},
            {"flipped_at", "2026-11-23T05:30:00.123Z"},
            {"file_active", "blue"},
            {"colours",
             {{"blue", pool(198, 1234, {backend("198.18.2.11:8080", 100), backend("198.18.2.12:8080", 98)})},
              {"green", pool(20, 20, {backend("198.18.2.21:8080", 20, "unresolved")})}}},
            {"draining", {{"colour", "blue"}, {"flows", 198}, {"backends", 2}}}};
  json b = {{"name", "service-b"},
            {"id", 1},
            {"vip", "[fd18:0::10]:80"},
            {"protocol", "tcp"},
            {"active", "blue"},
            {"previous", nullptr},
            {"generation_of_flip", 0},
            {"flipped_at", nullptr},
            {"file_active", "blue"},
            {"colours",
             {{"blue", pool(5, 7, {backend("[fd18:2::11]:8080", 5)})},
              {"green", pool(0, 0, {backend("[fd18:2::21]:8080", 0)})}}},
            {"draining", nullptr}};
  return {{"generation", 12},
          {"dataplane",
           {{"running", true},
            {"pid", 77},
            {"workers", 2},
            {"adopted_generation", 12},
            {"flow_capacity", 1000000},
            {"flow_entries", 223}}},
          {"services", {a, b}},
          {"groups", {{{"name", "shop"}, {"services", {"service-a", "service-b"}}}}}};
}
json flip_answer() {
  return {{"generation", 13},
          {"changed",
           {{{"service", "service-a"}, {"from", "blue"}, {"to", "green"}},
            {{"service", "service-b"}, {"from", "blue"}, {"to", "green"}}}},
          {"unchanged", json::array()},
          {"workers", {{"live", 2}, {"adopted", 2}, {"asleep", 0}}},
          {"slowest_us", 3.14},
          {"dataplane_running", true},
          {"warnings", json::array()}};
}
json error_answer(const char* code, const char* message, const char* hint = "") {
  return {{"error", {{"code", code}, {"message", message}, {"hint", hint}}}};
}

struct Result {
  int exit_code;
  std::string out;
  std::string err;
};

class CliTest : public testing::Test {
 protected:
  CliTest()
      : directory_(make_directory()),
        socket_(directory_ + "/control.sock"),
        daemon_(std::make_unique<FakeDaemon>(socket_)) {
    daemon_->answer("GET /v1/services", services_answer());
    daemon_->answer("POST /v1/flip", flip_answer());
    daemon_->answer("POST /v1/rollback", flip_answer());
  }
  ~CliTest() override {
    daemon_.reset();
    [[maybe_unused]] const int status = std::system(("rm -r " + directory_).c_str());
  }

  Result teal(const std::vector<std::string>& words) {
    std::ostringstream out, err;
    Surroundings around{
        .out = out, .err = err, .socket = socket_, .pause = [this](auto) { return --pages_ > 0; }};
    const int exit_code = run(words, around);
    return {exit_code, out.str(), err.str()};
  }
  void expect_80_columns(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }

  std::string directory_, socket_;
  std::unique_ptr<FakeDaemon> daemon_;
  int pages_ = 1;  // of --watch
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// ---- the pure parts ----

TEST(Table, AlignsAndLeavesNoTrailingSpaces) {
  const Table table{.columns = {{"NAME"}, {"COUNT", kRight}, {"NOTE"}},
                    .rows = {{"a", "1", ""}, {"long-name", "1234567", "x"}}};
  EXPECT_EQ(table.text(80, false),
            "NAME         COUNT  NOTE\n"
            "a                1\n"
            "long-name  1234567  x\n");
}

TEST(Table, WrapsTheWidestColumnAndCutsNothing) {
  const Table table{.columns = {{"NAME", kLeft, true}, {"N", kRight}, {"TEXT", kLeft, true}},
                    .rows = {{"abcdefghijklmnop", "12345", "some words that are long"}}};
  EXPECT_EQ(table.text(32, false),
            "NAME             N  TEXT\n"
            "abcdefghijk  12345  some words\n"
            "lmnop               that are\n"
            "                    long\n");
}

TEST(Table, BreaksAnAddressBeforeItsPort) {
  const Table table{.columns = {{"CLIENT", kLeft, true}}, .rows = {{"198.18.1.101:40000"}}};
  EXPECT_EQ(table.text(17, false), "CLIENT\n198.18.1.101\n:40000\n");
}

TEST(Table, ColoursOnlyWhereAsked) {
  const Table table{.columns = {{"C"}}, .rows = {{{"blue", style_of("blue")}}}};
  EXPECT_EQ(table.text(80, false), "C\nblue\n");
  EXPECT_EQ(table.text(80, true), "\033[1mC\033[0m\n\033[34mblue\033[0m\n");
}

TEST(Nearest, FindsSlipsOfTheFinger) {
  const std::string_view verbs[] = {"list", "status", "stats", "flip", "flows", "rollback"};
  EXPECT_EQ(nearest("filp", verbs), "flip");
  EXPECT_EQ(nearest("rolback", verbs), "rollback");
  EXPECT_EQ(nearest("roll", verbs), "rollback");
  EXPECT_EQ(nearest("statsu", verbs), "status");
  EXPECT_EQ(nearest("xyzzy", verbs), "");
  EXPECT_EQ(edit_distance("bleu", "blue"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
}

TEST(Duration, TakesUnitsAndSeconds) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(parse_duration("1m30s"), milliseconds(90'000));
  EXPECT_EQ(parse_duration("2"), milliseconds(2000));
  EXPECT_EQ(parse_duration("0.5"), milliseconds(500));
  for (const char* bad : {"", "0", "-1", "s", "1x", "25h", "nan", "inf", "1e400", "90000"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Failure, MapsTheCodesOfTheApi) {
  const std::pair<const char*, int> expected[] = {
      {"bad_request", 1},     {"unknown_service", 1},    {"unknown_group", 1},
      {"unknown_path", 1},    {"method_not_allowed", 1}, {"nothing_to_roll_back", 1},
      {"storage", 1},         {"conflict", 5},           {"refused", 3},
      {"adoption_timeout", 4}};
  for (const auto& [code, exit_code] : expected) {
    EXPECT_EQ(failure_of_reply(400, error_answer(code, "m")).exit_code, exit_code) << code;
  }
  EXPECT_EQ(failure_of_reply(500, json::array()).exit_code, kError);
  EXPECT_EQ(failure_of_reply(500, {{"error", 5}}).exit_code, kError);
  EXPECT_EQ(failure_of_reply(500, nullptr).exit_code, kError);
}

TEST(ChangeSentence, CoversEveryAnswer) {
  auto reply = flip_answer();
  EXPECT_EQ(change_sentence(reply, false),
            "generation 13: service-a, service-b blue -> green; adopted by 2 of 2 workers, slowest 3.1 us\n");
  reply["changed"][1] = {{"service", "service-b"}, {"from", "green"}, {"to", "blue"}};
  reply["workers"] = {{"live", 1}, {"adopted", 1}, {"asleep", 1}};
  reply["slowest_us"] = nullptr;
  reply["unchanged"] = {"service-c"};
  EXPECT_EQ(
      change_sentence(reply, false),
      "generation 13: service-a blue -> green, service-b green -> blue; adopted by 1 of 1 worker (1 asleep)\n"
      "unchanged: service-c\n");
  reply["dataplane_running"] = false;
  EXPECT_TRUE(contains(change_sentence(reply, false),
                       "; no dataplane is running, it will start with this generation\n"));
  reply["changed"] = json::array();
  EXPECT_EQ(change_sentence(reply, false), "generation 13: nothing to change, service-c is already there\n");
  for (int i = 0; i < 9; ++i)
    reply["changed"].push_back({{"service", "s" + std::to_string(i)}, {"from", "blue"}, {"to", "green"}});
  EXPECT_TRUE(contains(change_sentence(reply, false), "generation 13: 9 services blue -> green;"));
}

// ---- usage ----

TEST_F(CliTest, WrongUsageIsExitCode2WithAHint) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "a verb is missing"},
      {{"filp"}, "did you mean \"flip\"?"},
      {{"--sokcet", "x", "list"}, "did you mean \"--socket\"?"},
      {{"list", "--ouput=json"}, "did you mean \"--output\"?"},
      {{"list", "-x"}, "unknown option \"-x\""},
      {{"list", "extra"}, "unexpected argument \"extra\""},
      {{"list", "-o", "jsn"}, "did you mean \"json\"?"},
      {{"list", "-o"}, "option --output needs a value"},
      {{"list", "--timeout", "soon"}, "--timeout is \"soon\""},
      {{"flip", "a", "--to", "bleu"}, "did you mean \"blue\"?"},
      {{"flip", "a", "--to", "teal"}, "the colours are blue and green"},
      {{"flip", "a"}, "--to COLOUR is missing"},
      {{"flip", "--to", "blue"}, "SERVICE... or --group GROUP is missing"},
      {{"flip", "a", "--group", "g", "--to", "blue"}, "not both"},
      {{"flip", "a", "--to", "blue", "--if-generation", "-3"}, "--if-generation is \"-3\""},
      {{"flip", "a", "--to", "blue", "--if-generation", "3x"}, "--if-generation is \"3x\""},
      {{"rollback", "a", "--to", "blue"}, "unknown option \"--to\""},
      {{"rollback"}, "is missing"},
      {{"flows", "--limit", "0"}, "--limit is \"0\""},
      {{"flows", "--colour", "gren"}, "did you mean \"green\"?"},
      {{"status", "--interval", "2s"}, "--interval goes with --watch"},
      {{"status", "--watch=yes"}, "takes no value"},
      {{"help", "flp"}, "did you mean \"flip\"?"},
      {{"--socket", std::string(200, 'x'), "list"}, "cannot be a socket's path"},
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
    const auto help = teal({std::string(verb.name), "--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_EQ(help.out, teal({"help", std::string(verb.name)}).out);
    EXPECT_TRUE(help.out.starts_with("usage: teal " + std::string(verb.name)));
    for (const auto& option : verb.options) EXPECT_TRUE(contains(help.out, "--" + std::string(option.name)));
    expect_80_columns(help.out);
  }
}

TEST_F(CliTest, OptionsMayStandAnywhereAndInEachForm) {
  for (const auto& words : {std::vector<std::string>{"-o", "json", "list"},
                            {"list", "-ojson"},
                            {"list", "--output=json"},
                            {"--output", "json", "--timeout", "2s", "list"}}) {
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(json::parse(result.out), services_answer());
  }
}

// ---- the verbs ----

TEST_F(CliTest, ListShowsServices) {
  const auto result = teal({"list"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out,
            "SERVICE    VIP              PROTOCOL  ACTIVE  BLUE  GREEN  GROUPS\n"
            "service-a  198.18.0.10:80   tcp       green      2      1  shop\n"
            "service-b  [fd18:0::10]:80  tcp       blue       1      1  shop\n");
}

TEST_F(CliTest, StatusShowsFlowsByColourAndBackendAndWhatDrains) {
  const auto result = teal({"status"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out,
            "generation 12; dataplane 77: 2 workers; 223 of 1000000 flow entries\n"
            "\n"
            "SERVICE    COLOUR  BACKEND              FLOWS  CLOSING  BEGUN  STATE\n"
            "service-a  blue    2 backends             198        3   1234  draining\n"
            "                     198.18.2.11:8080     100        0\n"
            "                     198.18.2.12:8080      98        0\n"
            "           green   1 backend               20        3     20  active\n"
            "                     198.18.2.21:8080      20        0         no next hop\n"
            "service-b  blue    1 backend                5        3      7  active\n"
            "                     [fd18:2::11]:8080      5        0\n"
            "           green   1 backend                0        3      0\n"
            "                     [fd18:2::21]:8080      0        0\n"
            "draining: service-a blue, 198 flows left on 2 backends\n"
            "note: service-a is green, the file says blue (for the first start only)\n");
}

TEST_F(CliTest, StatusOfOneServiceOnly) {
  const auto result = teal({"status", "service-a"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(contains(result.out, "service-a: 198.18.0.10:80 tcp, active green, before blue\n"));
  EXPECT_TRUE(contains(result.out, "flipped at 2026-11-23T05:30:00.123Z in generation 11\n"));
  EXPECT_FALSE(contains(result.out, "service-b"));
  EXPECT_EQ(json::parse(teal({"status", "service-b", "-o", "json"}).out)["services"].size(), 1u);

  const auto unknown = teal({"status", "service-x"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(unknown.err,
            "teal: no service \"service-x\"; there are: service-a, service-b\nhint: teal list\n");
}

TEST_F(CliTest, WatchPrintsPagesAndOutlivesARestartOfTheDaemon) {
  pages_ = 3;
  const auto text = teal({"status", "--watch", "--interval", "10ms"}).out;
  size_t pages = 0;
  for (size_t at = 0; (at = text.find("generation 12;", at)) != std::string::npos; ++at) ++pages;
  EXPECT_EQ(pages, 3u);
  EXPECT_FALSE(contains(text, "\033")) << "not a terminal";

  pages_ = 2;
  std::istringstream lines(teal({"status", "-w", "-o", "json"}).out);
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(json::parse(line), services_answer());

  std::ostringstream out, err;
  int pauses = 0;
  Surroundings around{.out = out, .err = err, .socket = socket_, .pause = [&](auto) {
                        daemon_.reset();
                        return ++pauses < 2;
                      }};
  const std::vector<std::string> words = {"status", "--watch"};
  EXPECT_EQ(run(words, around), 0);
  EXPECT_TRUE(contains(out.str(), "nobody listens on it (left by a daemon that is gone); trying again\n"));
}

TEST_F(CliTest, FlipSendsTheRequestAndTellsTheAnswer) {
  const auto result = teal(
      {"flip", "service-a", "service-b", "--to", "green", "--if-generation", "12", "--reason", "release 42"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out,
            "generation 13: service-a, service-b blue -> green; adopted by 2 of 2 workers, slowest 3.1 us\n");
  EXPECT_EQ(daemon_->last_request(), "POST /v1/flip");
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a", "service-b"}},
                                        {"to", "green"},
                                        {"if_generation", 12},
                                        {"reason", "release 42"}}));

  EXPECT_EQ(teal({"flip", "-g", "shop", "-t", "blue"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(), json({{"group", "shop"}, {"to", "blue"}}));
  EXPECT_EQ(teal({"rollback", "--group", "shop"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_request(), "POST /v1/rollback");
  EXPECT_EQ(daemon_->last_body(), json({{"group", "shop"}}));
}

TEST_F(CliTest, WarningsGoToStandardError) {
  auto reply = flip_answer();
  reply["warnings"] = {"the disk is full"};
  daemon_->answer("POST /v1/flip", reply);
  const auto result = teal({"flip", "service-a", "--to", "green"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "warning: the disk is full\n");
}

TEST_F(CliTest, ErrorsOfTheDaemonAreExitCodes) {
  const std::tuple<const char*, unsigned, int> cases[] = {
      {"bad_request", 400, 1}, {"unknown_service", 404, 1}, {"nothing_to_roll_back", 409, 1},
      {"conflict", 409, 5},    {"refused", 422, 3},         {"adoption_timeout", 504, 4},
      {"storage", 503, 1}};
  for (const auto& [code, status, exit_code] : cases) {
    daemon_->answer("POST /v1/flip", error_answer(code, "what is wrong", "what to try"), status);
    const auto text = teal({"flip", "x", "--to", "green"});
    EXPECT_EQ(text.exit_code, exit_code) << code;
    EXPECT_TRUE(text.err.starts_with("teal: what is wrong")) << text.err;
    EXPECT_TRUE(contains(text.err, "hint: what to try\n"));
    EXPECT_EQ(contains(text.err, "published, not undone"), exit_code == 4);
    const auto as_json = teal({"flip", "x", "--to", "green", "-o", "json"});
    EXPECT_EQ(as_json.exit_code, exit_code) << code;
    EXPECT_EQ(json::parse(as_json.out)["error"]["code"], code);
    EXPECT_EQ(as_json.err, "");
  }
  const auto usage = teal({"-o", "json", "flip"});
  EXPECT_EQ(usage.exit_code, 2);
  EXPECT_EQ(json::parse(usage.out)["error"]["code"], "usage");
}

TEST_F(CliTest, FlowsAsksAndShows) {
  daemon_->answer(
      "GET "
      "/v1/"
      "flows?limit=1&service=service-a&colour=blue&backend=%5Bfd18%3A2%3A%3A11%5D%3A8080&client=198.18.1.101",
      {{"flows",
        {{{"service", "service-a"},
          {"client", "198.18.1.101:40000"},
          {"backend", "198.18.2.11:8080"},
          {"colour", "blue"},
          {"state", "established"},
          {"birth_generation", 9},
          {"idle_seconds", 75.4}}}},
       {"matched", 1234},
       {"truncated", true}});
  const auto result = teal({"flows", "--service", "service-a", "--colour", "blue", "--backend",
                            "[fd18:2::11]:8080", "--client", "198.18.1.101", "--limit", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "SERVICE    CLIENT             COLOUR  BACKEND           STATE        BORN   IDLE\n"
            "service-a  198.18.1.101       blue    198.18.2.11:8080  established     9  1m15s\n"
            "           :40000\n"
            "1 of 1234 flows; --limit N shows more\n");
}

TEST_F(CliTest, StatsShowsWhatIsNotZeroWithItsMeaning) {
  const json one = {{"rx", 10}, {"tx", 9}, {"truncated", 0}}, two = {{"rx", 5}, {"tx", 5}, {"truncated", 1}};
  daemon_->answer(
      "GET /v1/counters",
      {{"workers",
        {{{"index", 0},
          {"adopted_generation", 12},
          {"state", "polling"},
          {"busy_ratio", 0.204},
          {"counters", one}},
         {{"index", 1},
          {"adopted_generation", 12},
          {"state", "asleep"},
          {"busy_ratio", 0},
          {"counters", two}}}},
       {"totals", {{"rx", 15}, {"tx", 14}, {"truncated", 1}, {"fragment", 0}, {"of_a_newer_daemon", 4}}}});
  const auto result = teal({"stats"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "WORKER  STATE     BUSY  GENERATION\n"
            "     0  polling  20.4%          12\n"
            "     1  asleep    0.0%          12\n"
            "\n"
            "COUNTER            TOTAL  MEANING\n"
            "rx                    15  packets received from the ports\n"
            "tx                    14  packets transmitted to clients and backends\n"
            "truncated              1  dropped: a header or the IP length goes beyond the\n"
            "                          frame\n"
            "of_a_newer_daemon      4\n"
            "\n"
            "COUNTER            WORKER 0  WORKER 1\n"
            "rx                       10         5\n"
            "tx                        9         5\n"
            "truncated                 0         1\n"
            "of_a_newer_daemon         0         0\n");
  EXPECT_TRUE(contains(teal({"stats", "--all"}).out, "\nfragment "));
}

TEST_F(CliTest, VersionWorksWithoutADaemon) {
  daemon_->answer("GET /v1/version", {{"version", "0.1.0"}, {"pid", 7}, {"uptime_seconds", 61.2}});
  EXPECT_EQ(teal({"version"}).out,
            "teal " TEAL_VERSION "\nteald 0.1.0 (pid 7, up 61 s) on " + socket_ + "\n");
  EXPECT_EQ(teal({"--version"}).exit_code, 0);
  daemon_.reset();
  const auto alone = teal({"version"});
  EXPECT_EQ(alone.exit_code, 0);
  EXPECT_TRUE(alone.out.starts_with("teal " TEAL_VERSION "\nteald: cannot reach the daemon on " + socket_));
  EXPECT_TRUE(json::parse(teal({"version", "-ojson"}).out)["teald"].is_null());
}

// ---- the client ----

TEST_F(CliTest, AnUnreachableDaemonIsExitCode7) {
  const auto missing = teal({"--socket", directory_ + "/none.sock", "list"});
  EXPECT_EQ(missing.exit_code, 7);
  EXPECT_EQ(missing.err,
            "teal: cannot reach the daemon on " + directory_ + "/none.sock: there is no such socket\n" +
                "hint: systemctl status teald; another instance: --socket PATH or TEAL_SOCKET\n");
  daemon_.reset();
  const auto dead = teal({"list"});
  EXPECT_EQ(dead.exit_code, 7);
  EXPECT_TRUE(contains(dead.err, "nobody listens on it"));
  const auto as_json = teal({"list", "-o", "json"});
  EXPECT_EQ(as_json.exit_code, 7);
  EXPECT_EQ(json::parse(as_json.out)["error"]["code"], "unreachable");
}

TEST_F(CliTest, NoAnswerEndsWithTheTimeoutAndSaysWhatIsNotKnown) {
  daemon_->answer("POST /v1/flip", Answer{.way = Answer::Way::kNever});
  const auto start = std::chrono::steady_clock::now();
  const auto result = teal({"flip", "service-a", "--to", "green", "--timeout", "100ms"});
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_TRUE(contains(
      result.err, "gave no answer within 100 ms (--timeout); whether the change was published is not known"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(CliTest, BrokenAnswersAreErrors) {
  const std::tuple<Answer, int, const char*> cases[] = {
      {{.body = R"({"generation":)", .way = Answer::Way::kCut},
       7,
       "closed the connection before it had answered"},
      {{.body = "what?\r\n\r\n", .way = Answer::Way::kNoHttp}, 7, "gave no HTTP answer"},
      {{.body = "not json"}, 1, "HTTP status 200"},
      {{.body = "[]"}, 1, "HTTP status 200"},
      {{.body = "{}"}, 1, "not of the expected form"},
      {{.body = R"({"services":[{"name":5}]})"}, 1, "not of the expected form"},
      {{.status = 500, .body = ""}, 1, "HTTP status 500"}};
  for (const auto& [answer, exit_code, part] : cases) {
    daemon_->answer("GET /v1/services", answer);
    const auto result = teal({"list"});
    EXPECT_EQ(result.exit_code, exit_code) << part;
    EXPECT_TRUE(contains(result.err, part)) << result.err;
  }
}

TEST_F(CliTest, CheckReadsBothPartsAndListsEveryError) {
  const std::string path = directory_ + "/teal.toml";
  const auto write = [&](const char* service) {
    std::ofstream(path)
        << "[dataplane]\nworkers = 1\n[[port]]\nname = \"front\"\ndevice = \"af_xdp:eth1\"\nside = \"both\"\n"
        << service;
  };
  write(
      "[[service]]\nname = \"a\"\nvip = \"198.18.0.10:80\"\nprotocol = \"tcp\"\nblue = "
      "[\"198.18.2.11:8080\"]\ngreen = [\"198.18.2.21:8080\"]\n");
  const auto good = teal({"check", path});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, path + ": no errors; 1 worker, 1 port, 1 service, 0 groups, 2 backends\n");
  EXPECT_EQ(json::parse(teal({"check", path, "-o", "json"}).out)["backends"], 2);

  write(
      "[[service]]\nname = \"a\"\nvip = \"198.18.0.10:70000\"\nprotocol = \"sctp\"\nblue = []\ngreen = "
      "[\"198.18.2.21:8080\"]\n");
  const auto bad = teal({"check", path});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_TRUE(contains(bad.err, path + ":9: service[0].vip: ")) << bad.err;
  EXPECT_TRUE(contains(bad.err, "service[0].protocol: "));
  EXPECT_GE(json::parse(teal({"check", path, "-o", "json"}).out)["error"]["details"].size(), 3u);
  EXPECT_EQ(teal({"check", directory_ + "/none.toml"}).exit_code, 1);
}

}  // namespace
}  // namespace teal::cli
