# SPDX-License-Identifier: Apache-2.0
"""Runs teal-dataplane and teald in a network namespace of their own. net_pcap feeds them and drops what they
send.

DPDK owns the port, and its TAP stands for it in the kernel, with the backends as static neighbours. Flows
are established as in real life: clients' packets and backends' answers pass through the switch. Then
another source is replayed. A new source needs a restart of teal-dataplane, which keeps every flow.
"""
import json
import pathlib
import shutil
import time

from machine import CONTROL_CPU, WORKER_CPU, Process, Stretch, Window, expect, in_namespace
from machine import make_namespace, run, wait_until
from plan import HASH_SEED, KINDS, PCAP_MAC, SERVICES
from teal_api import TealApi

MBUF_BYTES = 2432  # 64 + 128 + 64 + 2176: dataplane/eal.cc
SPARE_MBUFS = 32_768  # rings, caches, the TAP's queues
FLOW_BYTES = 43  # upper bound of the table's bytes for each flow of capacity
FIXED_MB = 208  # the segment without its table, and EAL
PORT = "bench"  # the port's name, and that of its TAP
PORT_MAC = PCAP_MAC
GATEWAY_MAC = "02:00:00:00:00:11"
MOVING = {"rx", "tx", "relayed"}  # counters that may change while established flows are replayed
ENDS = ("tx", "punted", "punt_limit", "punt_full")  # of packets; a case allows the last three if TTLs expire


def memory_mb(packets):
    return (packets + SPARE_MBUFS) * MBUF_BYTES // (1 << 20) + 1


def first_round_seconds(capacity):
    """The time of the first round of the sweep after a start, which is not measured. It visits every flow
    once, 100,000 buckets a second (dataplane/pipeline/sweep.h)."""
    return 0.2 + max(1.0, capacity / 21 / 100_000)


def hugepages_mb(packets, capacity):
    return memory_mb(packets) + capacity * FLOW_BYTES // (1 << 20) + FIXED_MB


