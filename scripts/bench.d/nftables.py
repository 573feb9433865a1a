# SPDX-License-Identifier: Apache-2.0
"""nftables, the kernel's DNAT: the same job on the same pcap, in a network namespace.

A testpmd replays the pcap into a veth by AF_PACKET. Behind the veth are prerouting, connection tracking,
the rule, routing, and a bridge that floods to no port and so drops every packet. There are two set-ups:

    one core    The sender and the kernel's work share CPU 1. With Teal and with testpmd, too, the source and
                the work share a core. Teal is compared with this set-up.
    two cores   The sender has CPU 0, and receive packet steering moves the work behind the veth to CPU 1.
                The kernel then neither reads packets nor makes buffers. `saturated` is true if the sender
                kept the kernel busy.
"""
import contextlib
import pathlib
import time

from machine import (
    CONTROL_CPU,
    WORKER_CPU,
    Failure,
    Window,
    expect,
    in_namespace,
    make_namespace,
    run,
    set_file,
    wait_until,
)
from plan import KINDS, PCAP_MAC, SERVICES
from teal_runner import GATEWAY_MAC
from testpmd import Testpmd

NAMESPACE = "teal-bench-nft"
CONNTRACK_MAX, CONNTRACK_BUCKETS = 4_194_304, 2_097_152
SETTINGS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.in.rp_filter=0",
    "net.netfilter.nf_conntrack_udp_timeout=3600",
    "net.netfilter.nf_conntrack_udp_timeout_stream=3600",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_sent=3600",
)


def ruleset():
    rules = []
    for kind in (KINDS["udp4"], KINDS["tcp4"]):
        targets = ", ".join(
            f"{kind.vip_of(s)} : {kind.backend_of(s)} . {kind.backend_port}" for s in range(SERVICES)
        )
        rules.append(f"{kind.protocol} dport {kind.vip_port} dnat to ip daddr map {{ {targets} }}")
    body = "\n    ".join(rules)
    return f"""
table ip teal_bench {{
  chain to_backend {{
    type nat hook prerouting priority dstnat;
    {body}
  }}
}}
"""


def softirqd():
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text() == f"ksoftirqd/{WORKER_CPU}\n":
                return process / "schedstat"
    raise Failure(f"there is no ksoftirqd/{WORKER_CPU}")


class Nftables:
    def __init__(self, undo, work, one_core):
        self.undo, self.work, self.one_core, self.sender = undo, work, one_core, None
        self.softirqd, self.saturated = softirqd(), True
        make_namespace(undo, NAMESPACE)
        self.ip("link", "add", "src", "type", "veth", "peer", "name", "in")
        self.ip("link", "add", "out", "type", "bridge")
        self.ip("link", "add", "idle", "type", "veth", "peer", "name", "idle2")
        self.ip("link", "set", "in", "address", PCAP_MAC)
        self.ip("link", "set", "out", "address", "02:00:00:00:00:03")
        self.ip("link", "set", "idle", "master", "out")
        self.ip("link", "set", "idle", "type", "bridge_slave", "flood", "off")
        for name in ("src", "in", "idle", "idle2", "out"):
            self.inside("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
            self.ip("link", "set", name, "up")
        self.inside("ethtool", "-K", "in", "gro", "off")
        self.ip("address", "add", "198.18.2.1/24", "dev", "out")
        self.ip("neigh", "add", "198.18.2.2", "lladdr", GATEWAY_MAC, "dev", "out", "nud", "permanent")
        self.ip("route", "add", "10.0.0.0/8", "via", "198.18.2.2")
        for service in range(SERVICES):
            address = KINDS["udp4"].backend_of(service)
            self.ip("neigh", "add", str(address), "lladdr", GATEWAY_MAC, "dev", "out", "nud", "permanent")
        self.inside("nft", "-f", "-", stdin=ruleset())
        for setting in SETTINGS:
            self.inside("sysctl", "-qw", setting)
        set_file(undo, "/proc/sys/net/netfilter/nf_conntrack_max", CONNTRACK_MAX)
        set_file(undo, "/proc/sys/net/netfilter/nf_conntrack_buckets", CONNTRACK_BUCKETS)
        if not one_core:  # /sys shows the devices of the namespace where it was mounted
            steer = f"echo {1 << WORKER_CPU:x} > /sys/class/net/in/queues/rx-0/rps_cpus"
            run("ip", "netns", "exec", NAMESPACE, "sh", "-c", steer)

    def ip(self, *words):
        run("ip", "-n", NAMESPACE, *words)

    def inside(self, *words, stdin=None):
        return run(*in_namespace(NAMESPACE, *words), stdin=stdin)

    def connections(self):
        return int(self.inside("sysctl", "-n", "net.netfilter.nf_conntrack_count"))

    def sent(self):
        """Packets that left by the backends' device. Each of them has a new destination, because no route
        leads to a VIP."""
        line = next(
            line
            for line in self.inside("cat", "/proc/net/dev").splitlines()
            if line.strip().startswith("out:")
        )
        return int(line.split()[10])

    def send(self, file, packets, name):
        if self.sender:
            self.sender.stop()
        self.sender = Testpmd(
            *(self.undo, self.work, f"nft-{name}"),
            [
                f"net_pcap0,rx_pcap={file},infinite_rx=1",
                "net_af_packet1,iface=src,framecnt=512,qdisc_bypass=1",
            ],
            packets,
            cpus=(WORKER_CPU if self.one_core else CONTROL_CPU,),
            netns=NAMESPACE,
        )
        self.sender.say("set fwd io")
        self.sender.say("start")

    def wait_for_flows(self, flows):
        """Waits for the connections. The first packet of a flow that arrives begins one."""
        wait_until(
            f"{flows} connections", lambda: self.connections() >= flows, 30 + flows / 20_000, every=0.2
        )

    def core_seconds(self):
        """CPU time of the work on CPU 1 so far: in the sender's system calls, and in ksoftirqd when there
        was too much."""
        return self.sender.process.cpu_seconds() + int(self.softirqd.read_text().split()[0]) / 1e9

    def backlog_drops(self):
        return int(pathlib.Path("/proc/net/softnet_stat").read_text().splitlines()[WORKER_CPU].split()[1], 16)

    def window(self, counter, seconds, enough=None):
        """Growth of `counter` in a second of core time, over `seconds` or until it is `enough`."""
        cpu, drops, began, wall = self.core_seconds(), self.backlog_drops(), counter(), time.monotonic()
        end = wall + seconds
        while time.monotonic() < end and not (enough and counter() >= enough):
            time.sleep(0.05)
        grown, wall, cpu = counter() - began, time.monotonic() - wall, self.core_seconds() - cpu
        expect(grown > 0, "the kernel did nothing")
        self.saturated = self.one_core or self.backlog_drops() > drops
        share = min(1.0, cpu / wall) if self.one_core else 1.0
        return Window(grown / wall / share, 0, share)

    def measure(self, seconds, settle=0.5):
        time.sleep(settle)
        return self.window(self.sent, seconds)

    def measure_new(self, flows, seconds=2.0):
        """Connections a second, from an empty table until half of the pcap's flows are in it."""
        wait_until("the first connections", lambda: self.connections() > 0, 10, every=0.01)
        return self.window(self.connections, seconds, flows // 2)
