// SPDX-License-Identifier: Apache-2.0
//
// Measures the part of a core that teal-health takes for 4,096 TCP checks a second, on loopback, and how many
// connections it leaves in TIME_WAIT. A child process accepts the connections. Its time does not count, but
// on loopback the kernel does the receiver's half of each handshake within the sender's time.
//
// usage: health_checks [SECONDS]      1 to 10, default 10
//
// Exit code 1 if it takes 20 % or more, leaves a TIME_WAIT, or makes fewer checks than it should.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "control/prober/prober.h"
#include "tests/support/time_wait.h"

namespace {

constexpr int kChecks = 4096;
constexpr double kMostOfACore = 0.20;

// Accepts for ever, and counts.
[[noreturn]] void accept_all(int listener, std::atomic<uint64_t>& accepted) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    accepted.fetch_add(1, std::memory_order_relaxed);
    ::close(fd);  // the check has ended it by then, or ends it: a FIN that crosses a RST
  }
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::clamp(std::atoi(argv[1]), 1, 10) : 10;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;  // all of 127.0.0.0/8
  socklen_t size = sizeof(address);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 4096) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("listen");
    return 1;
  }
  const uint16_t port = ntohs(address.sin_port);
  void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 1;
  auto& accepted = *new (page) std::atomic<uint64_t>(0);
  const pid_t server = ::fork();
  if (server == 0) accept_all(listener, accepted);

  const teal::Clock clock;
  boost::asio::io_context io(1);
  teal::Prober prober(io, "/nonexistent", clock);
  teal::CheckList list{.revision = 1, .checks = {}};
  for (int i = 0; i < kChecks; ++i) {
    teal::CheckOrder order;
    order.backend = static_cast<uint16_t>(i);
    order.address = *teal::parse_socket("127.1." + std::to_string(i / 256) + "." + std::to_string(i % 256) +
                                        ":" + std::to_string(port));
    order.check.kind = teal::CheckKind::kTcp;
    list.checks.push_back(order);
  }
  prober.follow(std::move(list));
  io.run_for(std::chrono::milliseconds(1500));  // until each probe is in its rhythm
  const uint64_t accepted_before = accepted.load();
  const double cpu_before = cpu_seconds();
  const auto begun = std::chrono::steady_clock::now();
  io.run_for(std::chrono::seconds(seconds));
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const double cpu = cpu_seconds() - cpu_before;
  const double checks_a_second = static_cast<double>(accepted.load() - accepted_before) / wall;
  const int time_wait = teal::in_time_wait(port);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);

  std::printf("%.0f checks a second take %.1f %% of a core, %.1f us each; %d connections in TIME_WAIT\n",
              checks_a_second, 100 * cpu / wall, 1e6 * cpu / wall / checks_a_second, time_wait);
  std::fflush(stdout);
  const bool holds = cpu / wall < kMostOfACore && time_wait == 0 && checks_a_second > 0.95 * kChecks;
  std::_Exit(holds ? 0 : 1);  // checks are under way
}
