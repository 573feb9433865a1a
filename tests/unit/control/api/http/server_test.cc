// SPDX-License-Identifier: Apache-2.0
//
// The server against bad clients: slow, mute, greedy, many, gone. Resources play no part here; the handler
// answers with what the path asks for.
#include "control/api/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <list>
#include <thread>

#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "tests/unit/control/api/http/raw_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Has `pieces` pieces of `bytes` bytes at once, and nothing after.
class Pieces : public EventSource {
 public:
  Pieces(std::atomic<int>& alive, size_t pieces, size_t bytes)
      : alive_(alive), pieces_(pieces), bytes_(bytes) {
    ++alive_;
  }
  ~Pieces() override { --alive_; }
  Task<std::string> take() override {
    if (pieces_ == 0) co_return std::string();
    --pieces_;
    co_return std::string(bytes_ - 1, 'p') + "\n";
  }
  void on_news(std::function<void()>) override {}

 private:
  std::atomic<int>& alive_;
  size_t pieces_, bytes_;
};

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override { stop(); }

  void start(ServerLimits limits, bool read_only = false) {
    auto listener = Listener::on_path(path, {});
    ASSERT_TRUE(listener) << listener.error();
    run(std::move(*listener), {.read_only = read_only, .changes_at = "/run/control.sock", .limits = limits});
  }
  Socket start_on_loopback() {
    auto listener = Listener::on_loopback({*IpAddress::parse("127.0.0.1"), {}, kProtocolTcp});
    EXPECT_TRUE(listener) << listener.error();
    const Socket endpoint = listener->endpoint();
    run(std::move(*listener), {.read_only = true, .changes_at = "/run/control.sock", .limits = {}});
    return endpoint;
  }
  // The server's end, as at the end of teald.
  void close_server() {
    asio::post(io, [this] { server.reset(); });
  }
  void stop() {
    if (!thread.joinable()) return;
    close_server();
    asio::post(io, [this] { work.reset(); });
    std::this_thread::sleep_for(20ms);
    io.stop();
    thread.join();
  }

  static Task<Response> handle(ServerTest* self, const Request& request) {
    ++self->handled;
    if (request.path == "/slow") co_await sleep_for(300ms);
    if (request.path == "/big") co_return Response(std::string(4 << 20, 'b'));
    if (request.path == "/throw") throw std::runtime_error("thrown on purpose");
    if (request.path == "/quiet") co_return self->stream(0, 0);
    if (request.path == "/pieces") co_return self->stream(3, 10);
    if (request.path == "/endless") co_return self->stream(1'000'000, 65536);
    co_return Response(request.method + " " + request.path + " " + request.body + " uid " +
                       (request.uid ? std::to_string(*request.uid) : "none") + "\n");
  }
  Response stream(size_t pieces, size_t bytes) {
    Response response;
    response.content_type = "text/event-stream";
    response.events = std::make_shared<Pieces>(streams, pieces, bytes);
    return response;
  }

  std::string ask(const std::string& request) {
    RawClient client(path);
    (void)client.send(request);
    return client.read_all();
  }
  std::string get(const std::string& split) {
    return ask("GET " + split + " HTTP/1.1\r\nConnection: close\r\n\r\n");
  }

  TempDir dir;
  const std::string path = dir.file("x.sock");
  std::atomic<int> handled{0};
  std::atomic<int> streams{0};
  asio::io_context io{1};
  std::unique_ptr<Server> server;

 private:
  void run(Listener listener, Server::Options options) {
    server = Server::start(io, std::move(listener), std::move(options),
                           [this](const Request& request) { return handle(this, request); });
    thread = std::thread([this] { io.run(); });
  }

  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work{io.get_executor()};
  std::thread thread;
};

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  start({});
  RawClient client(path);
  client.get("/a");
  EXPECT_NE(client.read_until("uid").find("GET /a  uid"), std::string::npos) << client.received();
  client.forget();
  client.send("POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz");
  EXPECT_NE(client.read_until("uid").find("POST /b xyz uid " + std::to_string(::getuid())), std::string::npos)
      << client.received();
  EXPECT_NE(client.received().find("Connection: keep-alive"), std::string::npos);
  client.forget();
  client.send("GET /c HTTP/1.1\r\n\r\nGET /d HTTP/1.1\r\nConnection: close\r\n\r\n");
  client.read_all();
  EXPECT_NE(client.received().find("GET /c"), std::string::npos);
  EXPECT_NE(client.received().find("GET /d"), std::string::npos) << "pipelined";
}