class Teal:
    """`kinds` are kinds of plan.py; `pool` is the number of backends of each colour of a service."""

    def __init__(self, undo, build, work, name, kinds, capacity, workers=1, pool=1):
        self.undo, self.build, self.name = undo, pathlib.Path(build), name
        self.kinds, self.capacity, self.workers, self.pool = (
            [KINDS[kind] for kind in kinds],
            capacity,
            workers,
            pool,
        )
        self.namespace = f"teal-bench-{name}"
        self.run_dir = pathlib.Path(f"/run/{self.namespace}")
        self.files = pathlib.Path(work) / name
        self.files.mkdir(exist_ok=True)
        self.config = self.files / "teal.toml"
        self.dataplane = self.daemon = None
        self.api = TealApi(self.run_dir / "control.sock")
        self.forget_segment()
        undo.callback(self.forget_segment)
        make_namespace(undo, self.namespace)
        # Made before teal-dataplane starts, so that addresses and routes outlive its restarts.
        self.ip("tuntap", "add", "dev", PORT, "mode", "tap", "multi_queue")
        self.ip("link", "set", PORT, "address", PORT_MAC)
        run(*in_namespace(self.namespace, "sysctl", "-qw", f"net.ipv6.conf.{PORT}.accept_dad=0"))
        self.ip("link", "set", PORT, "up")
        for kind in self.kinds:
            self.ip("address", "replace", kind.edge_address(), "dev", PORT)

    def ip(self, *words):
        run("ip", "-n", self.namespace, *words)

    def forget_segment(self):
        shutil.rmtree(self.run_dir, ignore_errors=True)
        shutil.rmtree(f"/dev/hugepages/{self.namespace}", ignore_errors=True)

    # --- config ---

    def write_config(self, device, packets):
        cpus = [WORKER_CPU, CONTROL_CPU][: self.workers]
        text = f"""
[dataplane]
workers = {self.workers}
cpus = {cpus}
flow_capacity = {self.capacity}
idle = "spin"
hash_seed = {HASH_SEED}
memory_mb = {memory_mb(packets)}
[[port]]
name = "{PORT}"
device = "vdev:{device}"
side = "both"
[timeouts]                      # nothing ages while it is measured
embryonic = "1h"
tcp_closed = "1h"
udp_established = "1h"
"""
        for kind in self.kinds:
            text += "".join(self.service(kind, number) for number in range(SERVICES))
        self.config.write_text(text)

    def service(self, kind, number):
        def pool(green):
            address = kind.backend_of(number, green)
            return [kind.socket(address, kind.backend_port + port) for port in range(self.pool)]

        return f"""
[[service]]
name = "{kind.name}-{number}"
vip = "{kind.socket(kind.vip_of(number), kind.vip_port)}"
protocol = "{kind.protocol}"
blue = {json.dumps(pool(False))}
green = {json.dumps(pool(True))}
"""

    # --- processes ---

    def start_dataplane(self, device, packets):
        self.write_config(device, packets)
        binary = self.build / "dataplane/teal-dataplane"
        command = in_namespace(self.namespace, binary, "--config", self.config, "--run-dir", self.run_dir)
        self.dataplane = Process(self.undo, "teal-dataplane", command, self.files / "dataplane.log")
        self.dataplane.wait_for(r"ready:", 60)
        expect(
            "small pages" not in self.dataplane.said(),
            f"teal-dataplane got no hugepages: {self.dataplane.said()}",
        )
        # Opening a TAP sets its MAC, and the kernel then forgets the neighbours behind the TAP.
        addresses = sorted({str(address) for kind in self.kinds for address in kind.backends()})
        neighbours = "".join(
            f"neigh replace {a} lladdr {GATEWAY_MAC} dev {PORT} nud permanent\n" for a in addresses
        )
        run("ip", "-n", self.namespace, "-batch", "-", stdin=neighbours)

    def start_daemon(self):
        binary = self.build / "control/teald"
        command = in_namespace(self.namespace, binary, "--config", self.config, "--run-dir", self.run_dir)
        command += ["--state-dir", self.run_dir / "state"]
        self.daemon = Process(self.undo, "teald", command, self.files / "teald.log")
        self.daemon.wait_for(r"ready:", 30)
        self.wait_for_next_hops()

    def wait_for_next_hops(self):
        def resolved():
            self.daemon.expect_alive()
            self.dataplane.expect_alive()
            backends = [
                b for s in self.status()["services"] for c in s["colours"].values() for b in c["backends"]
            ]
            return backends and all(backend["next_hop"] != "unresolved" for backend in backends)

        wait_until("teald has a next hop for each backend", resolved, 20, every=0.1)

    def start(self):
        """Starts both programs with a port that receives nothing."""
        self.start_dataplane("net_null0,no-rx=1", 0)
        self.start_daemon()

    def change_port(self, device, packets=0):
        """Restarts teal-dataplane with another port; every flow is kept. teald is held while the TAP has
        no neighbours, so packets always have a next hop."""
        self.daemon.pause()
        self.dataplane.stop()
        self.start_dataplane(device, packets)
        self.daemon.resume()
        self.wait_for_next_hops()

    def replay(self, files, packets, infinite=True):
        """Restarts teal-dataplane with another source: a file for each worker."""
        rx = ",".join(f"rx_pcap={file}" for file in files)
        self.change_port(
            f"net_pcap0,{rx}" + (",infinite_rx=1" if infinite else ""), packets if infinite else 0
        )
        if infinite:
            # Until the new worker runs, the counters are the ones of the worker before it.
            before = self.totals()["rx"]
            wait_until("the worker receives", lambda: self.totals()["rx"] not in (0, before), 20)
            time.sleep(first_round_seconds(self.capacity / self.workers))

    def establish(self, files, packets, flows):
        """Passes the files through once. Fails unless there are then this many flows, all of them
        established."""
        self.replay(files, packets, infinite=False)
        rx = 0

        def is_idle():
            nonlocal rx
            before, rx = rx, self.totals()["rx"]
            return rx == before and rx >= packets

        wait_until(f"{packets} packets have passed", is_idle, 20 + packets / 200_000, every=0.2)
        self.expect_flows(flows)

    def expect_flows(self, flows):
        held = self.status()["dataplane"]["flow_entries"]
        expect(held == flows, f"the flow table has {held} flows, expected {flows}; counters {self.moved({})}")

    def stop(self):
        for process in (self.daemon, self.dataplane):
            if process is not None:
                process.stop()

    # --- status and counters ---

    def status(self):
        return self.api.call("GET", "/v1/services")

    def totals(self):
        return self.api.call("GET", "/v1/counters")["totals"]

    def moved(self, before):
        now = self.totals()
        return {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name, 0)}

    def segment_bytes(self):
        """The size of both files: the flows and the rest."""
        return sum((self.run_dir / name).stat().st_size for name in ("flows", "segment"))

    def measure(self, seconds, settle=0.15, moving=MOVING):
        """Counts the packets that were translated and sent, and the flows that began. Anything else is a
        Failure."""
        self.dataplane.resume()
        time.sleep(settle)
        stretch = Stretch(self.dataplane, self.workers)
        before = self.totals()
        time.sleep(seconds)
        stretch.end()
        after = self.totals()
        self.dataplane.pause()
        sent = check_window(before, after, moving)
        begun = after["flows_created"] - before["flows_created"]
        return Window(sent / stretch.cpu_seconds, begun / stretch.cpu_seconds, stretch.share)

    def flip(self, names, colour):
        return self.api.call("POST", "/v1/flip", {"services": names, "to": colour})


def check_window(before, after, moving):
    """Returns the number of packets sent between two samples. Fails unless each received packet was sent, or
    punted where the case allows that, and no other counter moved."""
    deltas = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    strange = {name: value for name, value in deltas.items() if name not in moving}
    expect(not strange, f"counters moved that should not: {strange}, of {deltas}")
    sent = deltas.get("tx", 0)
    ended = sum(deltas.get(name, 0) for name in ENDS)
    # The counters are not read at one moment.
    expect(
        sent > 0 and abs(deltas["rx"] - ended) < max(20_000, sent // 100),
        f"not all that came in went out: {deltas}",
    )
    return sent
