// SPDX-License-Identifier: Apache-2.0
//
// teal-dataplane: reads the config, opens segment and ports, and runs the workers until a signal. It has no
// policy and never waits for teald.
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <spdlog/spdlog.h>
#include <cxxopts.hpp>

#include "bpf/steer_loader.h"
#include "dataplane/config/host_devices.h"
#include "dataplane/config/running_config.h"
#include "dataplane/eal.h"
#include "dataplane/link_events.h"
#include "dataplane/log/log.h"
#include "dataplane/port_monitor.h"
#include "dataplane/resume.h"
#include "dataplane/shm/process_lock.h"
#include "dataplane/watchdog.h"
#include "dataplane/worker.h"

namespace teal {
namespace {

// A killed dataplane keeps its lock until the kernel has closed its AF_XDP sockets. Measured: 250 ms for 16
// queues.
constexpr std::chrono::seconds kLockTimeout(2);
// Between two looks at links and NICs. systemd's watchdog is notified as many ms late at most.
constexpr timespec kLookInterval{0, 250'000'000};

enum ExitCode : int { kStopped = 0, kFailed = 1, kUsage = 2, kLockHeld = 3, kSegmentRefused = 4 };

struct Arguments {
  std::string config, run_dir;
  uint32_t workers = 0;  // 0: as the config says
  bool detach = false;