TEST_F(ServerTest, HeadHasTheLengthAndNoBody) {
  start({});
  const std::string reply = ask("HEAD /big HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply.substr(0, 200);
  EXPECT_NE(reply.find("Content-Length: 4194304\r\n"), std::string::npos);
  EXPECT_TRUE(reply.ends_with("\r\n\r\n"));
  EXPECT_EQ(reply.find("bbb"), std::string::npos);
}

TEST_F(ServerTest, GarbageIsRefused) {
  start({});
  EXPECT_TRUE(ask("what is this\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(300, '\x7f'))
                  .starts_with("HTTP/1.1 400"))
      << "TLS";
  EXPECT_TRUE(ask("GET / HTTP/7.3\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask("GET %zz HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask("POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_EQ(handled, 0);
}

TEST_F(ServerTest, WhatIsTooLargeIsRefused) {
  start({.header_bytes = 1000, .body_bytes = 1000});
  const std::string large(2000, 'x');
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nX: " + large + "\r\n\r\n").starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nContent-Length: 2000\r\n\r\n" + large).starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + large + "\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413"));
  EXPECT_EQ(handled, 0);
}

// A client that sends more than it may is answered before it has sent all of it.
TEST_F(ServerTest, WhoSendsOnAfterARefusalStillReadsIt) {
  start({});
  RawClient client(path);
  (void)client.send("POST / HTTP/1.1\r\nContent-Length: 500000\r\n\r\n");
  for (int i = 0; i < 100; ++i) (void)client.send(std::string(5000, 'x'));
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 413")) << client.received();
}

TEST_F(ServerTest, OneByteAtATimeHasTheTimeOfOneRequest) {
  start({.request = 300ms});
  RawClient client(path);
  const auto begin = Clock::now();
  const std::string request = "GET /a-very-long-way HTTP/1.1\r\nX: y\r\n\r\n";
  for (size_t i = 0; i < request.size() && Clock::now() < begin + 3s; ++i) {
    if (!client.send(request.substr(i, 1))) break;
    std::this_thread::sleep_for(50ms);
    if (!client.read_until("\r\n\r\n", 0ms).empty()) break;
  }
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 408")) << client.received();
  EXPECT_NE(client.received().find("request_timeout"), std::string::npos);
  EXPECT_GE(Clock::now() - begin, 300ms);
  EXPECT_LT(Clock::now() - begin, 1500ms);
  EXPECT_EQ(handled, 0);
}

TEST_F(ServerTest, ABodyThatDoesNotComeIsATimeoutToo) {
  start({.request = 200ms});
  EXPECT_TRUE(ask("POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nxyz").starts_with("HTTP/1.1 408"));
}

TEST_F(ServerTest, AnIdleConnectionIsClosedWithoutAWord) {
  start({.idle = 200ms});
  RawClient client(path);
  client.get("/a");
  client.read_until("uid");
  client.forget();
  const auto begin = Clock::now();
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(client.received(), "");
  EXPECT_GE(Clock::now() - begin, 150ms);
}

TEST_F(ServerTest, AWaitForTheAnswerIsNoTimeout) {
  start({.idle = 100ms, .request = 100ms, .write = 100ms});
  EXPECT_TRUE(get("/slow").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, AClientThatDoesNotReadIsLetGo) {
  start({.write = 200ms});
  RawClient client(path);
  client.get("/big");
  std::this_thread::sleep_for(500ms);
  EXPECT_TRUE(client.is_closed());
  EXPECT_LT(client.received().size(), size_t{4} << 20);
}

TEST_F(ServerTest, AnswersThatNobodyReadsAreBounded) {
  start({.unread_bytes = 10 << 20});
  std::list<RawClient> greedy;
  for (int i = 0; i < 5; ++i) {
    greedy.emplace_back(path).get("/big");
    ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == i + 1; }));
  }
  int refused = 0;
  for (RawClient& client : greedy)
    refused += client.read_until("\r\n\r\n").starts_with("HTTP/1.1 503") ? 1 : 0;
  EXPECT_EQ(refused, 3) << "two of 4 MB have room in 10 MB";
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200")) << "a small one has room";
}

