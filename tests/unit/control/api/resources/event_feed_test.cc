// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/event_feed.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <future>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "control/api/http/server.h"
#include "tests/unit/control/api/http/raw_client.h"
#include "tests/unit/control/stepped_clock.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

class EventFeedTest : public testing::Test {
 protected:
  // Returns what a client would get now, without the comment that begins every stream.
  std::string take(EventSource& source) {
    std::string text;
    const auto run = [](EventSource& from, std::string& to) -> Task<void> { to = co_await from.take(); };
    asio::co_spawn(io, run(source, text), asio::detached);
    io.restart();
    io.run();
    if (text.starts_with(": teald")) text.erase(0, text.find("\n\n") + 2);
    return text;
  }
  void tell(int from, int to) {
    for (int n = from; n <= to; ++n) events.tell("drained", {{"n", n}});
  }
  uint64_t id(uint64_t n) const { return events.first() + n - 1; }  // of the nth event
  std::string id_line(uint64_t n) const { return fmt::format("id: {}\n", id(n)); }

  static Task<Response> answer(EventFeed& feed) {
    Response response;
    response.content_type = "text/event-stream";
    response.events = feed.subscribe({});
    co_return response;
  }
  static Task<void> tell_much(Events& events) {
    for (int i = 0; i < 100'000; ++i) {
      events.tell("done", {{"text", std::string(1000, 'x')}});
      if (i % 100 == 0) co_await yield_to_loop();
    }
  }
  static long resident_kb() {
    long pages = 0, resident = 0;
    FILE* statm = fopen("/proc/self/statm", "r");
    EXPECT_EQ(fscanf(statm, "%ld %ld", &pages, &resident), 2);
    fclose(statm);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
  }

  const Clock clock;
  Events events{clock};
  EventFeed feed{events};
  asio::io_context io{1};
};

TEST_F(EventFeedTest, WithoutAnIdAStreamBeginsNow) {
  tell(1, 3);
  const auto source = feed.subscribe({});
  EXPECT_EQ(take(*source), "");
  tell(4, 4);
  const std::string text = take(*source);
  EXPECT_TRUE(text.starts_with(id_line(4) + "event: drained\ndata: {\"at\":\"20")) << text;
  EXPECT_TRUE(text.ends_with("\"n\":4}\n\n")) << text;
  EXPECT_EQ(take(*source), "") << "once";
}

TEST_F(EventFeedTest, AfterAnIdEachEventComesOnce) {
  tell(1, 5);
  const auto source = feed.subscribe(id(3));
  const std::string text = take(*source);
  EXPECT_TRUE(text.starts_with(id_line(4))) << text;
  EXPECT_NE(text.find("\n\n" + id_line(5)), std::string::npos) << text;
  EXPECT_EQ(take(*feed.subscribe(0)).find(id_line(1)), 0u) << "0: everything since teald started";
}

TEST_F(EventFeedTest, IdsGrowOverARestart) {
  tell(1, 5);
  SteppedClock later;
  later.advance(std::chrono::milliseconds(clock.wall_ms() - later.wall_ms() + 1000));
  Events next_life{later};
  EXPECT_GT(next_life.first(), events.latest());
}

TEST_F(EventFeedTest, AStreamBeginsWithAnIdToContinueFrom) {
  tell(1, 3);
  const auto source = feed.subscribe({});
  std::string text;
  const auto run = [](EventSource& from, std::string& to) -> Task<void> { to = co_await from.take(); };
  asio::co_spawn(io, run(*source, text), asio::detached);
  io.run();
  EXPECT_EQ(text, ": teald " TEAL_VERSION "\n" + id_line(3) + "\n");
}

TEST_F(EventFeedTest, KeepsABoundedNumberOfBytes) {
  for (int i = 0; i < 100; ++i)
    events.tell("published", {{"text", std::string(Events::kKeptBytes / 10, 'x')}});
  EXPECT_GE(events.oldest(), id(90));
  events.tell("published", {{"text", std::string(2 * Events::kKeptBytes, 'x')}});
  EXPECT_EQ(events.oldest(), events.latest()) << "the latest is always kept";
}

TEST_F(EventFeedTest, ReportsEventsThatAreGone) {
  tell(1, static_cast<int>(Events::kKept) + 10);
  for (const uint64_t since : {uint64_t{0}, id(4)}) {
    const std::string text = take(*feed.subscribe(since));
    EXPECT_TRUE(text.starts_with(fmt::format("event: lost\ndata: {{\"after\":{},\"next\":{}}}\n\n",
                                             since == 0 ? id(0) : since, id(11)) +
                                 id_line(11)))
        << text.substr(0, 200);
  }
}

TEST_F(EventFeedTest, ReportsAnIdOfAnEarlierTealdAndAnIdOfTheFuture) {
  tell(1, 2);
  for (const uint64_t since : {uint64_t{700}, id(100)}) {
    const std::string text = take(*feed.subscribe(since));
    EXPECT_TRUE(text.starts_with(
        fmt::format("event: lost\ndata: {{\"after\":{},\"next\":{}}}\n\n", since, id(1)) + id_line(1)))
        << text;
  }
}

TEST_F(EventFeedTest, SendsPiecesOfBoundedSize) {
  for (int i = 0; i < 10; ++i) events.tell("done", {{"text", std::string(20'000, 'x')}});
  const auto source = feed.subscribe(0);
  int pieces = 0, told = 0;
  for (std::string text = take(*source); !text.empty(); text = take(*source), ++pieces) {
    EXPECT_LE(text.size(), EventFeed::kPieceBytes + 21'000);
    for (size_t at = text.find("id: "); at != std::string::npos; at = text.find("id: ", at + 1)) ++told;
  }
  EXPECT_EQ(told, 10);
  EXPECT_GE(pieces, 3);
}

// 32 clients read nothing during 100 MB of events. The events that they miss are dropped, so memory does not
// grow. A client that reads again gets the event "lost".
TEST_F(EventFeedTest, ClientsThatDoNotReadTakeNoMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer keeps freed memory";
#endif
  const TempDir dir;
  auto listener = Listener::on_path(dir.file("x.sock"), {});
  ASSERT_TRUE(listener) << listener.error();
  auto server =
      Server::start(io, clock, std::move(*listener), {.read_only = true, .changes_at = "", .limits = {}},
                    [this](const Request&) { return answer(feed); });
  std::thread thread([this] { io.run(); });
  std::deque<RawClient> clients;
  for (int i = 0; i < 32; ++i) {
    clients.emplace_back(dir.file("x.sock")).get("/v1/events");
    ASSERT_NE(clients.back().read_until(": teald").find("200 OK"), std::string::npos);
  }
  const long before = resident_kb();
  std::promise<void> told;
  asio::post(io,
             [&] { asio::co_spawn(io, tell_much(events), [&](std::exception_ptr) { told.set_value(); }); });
  told.get_future().wait();
  EXPECT_LT(resident_kb() - before, 24 * 1024) << "1 MB of events, and at most 32 pieces of 64 KB";
  EXPECT_NE(clients.front().read_until("event: lost\n").find("event: lost\n"), std::string::npos);
  for (RawClient& client : clients) client.close();
  asio::post(io, [&] {
    server.reset();
    io.stop();
  });
  thread.join();
}

TEST_F(EventFeedTest, WakesSubscribersAsLongAsTheyLive) {
  int woken = 0;
  {
    const auto source = feed.subscribe({});
    source->on_news([&] { ++woken; });
    tell(1, 2);
    EXPECT_EQ(woken, 2);
  }
  tell(3, 3);
  EXPECT_EQ(woken, 2);
}

}  // namespace
}  // namespace teal