  std::string instance() const { return std::filesystem::path(run_dir).filename().string(); }
  std::string pin_dir() const { return "/sys/fs/bpf/" + instance(); }
};

int fail(ExitCode code, const std::string& message) {
  spdlog::error("{}", message);
  return code;
}

std::string dataplane_lock(const Arguments& arguments) {
  return arguments.run_dir + "/dataplane.lock";
}

// Detaches the steering program from every AF_XDP port of the config. From then on, the kernel gets the
// packets of the services. Removes the TAPs of this instance, also TAPs of ports that the config no longer
// has, but none that a running dataplane has open.
int detach(const Arguments& arguments, const DataplaneOptions& options) {
  for (const PortOptions& port : options.ports) {
    if (port.kind != DeviceKind::kAfXdp) continue;
    const auto detached = detach_steering(port.device);
    if (!detached) return fail(kFailed, fmt::format("port {}: {}", port.name, detached.error()));
    spdlog::info("port {}: {}", port.name,
                 *detached ? "steering program detached" : "no steering program was attached");
  }
  if (const auto unpinned = unpin_steering(arguments.pin_dir()); !unpinned)
    return fail(kFailed, unpinned.error());
  std::vector<std::string> used;
  if (ProcessLock::is_held(dataplane_lock(arguments)))
    for (const PortOptions& port : options.ports) used.push_back(port.name);
  const auto taps = remove_taps(arguments.instance(), used);
  if (!taps) return fail(kFailed, taps.error());
  for (const std::string& tap : taps->removed) spdlog::info("TAP {} removed", tap);
  for (const std::string& tap : taps->in_use) spdlog::warn("TAP {} stays: a dataplane has it open", tap);
  return kStopped;
}

tl::expected<std::vector<Port>, std::string> open_ports(const DataplaneOptions& options, Segment& segment,
                                                        rte_mempool* pool, const std::string& pin_dir) {
  const auto rows = assign_port_rows(segment, options.ports);
  if (!rows) return tl::unexpected(rows.error());
  std::vector<Port> ports;
  bool steering = false;
  for (size_t i = 0; i < options.ports.size(); ++i) {
    auto port = open_port(options.ports[i], (*rows)[i], options.workers, pool, pin_dir);
    if (!port) return tl::unexpected(port.error());
    steering |= port->steered;
    ports.push_back(std::move(*port));
  }
  segment.header().steering.store(steering, std::memory_order_relaxed);
  return ports;
}

uint32_t count_queues(const DataplaneOptions& options) {
  uint32_t queues = options.workers;  // of a TAP
  for (const PortOptions& port : options.ports)
    queues += port.kind == DeviceKind::kAfXdp ? receive_queues(port.device).value_or(1) : options.workers;
  return queues;
}

struct Launch {
  WorkerContext* shared;
  uint32_t worker;
};

int run_worker(void* argument) {
  const auto& launch = *static_cast<const Launch*>(argument);
  prctl(PR_SET_TIMERSLACK, 1'000);  // ns; the default of 50 us would add to each short sleep
  Worker(*launch.shared, launch.worker).run();
  return 0;
}

// Waits for SIGTERM or SIGINT, and looks after the ports meanwhile: at each change of an interface (SIGIO),
// and each kLookInterval. If systemd's watchdog is on, notifies it
// twice in its period as long as no worker has stalled. Without notifications systemd kills this process and
// starts it again.
int await_signal(const sigset_t& signals, Watchdog watchdog, PortMonitor ports) {
  using Clock = std::chrono::steady_clock;
  uint64_t patience_us = 0;
  const bool watched = sd_watchdog_enabled(0, &patience_us) > 0;
  const std::chrono::microseconds half(patience_us / 2);
  auto next = Clock::now() + half;
  const LinkEvents interfaces;
  for (;;) {
    ports.look();
    const int signal = sigtimedwait(&signals, nullptr, &kLookInterval);
    if (signal == SIGIO)
      interfaces.drain();
    else if (signal > 0)
      return signal;
    if (!watched || Clock::now() < next) continue;
    next = Clock::now() + half;
    if (const auto stalled = watchdog.stalled())
      spdlog::error("worker {} has not finished an iteration for {} ms", *stalled, half.count() / 1000);
    else
      sd_notify(0, "WATCHDOG=1");
  }
}

// Runs the workers until a signal. The ports stay open: to close AF_XDP ports would detach the steering
// program.
void run_workers(WorkerContext& shared, CurrentMacs& macs, const sigset_t& signals) {
  std::vector<Launch> launches;
  for (uint32_t i = 0; i < shared.handover.workers(); ++i) launches.push_back({&shared, i});
  uint32_t next = 0;
  unsigned lcore;
  RTE_LCORE_FOREACH_WORKER(lcore) {
    rte_eal_remote_launch(run_worker, &launches[next++], lcore);
  }
  const std::string status = fmt::format("workers: {}, ports: {}", launches.size(), shared.ports.size());
  spdlog::info("ready: {}", status);
  sd_notifyf(0, "READY=1\nSTATUS=%s", status.c_str());

  const int signal = await_signal(signals, Watchdog(shared.segment, static_cast<uint32_t>(launches.size())),
                                  PortMonitor(shared.ports, shared.segment.header(), macs));
  sd_notify(0, "STOPPING=1\nSTATUS=stopping: flows stay in the segment");
  spdlog::info("{}: stopping; flows stay in the segment, the steering program stays attached",
               strsignal(signal));
  shared.stop.store(true, std::memory_order_relaxed);
  rte_eal_mp_wait_lcore();
}

int run(const Arguments& arguments, const DataplaneOptions& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGIO);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  std::error_code error;
  std::filesystem::create_directories(arguments.run_dir, error);
  if (error) return fail(kFailed, fmt::format("run directory {}: {}", arguments.run_dir, error.message()));
  const auto lock = ProcessLock::acquire(dataplane_lock(arguments), kLockTimeout);
  if (!lock) return fail(kLockHeld, lock.error());

  auto opened = Segment::open_or_create(
      {.run_dir = arguments.run_dir, .flow_capacity = options.flow_capacity, .hash_seed = options.hash_seed});
  if (!opened) return fail(kSegmentRefused, opened.error());
  if (!opened->notice.empty()) spdlog::warn("{}", opened->notice);
  if (opened->flows_on_tmpfs)
    spdlog::warn("the flow table is not on huge pages, which is slower: {}{}{}", opened->flows_path,
                 opened->no_huge_pages.empty() ? "" : ": ", opened->no_huge_pages);
  Segment& segment = opened->segment;
  SegmentHeader& header = segment.header();

  const MbufNeed need = mbuf_need(count_queues(options), options.workers, options.memory_mb);
  const EalArguments eal = eal_arguments(options, arguments.instance(), need.bytes);
  if (!eal.notice.empty()) spdlog::warn("{}", eal.notice);
  if (const auto started = start_eal(eal); !started) return fail(kFailed, started.error());
  spdlog::info("EAL uses {} addresses (iova)", rte_eal_iova_mode() == RTE_IOVA_PA ? "physical" : "virtual");
  const auto pool = create_mbuf_pool(need);
  if (!pool) return fail(kFailed, pool.error());

  header.tsc_hz = measure_tsc_hz();
  const Resumed resumed = resume_flows(segment, options.workers);
  spdlog::info("segment {}: {} flows kept, room for {}{}", opened->created ? "created" : "attached",
               resumed.flows, segment.flows().flow_capacity,
               resumed.removed == 0 ? "" : fmt::format(", {} of unknown backends removed", resumed.removed));
  auto ports = open_ports(options, segment, *pool, arguments.pin_dir());
  if (!ports) return fail(kFailed, ports.error());
  const auto punt = Punt::create(*ports, arguments.instance(), options.workers, *pool);
  if (!punt) return fail(kFailed, punt.error());
  // Not earlier: a port that DPDK owns gets its interface from its TAP.
  for (const Port& port : *ports) {
    fill_port_row(header.ports[port.id], port);
    spdlog::info("{}", description_of(port));
    if (!port.spreads)
      spdlog::warn("port {}: the device has no RSS, so one worker receives all of its packets", port.name);
  }
  auto handover = Handover::create(options.workers);
  if (!handover) return fail(kFailed, handover.error());

  header.worker_count.store(options.workers, std::memory_order_relaxed);
  header.dataplane_pid.store(static_cast<uint32_t>(getpid()),
                             std::memory_order_release);  // after the port rows
  if (const auto saved = save_running_config(arguments.run_dir, options.text); !saved)
    spdlog::warn("teald cannot tell which settings need a restart: {}", saved.error());
  // Pairs with teald's acquire load: the port rows are written.
  header.dataplane_epoch.fetch_add(1, std::memory_order_release);
  CurrentMacs macs(*ports);
  WorkerContext shared{.segment = segment,
                       .ports = *ports,
                       .macs = macs,
                       .handover = *handover,
                       .punt = *punt,
                       .pool = *pool,
                       .idle = options.idle};
  run_workers(shared, macs, signals);
  spdlog::shutdown();
  _exit(kStopped);
}

int main_of(int argc, char** argv) {
  cxxopts::Options parser(
      "teal-dataplane",
      "Teal's packet path: translates packets between clients and the blue and green backends of services.");
  parser.add_options()  //
      ("config", "the config file", cxxopts::value<std::string>()->default_value("/etc/teal/teal.toml"),
       "FILE")  //
      ("run-dir",
       "the directory of the lock and of the link to the segment; its last part names the instance",
       cxxopts::value<std::string>()->default_value("/run/teal"), "DIR")                                    //
      ("workers", "number of workers, in place of [dataplane] workers", cxxopts::value<uint32_t>(), "N")    //
      ("detach", "detach the steering program from the ports, remove the TAPs of this instance, and exit")  //
      ("log-level", "trace, debug, info, warning, error",
       cxxopts::value<std::string>()->default_value("info"), "LEVEL")  //
      ("version", "print the version and exit")                        //
      ("help", "print this and exit");
  const auto given = parser.parse(argc, argv);
  if (given.count("help") != 0) return std::cout << parser.help(), kStopped;
  if (given.count("version") != 0) return std::cout << "teal-dataplane " TEAL_VERSION "\n", kStopped;
  if (!given.unmatched().empty())
    return fail(kUsage, fmt::format("unexpected argument \"{}\"; see --help", given.unmatched().front()));
  const std::string level = given["log-level"].as<std::string>();
  // from_str() returns `off` for a word that it does not know.
  if (spdlog::level::from_str(level) == spdlog::level::off && level != "off")
    return fail(
        kUsage,
        fmt::format("--log-level {}: expected trace, debug, info, warning, error, critical or off", level));
  spdlog::set_level(spdlog::level::from_str(level));

  Arguments arguments{.config = given["config"].as<std::string>(),
                      .run_dir = given["run-dir"].as<std::string>(),
                      .detach = given.count("detach") != 0};
  auto options = read_options(arguments.config);
  if (!options) {
    for (const std::string& error : options.error()) spdlog::error("{}", error);
    return kUsage;
  }
  if (given.count("workers") != 0) {
    options->workers = given["workers"].as<uint32_t>();
    options->cpus.resize(std::min<size_t>(options->cpus.size(), options->workers));
    if (options->workers < 1 || options->workers > kMaxWorkers ||
        (!options->cpus.empty() && options->cpus.size() < options->workers))
      return fail(kUsage,
                  fmt::format("--workers {}: expected 1 to {}, and a CPU in [dataplane] cpus for each",
                              options->workers, kMaxWorkers));
    if (const uint32_t devices = dpdk_devices_of(*options); devices > kMaxDpdkDevices)
      return fail(kUsage,
                  fmt::format("--workers {}: the ports need {} devices of DPDK then, expected at most {}",
                              options->workers, devices, kMaxDpdkDevices));
  }
  return arguments.detach ? detach(arguments, *options) : run(arguments, *options);
}

}  // namespace
}  // namespace teal

int main(int argc, char** argv) {
  teal::open_log("teal-dataplane");
  try {
    return teal::main_of(argc, argv);
  } catch (const cxxopts::exceptions::exception& error) {
    return teal::fail(teal::kUsage, fmt::format("{}; see --help", error.what()));
  }
}