TEST_F(ServerTest, AHandlerThatThrowsFailsItsRequestOnly) {
  start({});
  RawClient client(path);
  client.get("/throw");
  EXPECT_TRUE(client.read_until("\n").starts_with("HTTP/1.1 500")) << client.received();
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, OneThousandMuteConnectionsKeepNobodyOut) {
  start({});
  RawClient served(path);
  served.get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 1; }));
  std::list<RawClient> mute;
  for (int i = 0; i < 1000; ++i) mute.emplace_back(path);
  const auto begin = Clock::now();
  const std::string reply = ask("POST /flip HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200")) << reply;
  EXPECT_LT(Clock::now() - begin, 2s);
  EXPECT_NE(served.read_until("uid").find("GET /slow"), std::string::npos) << served.received();
  int told = 0, silent = 0, open = 0;
  for (RawClient& client : mute) {
    if (!client.is_closed(0ms)) {
      ++open;
    } else {
      ++(client.received().find("too_many_connections") != std::string::npos ? told : silent);
    }
  }
  EXPECT_EQ(silent, 0) << "who gets no answer is told why";
  EXPECT_EQ(told + open, 1000);
  EXPECT_LE(open, 128);
}

TEST_F(ServerTest, OneThousandParallelRequestsAreAllAnswered) {
  start({});
  std::list<RawClient> clients;
  for (int i = 0; i < 1000; ++i)
    clients.emplace_back(path).send("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n");
  int answered = 0;
  for (RawClient& client : clients) answered += client.read_all().starts_with("HTTP/1.1 200") ? 1 : 0;
  EXPECT_EQ(answered, 1000);
}

TEST_F(ServerTest, OneThousandSlowSendersKeepNobodyOut) {
  start({});
  std::list<RawClient> slow;
  for (int i = 0; i < 1000; ++i) slow.emplace_back(path).send("G");
  const std::string reply = get("/a");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200")) << reply;
}

TEST_F(ServerTest, WhenAllAreBeingServedAnotherIsTold) {
  start({.patience = 50ms, .connections = 4, .for_changes = 0});
  std::list<RawClient> served;
  for (int i = 0; i < 4; ++i) served.emplace_back(path).get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 4; }));
  const std::string reply = get("/a");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << reply;
  EXPECT_NE(reply.find(R"({"error":{"code":"too_many_connections")"), std::string::npos) << reply;
  for (RawClient& client : served)
    EXPECT_NE(client.read_until("uid").find("GET /slow"), std::string::npos) << client.received();
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, ABurstWaitsForAPlaceRatherThanFail) {
  start({.patience = 2s, .connections = 4, .for_changes = 0});
  std::list<RawClient> clients;
  for (int i = 0; i < 8; ++i)
    clients.emplace_back(path).send("GET /slow HTTP/1.1\r\nConnection: close\r\n\r\n");
  for (RawClient& client : clients)
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 200")) << client.received();
}

