// SPDX-License-Identifier: Apache-2.0
//
// Checks against servers on loopback, also against bad ones. A case that has to wait for a timeout has one of
// 200 ms.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include "tests/support/time_wait.h"
#include "tests/unit/control/prober/backends.h"
#include "tests/unit/control/prober/run_check.h"

namespace teal {
namespace {

using namespace std::chrono_literals;
constexpr auto kShort = 200ms;

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

CheckOrder http(const TcpBackend& backend, const std::string& match = "",
                std::chrono::milliseconds timeout = 5s) {
  CheckOrder order = order_of(CheckKind::kHttp, backend.address(), timeout);
  order.check.match = match;
  return order;
}

// A port that nobody listens on: it is bound, so nobody else gets it.
class ClosedPort {
 public:
  explicit ClosedPort(int type) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~ClosedPort() { ::close(fd_); }
  const std::string& address() const { return address_; }
  int fd() const { return fd_; }

 private:
  const int fd_;
  std::string address_;
};

TEST(TcpCheck, PassesWhereAConnectionIsAccepted) {
  const TcpBackend backend(nullptr);
  EXPECT_EQ(run_check(order_of(CheckKind::kTcp, backend.address())), kPassed);
}

TEST(TcpCheck, SaysConnectionRefused) {
  const ClosedPort port(SOCK_STREAM);
  EXPECT_EQ(run_check(order_of(CheckKind::kTcp, port.address())), failed("connection refused"));
}

TEST(TcpCheck, SaysNoAnswerWithinItsTimeout) {
  // A full backlog drops SYNs, as a host that is gone does.
  const ClosedPort port(SOCK_STREAM);
  ASSERT_EQ(::listen(port.fd(), 0), 0);
  std::vector<CheckOrder> orders(4, order_of(CheckKind::kTcp, port.address(), kShort));
  const int fill = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = orders.front().address.port.raw;
  (void)::connect(fill, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  EXPECT_EQ(run_check(orders.front()), failed("no answer within 200 ms"));
  ::close(fill);
}

TEST(TcpCheck, TheCheckMayHaveAnotherPort) {
  const TcpBackend backend(nullptr);
  CheckOrder order = order_of(CheckKind::kTcp, "127.0.0.1:1");
  order.check.port = backend.port();
  EXPECT_EQ(run_check(order), kPassed);
}

TEST(TcpCheck, LeavesNoTimeWait) {
  const TcpBackend backend([](int fd, const TcpBackend&) {
    char byte;
    (void)::recv(fd, &byte, 1, 0);  // returns when the check has ended the connection
  });
  const std::vector<CheckOrder> orders(200, order_of(CheckKind::kTcp, backend.address()));
  for (const CheckResult& result : run_checks(orders)) EXPECT_EQ(result, kPassed);
  EXPECT_EQ(in_time_wait(backend.port()), 0);
}

TEST(TcpCheck, AHostWithoutFileDescriptorsSaysNothingAboutTheBackend) {
  const TcpBackend backend(nullptr);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  boost::asio::io_context warmed;  // has its descriptors already
  const std::vector<CheckOrder> orders(64, order_of(CheckKind::kTcp, backend.address()));
  rlimit few = before;
  few.rlim_cur = 40;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const std::vector<CheckResult> results = run_checks(orders);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  size_t not_made = 0;
  for (const CheckResult& result : results) {
    EXPECT_NE(result.outcome, CheckResult::Outcome::kFailed);
    not_made += result.outcome == CheckResult::Outcome::kNotMade;
  }
  EXPECT_GT(not_made, 0u);
}

TEST(HttpCheck, AsksForThePathOfTheHost) {
  std::string request;
  const TcpBackend backend([&](int fd, const TcpBackend&) {
    request = TcpBackend::request(fd);
    (void)TcpBackend::say(fd, ok("fine"));
  });
  CheckOrder order = http(backend);
  order.check.path = "/healthz?deep=1";
  EXPECT_EQ(run_check(order), kPassed);
  EXPECT_TRUE(request.starts_with("GET /healthz?deep=1 HTTP/1.1\r\nHost: " + backend.address() + "\r\n"))
      << request;
  order.check.host = "shop.example";
  EXPECT_EQ(run_check(order), kPassed);
  EXPECT_NE(request.find("\r\nHost: shop.example\r\n"), std::string::npos) << request;
}

struct HttpCase {
  const char* name;
  std::string answer;
  std::string match;
  CheckResult result;
};
class HttpAnswer : public testing::TestWithParam<HttpCase> {};

TEST_P(HttpAnswer, HasAStatedOutcome) {
  const TcpBackend backend(answers(GetParam().answer));
  EXPECT_EQ(run_check(http(backend, GetParam().match)), GetParam().result);
}

const HttpCase kHttpCases[] = {
    {"Ok", ok("fine"), "", kPassed},
    {"TheEndsOfTheRange", "HTTP/1.1 399 X\r\n\r\n", "", kPassed},
    {"Status503", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "", failed("HTTP 503, expected 200 to 399")},
    {"StatusBelow", "HTTP/1.1 199 X\r\n\r\n", "", failed("HTTP 199, expected 200 to 399")},
    {"Match", ok("all is ok here"), "is ok", kPassed},
    {"NoMatch", ok("all is well"), "ok", failed("the body lacks \"ok\"")},
    {"NoBody", "HTTP/1.1 204 No Content\r\n\r\n", "ok", failed("the body lacks \"ok\"")},
    {"MatchOverTwoPieces", ok(std::string(4094, 'x') + "ok-then"), "ok-then", kPassed},
    {"MatchInChunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nis \r\n2\r\nok\r\n0\r\n\r\n",
     "is ok", kPassed},
    {"MatchInABodyThatEndsWithTheConnection", "HTTP/1.0 200 OK\r\n\r\nis ok", "is ok", kPassed},
    {"MatchAtTheEndOf64KiB", ok(std::string(65534, 'x') + "ok"), "ok", kPassed},
    {"MatchBeyond64KiB", ok(std::string(65535, 'x') + "ok" + std::string(100, 'x')), "ok",
     failed("the first 64 KiB of the body lack \"ok\"")},
    {"HeaderOf9KiB", "HTTP/1.1 200 OK\r\nX: " + std::string(9 * 1024, 'x') + "\r\n\r\n", "",
     failed("the header is larger than 8 KiB")},
    {"HeaderWithoutEnd", "HTTP/1.1 200 OK\r\n" + std::string(20'000, 'x'), "",
     failed("the header is larger than 8 KiB")},
    {"Garbage", std::string("\x16\x03\x01\x02\0garbage", 12), "", failed("the answer is not HTTP")},
    {"AnotherProtocol", "SSH-2.0-OpenSSH_9.2\r\n", "", failed("the answer is not HTTP")},
    {"Nothing", "", "", failed("the server closed the connection without an answer")},
    {"HalfAHeader", "HTTP/1.1 200 OK\r\nContent-Le", "",
     failed("the server closed the connection within its answer")},
    {"HalfABody", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "ok",
     failed("the server closed the connection within its answer")},
};
INSTANTIATE_TEST_SUITE_P(All, HttpAnswer, testing::ValuesIn(kHttpCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(HttpCheck, AnExpectedStatusOfOneValueIsNamedAlone) {
  const TcpBackend backend(answers(ok("fine")));
  CheckOrder order = http(backend);
  order.check.least_status = order.check.most_status = 204;
  EXPECT_EQ(run_check(order), failed("HTTP 200, expected 204"));
}

// As nginx does that got a SIGSTOP: the kernel accepts, and nobody answers.
TEST(HttpCheck, AServerThatAcceptsAndHangsDoesNotAnswer) {
  const TcpBackend backend(nullptr);
  EXPECT_EQ(run_check(http(backend, "", kShort)), failed("no answer within 200 ms"));
}

TEST(HttpCheck, AServerThatAnswersSlowlyForEverEndsAtTheTimeout) {
  const auto drip = [](const std::string& first) {
    return [first](int fd, const TcpBackend& backend) {
      bool hears = TcpBackend::say(fd, first);
      while (hears && !backend.is_over()) {
        ::usleep(5000);
        hears = TcpBackend::say(fd, "x");
      }
    };
  };
  const TcpBackend in_header(drip("HTTP/1.1 200 OK\r\nX: "));
  const TcpBackend in_body(drip("HTTP/1.1 200 OK\r\n\r\n"));
  EXPECT_EQ(run_check(http(in_header, "", kShort)), failed("no answer within 200 ms"));
  EXPECT_EQ(run_check(http(in_body, "ok", kShort)), failed("the answer was not whole within 200 ms"));
  EXPECT_EQ(run_check(http(in_body, "", kShort)), kPassed) << "nobody asked for the body";
}

long memory_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(HttpCheck, AnAnswerOfAGigabyteIsReadUpTo64KiB) {
  std::atomic<uint64_t> sent = 0;
  const TcpBackend backend([&](int fd, const TcpBackend&) {
    (void)TcpBackend::request(fd);
    if (!TcpBackend::say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")) return;
    const std::string piece(64 * 1024, 'x');
    for (sent = 0; sent < (1u << 30) && TcpBackend::say(fd, piece); sent += piece.size()) {
    }
  });
  const long before_kib = memory_kib();
  EXPECT_EQ(run_check(http(backend, "ok")), failed("the first 64 KiB of the body lack \"ok\""));
  EXPECT_LT(memory_kib() - before_kib, 8 * 1024);
  EXPECT_LT(sent, 64u << 20) << "what the sockets' buffers take";
}

class UdpBackend {
 public:
  explicit UdpBackend(std::string answer) : thread_([this, answer = std::move(answer)] { serve(answer); }) {}
  ~UdpBackend() {
    over_ = true;
    thread_.join();
  }
  const std::string& address() const { return port_.address(); }
  std::string asked() const { return asked_; }

 private:
  void serve(const std::string& answer) {
    while (!over_) {
      pollfd waiting{port_.fd(), POLLIN, 0};
      if (::poll(&waiting, 1, 10) <= 0) continue;
      char buffer[2048];
      sockaddr_in client{};
      socklen_t size = sizeof(client);
      const ssize_t got =
          ::recvfrom(port_.fd(), buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&client), &size);
      if (got < 0) continue;
      asked_.assign(buffer, static_cast<size_t>(got));
      if (!answer.empty())
        (void)::sendto(port_.fd(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&client),
                       size);
    }
  }
  ClosedPort port_{SOCK_DGRAM};
  std::string asked_;  // read after a check, whose answer comes later
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

CheckOrder udp(const std::string& address, const std::string& expect,
               std::chrono::milliseconds timeout = 5s) {
  CheckOrder order = order_of(CheckKind::kUdp, address, timeout);
  order.check.send = "ping";
  order.check.expect = expect;
  return order;
}

TEST(UdpCheck, SendsAndExpects) {
  const UdpBackend backend("pong 1");
  EXPECT_EQ(run_check(udp(backend.address(), "pong")), kPassed);
  EXPECT_EQ(backend.asked(), "ping");
  EXPECT_EQ(run_check(udp(backend.address(), "")), kPassed) << "any answer";
  EXPECT_EQ(run_check(udp(backend.address(), "pang")), failed("the answer lacks \"pang\""));
}

TEST(UdpCheck, LongAnswersAreReadInPart) {
  const UdpBackend backend(std::string(5000, 'x') + "pong");
  EXPECT_EQ(run_check(udp(backend.address(), "pong")), failed("the answer lacks \"pong\""));
}

TEST(UdpCheck, SilenceAndAClosedPortAreToldApart) {
  const UdpBackend silent("");
  EXPECT_EQ(run_check(udp(silent.address(), "", kShort)), failed("no answer within 200 ms"));
  std::string address;
  {
    const ClosedPort port(SOCK_DGRAM);
    address = port.address();
  }
  EXPECT_EQ(run_check(udp(address, "", kShort)), failed("port unreachable"));
}

TEST(Checks, EachOf4096ServersThatHangCostsOneTimeoutTogether) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit before = limit;
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 10'000) GTEST_SKIP() << "this host allows only " << limit.rlim_cur << " files";
  const TcpBackend backend(nullptr);
  const std::vector<CheckOrder> orders(4096, http(backend, "", 1s));
  for (const CheckResult& result : run_checks(orders)) ASSERT_EQ(result, failed("no answer within 1 s"));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace teal
