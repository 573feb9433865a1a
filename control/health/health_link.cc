// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_link.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>

#include <spdlog/spdlog.h>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

namespace teal {

namespace {

using HealthSocket = asio::generic::stream_protocol::socket;
using HealthAcceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

constexpr auto kAcceptAgain = std::chrono::milliseconds(100);
constexpr auto kRefusalLogEvery = std::chrono::seconds(10);
constexpr size_t kReadBytes = 16 * 1024;  // about 130 reports: less than a millisecond of work

std::optional<uint32_t> uid_behind(HealthSocket& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer.uid;
}

// Sends what the socket takes at once. The socket is closed afterwards.
void refuse(HealthSocket& socket, const std::string& why) {
  const std::string line = line_of(ProberRefused{why});
  (void)::send(socket.native_handle(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

struct HealthLink::Peer {
  explicit Peer(HealthSocket connected)
      : socket(std::move(connected)), wake(socket.get_executor(), asio::steady_timer::time_point::max()) {}

  void end() {
    is_ended = true;
    boost::system::error_code ignored;
    socket.close(ignored);
    wake.cancel();
    for (auto& [id, done] : std::exchange(hooks, {})) done(std::nullopt);
  }
  void take(const HookDone& done) {
    const auto known = hooks.find(done.id);
    if (known == hooks.end()) return;  // ordered by an earlier teald
    const OnHookDone told = std::move(known->second);
    hooks.erase(known);
    told(done);
  }

  HealthSocket socket;
  asio::steady_timer wake;  // of write()
  bool wants_list = true;
  std::set<uint16_t> to_check_now;  // backends
  std::deque<HookOrder> to_run;
  std::map<uint64_t, OnHookDone> hooks;  // by id; those that have not ended
  bool is_ended = false;
};

struct HealthLink::State {
  State(asio::io_context& io, int fd, HealthBoard& of, const Clock& with_clock, std::vector<uint32_t> served,
        std::function<void()> on_change)
      : acceptor(io, asio::generic::stream_protocol(AF_UNIX, 0), fd),
        board(of),
        clock(with_clock),
        users(std::move(served)),
        changed(std::move(on_change)),
        next_hook(static_cast<uint64_t>(std::max<int64_t>(clock.wall_ms(), 0)) * 1000) {}

  bool serves(const std::optional<uint32_t>& uid) const {
    return uid && (*uid == 0 || std::find(users.begin(), users.end(), *uid) != users.end());
  }

  HealthAcceptor acceptor;
  HealthBoard& board;
  const Clock& clock;
  const std::vector<uint32_t> users;
  std::function<void()> changed;
  std::shared_ptr<Peer> peer;  // null: no prober is connected
  bool is_closed = false;
  uint64_t next_hook;  // an id that no teald before has used
  Clock::Time warned_at{};

  void warn(const std::string& what) {
    if (clock.now() < warned_at + kRefusalLogEvery) return;
    warned_at = clock.now();
    spdlog::warn("health.sock: {}", what);
  }
};

HealthLink::HealthLink(asio::io_context& io, int listening_fd, HealthBoard& board, const Clock& clock,
                       std::vector<uint32_t> users, std::function<void()> changed)
    : state_(std::make_shared<State>(io, listening_fd, board, clock, std::move(users), std::move(changed))) {
  asio::co_spawn(io, accept(state_), asio::detached);
}

HealthLink::~HealthLink() {
  state_->is_closed = true;
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  if (state_->peer != nullptr) state_->peer->end();
}

void HealthLink::send_list() {
  if (state_->peer == nullptr) return;
  state_->peer->wants_list = true;
  state_->peer->wake.cancel();
}

bool HealthLink::ask_for(const std::vector<uint16_t>& backends) {
  if (state_->peer == nullptr || !state_->board.is_fresh()) return false;
  state_->peer->to_check_now.insert(backends.begin(), backends.end());
  state_->peer->wake.cancel();
  return true;
}

bool HealthLink::order(HookOrder order, OnHookDone done) {
  const std::shared_ptr<Peer> peer = state_->peer;
  if (peer == nullptr || peer->is_ended || !state_->board.is_fresh()) return false;
  order.id = state_->next_hook++;
  peer->hooks.emplace(order.id, std::move(done));
  peer->to_run.push_back(std::move(order));
  peer->wake.cancel();
  return true;
}

Task<void> HealthLink::accept(std::shared_ptr<State> state) {
  while (!state->is_closed) {
    boost::system::error_code error;
    HealthSocket socket(state->acceptor.get_executor());
    co_await state->acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (state->is_closed) co_return;
    if (error) {  // usually no file descriptors are left
      state->warn("cannot accept a connection: " + error.message());
      co_await state->clock.sleep(kAcceptAgain);
      continue;
    }
    if (const auto uid = uid_behind(socket); !state->serves(uid)) {
      state->warn("refused a process of user " + (uid ? std::to_string(*uid) : std::string("unknown")));
      refuse(socket, "this user may not report health");
      continue;
    }
    if (state->peer != nullptr && state->board.is_fresh()) {
      state->warn("refused a second teal-health");
      refuse(socket, "another teal-health is connected");
      continue;
    }
    if (state->peer != nullptr) {
      spdlog::warn("health.sock: the connected teal-health is silent, and another one takes its place");
      state->peer->end();
    }
    state->peer = std::make_shared<Peer>(std::move(socket));
    state->board.prober_came();
    spdlog::info("teal-health is connected");
    asio::co_spawn(state->acceptor.get_executor(), serve(state, state->peer), asio::detached);
    asio::co_spawn(state->acceptor.get_executor(), write(state, state->peer), asio::detached);
    state->changed();
  }
}

Task<void> HealthLink::serve(std::shared_ptr<State> state, std::shared_ptr<Peer> peer) {
  std::array<char, kReadBytes> buffer;
  LineReader lines(kMaxReportBytes);
  std::string why = "it closed the connection";
  while (!peer->is_ended) {
    boost::system::error_code error;
    const size_t bytes = co_await peer->socket.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    if (error || peer->is_ended) break;
    bool is_message = true;
    const bool goes_on = lines.feed({buffer.data(), bytes}, [&](std::string_view line) {
      const auto message = parse_to_teald(line);
      if (!message) {
        is_message = false;
        why = "it sent a line that is not a message: " + message.error();
        return false;
      }
      state->board.prober_spoke();
      if (const auto* report = std::get_if<HealthReport>(&*message)) (void)state->board.take(*report);
      if (const auto* done = std::get_if<HookDone>(&*message)) peer->take(*done);
      return true;
    });
    if (!goes_on && is_message) why = "it sent a line of more than 4096 bytes";
    state->changed();
    if (!goes_on) break;
  }
  const bool was_present = state->peer == peer;
  peer->end();
  if (!was_present) co_return;
  state->peer.reset();
  if (state->is_closed) co_return;
  state->board.prober_left();
  spdlog::warn("teal-health is gone ({}); the last known health stays", why);
  state->changed();
}

// Returns what the prober should get next; empty: nothing.
std::string HealthLink::next_line(const State& state, Peer& peer) {
  if (std::exchange(peer.wants_list, false)) return line_of(state.board.list());
  if (!peer.to_run.empty()) {
    const HookOrder order = std::move(peer.to_run.front());
    peer.to_run.pop_front();
    return line_of(order);
  }
  if (peer.to_check_now.empty()) return "";
  const std::set<uint16_t> backends = std::exchange(peer.to_check_now, {});
  return line_of(CheckNow{state.board.revision(), {backends.begin(), backends.end()}});
}

// Sends the latest list, orders to run hooks, and orders to check now. A line that is due while another
// one is being sent follows later.
Task<void> HealthLink::write(std::shared_ptr<State> state, std::shared_ptr<Peer> peer) {
  while (!peer->is_ended) {
    boost::system::error_code error;
    const std::string line = next_line(*state, *peer);
    if (line.empty()) {
      peer->wake.expires_at(asio::steady_timer::time_point::max());
      co_await peer->wake.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    co_await asio::async_write(peer->socket, asio::buffer(line),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error && !peer->is_ended) peer->end();
  }
}

}  // namespace teal