TEST_F(ServerTest, TheLastPlacesAreForChanges) {
  start({.patience = 50ms, .connections = 6, .for_changes = 2});
  std::list<RawClient> reads;
  for (int i = 0; i < 4; ++i) reads.emplace_back(path).get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 4; }));
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(ask("POST /flip HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, ReadOnlyTakesGetAndHead) {
  start({}, true);
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(ask("HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    const std::string reply = ask(std::string(method) + " /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 403")) << method << reply;
    EXPECT_NE(reply.find("read_only"), std::string::npos);
    EXPECT_NE(reply.find("changes are taken on /run/control.sock"), std::string::npos) << "the hint";
  }
  EXPECT_EQ(handled, 2);
}

TEST_F(ServerTest, LoopbackKnowsNoUidAndWantsALoopbackName) {
  const Socket endpoint = start_on_loopback();
  const auto host = [&](const std::string& line) {
    RawClient client(endpoint);
    (void)client.send("GET /a HTTP/1.1\r\n" + line + "Connection: close\r\n\r\n");
    return client.read_all();
  };
  EXPECT_NE(host("Host: localhost:9100\r\n").find("uid none"), std::string::npos);
  EXPECT_TRUE(host("Host: 127.0.0.1\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(host("Host: evil.example:9100\r\n").starts_with("HTTP/1.1 421"));
  EXPECT_TRUE(host("").starts_with("HTTP/1.1 421"));
  EXPECT_TRUE(host("Host: localhost\r\nHost: evil.example\r\n").starts_with("HTTP/1.1 4"));
  RawClient client(endpoint);
  client.send("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 403"));
}

TEST_F(ServerTest, AClientThatAsksFirstIsToldToGoOn) {
  start({});
  RawClient client(path);
  client.send("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("xyz");
  EXPECT_NE(client.read_until("uid").find("POST /a xyz"), std::string::npos);
}

TEST_F(ServerTest, AStreamIsChunkedAndSaysNowAndThenThatItIsThere) {
  start({.keep_alive = 100ms});
  RawClient client(path);
  client.get("/pieces");
  client.read_until(": still here\n\n\r\n");
  EXPECT_TRUE(client.received().starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_NE(client.received().find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_NE(client.received().find(
                "\r\n\r\na\r\nppppppppp\n\r\na\r\nppppppppp\n\r\na\r\nppppppppp\n\r\ne\r\n: still"),
            std::string::npos)
      << client.received();
  client.forget();
  client.read_until(": still here\n\n\r\n");
  EXPECT_TRUE(client.received().ends_with(": still here\n\n\r\n")) << "again";
  RawClient old(path);
  old.send("GET /pieces HTTP/1.0\r\n\r\n");
  EXPECT_NE(old.read_until(": still here").find("\r\n\r\nppppppppp\nppppppppp\nppppppppp\n: still"),
            std::string::npos)
      << old.received();
}

TEST_F(ServerTest, AStreamEndsWhenItsClientVanishes) {
  start({});
  for (int i = 0; i < 40; ++i) {
    RawClient client(path);
    client.get("/pieces");
    client.read_until("ppp");
  }
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return streams == 0; })) << streams << " are left";
}

TEST_F(ServerTest, AStreamThatNobodyReadsIsLetGo) {
  start({.write = 200ms});
  RawClient client(path);
  client.get("/endless");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return streams == 1; }));
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return streams == 0; }));
  EXPECT_TRUE(client.is_closed());
  EXPECT_LT(client.received().size(), size_t{4} << 20) << "what the kernel keeps, no more";
}

TEST_F(ServerTest, StreamsHaveALimit) {
  start({.streams = 3});
  std::deque<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(path).get("/pieces");
    EXPECT_NE(clients.back().read_until("ppp").find("200 OK"), std::string::npos);
  }
  EXPECT_TRUE(get("/pieces").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  clients.pop_front();
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return streams == 2; }));
  RawClient another(path);
  another.get("/pieces");
  EXPECT_NE(another.read_until("ppp").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, AtItsEndStreamsEndCleanlyAndRequestsAreAnswered) {
  start({});
  RawClient stream(path), idle(path), asking(path);
  stream.get("/pieces");
  stream.read_until("ppp");
  asking.get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 2; }));
  close_server();
  EXPECT_TRUE(stream.is_closed());
  EXPECT_TRUE(stream.received().ends_with("0\r\n\r\n")) << stream.received();
  EXPECT_TRUE(idle.is_closed());
  EXPECT_TRUE(asking.is_closed());
  EXPECT_NE(asking.received().find("GET /slow"), std::string::npos) << asking.received();
  EXPECT_NE(asking.received().find("Connection: close"), std::string::npos);
  EXPECT_FALSE(RawClient(path).is_connected());
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_F(ServerTest, ItMayBeDestroyedWithEverythingUnderWay) {
  start({});
  RawClient stream(path), idle(path), asking(path), half(path);
  stream.get("/endless");
  asking.get("/slow");
  half.send("GET /");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 2; }));
  stop();
}

}  // namespace
}  // namespace teal
