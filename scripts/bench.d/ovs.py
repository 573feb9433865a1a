# SPDX-License-Identifier: Apache-2.0
"""OVS-DPDK with connection tracking and NAT: the same job on the same pcap.

The PMD thread of OVS has CPU 1. Its mempools hold at most 262,144 mbufs, so it cannot replay a large pcap
itself. A testpmd on CPU 0 replays it and sends over a memif, which carries ten times the packets that OVS
takes (docs/performance.md). OVS sends to a net_null port. Table 0 tracks and undoes NAT. Table 1 sends the
packets of a connection, and begins a connection for a VIP.
"""
import os
import pathlib
import re
import time

from machine import CONTROL_CPU, WORKER_CPU, Process, Window, expect, run, wait_until
from plan import KINDS, SERVICES
from testpmd import Testpmd, pcap_port

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
HUGEPAGES_MB = 1600
MAX_CONNECTIONS = 3_000_000


class Ovs:
    def __init__(self, undo, work, emc=True):
        self.undo, self.work = undo, pathlib.Path(work) / f"ovs-{'emc' if emc else 'no-emc'}"
        self.work.mkdir()
        self.memif = f"/tmp/teal-bench-{os.getpid()}-{emc:d}.memif"
        self.database = f"unix:{self.work}/db.sock"
        self.appctl_socket = self.work / "vswitchd.ctl"
        self.sender, self.saturated = None, True
        environment = {
            "OVS_RUNDIR": str(self.work),
            "OVS_LOGDIR": str(self.work),
            "OVS_DBDIR": str(self.work),
        }
        run("ovsdb-tool", "create", self.work / "conf.db", SCHEMA)
        ovsdb = [
            "ovsdb-server",
            self.work / "conf.db",
            f"--remote=p{self.database}",
            f"--unixctl={self.work}/db.ctl",
        ]
        Process(undo, "ovsdb-server", ovsdb, self.work / "ovsdb.log", environment=environment)
        wait_until("ovsdb-server is there", (self.work / "db.sock").exists, 10)
        for setting in (
            "dpdk-init=true",
            f"dpdk-lcore-mask={1 << CONTROL_CPU:#x}",
            f"pmd-cpu-mask={1 << WORKER_CPU:#x}",
            'dpdk-extra="--no-pci --in-memory --no-telemetry"',
            "dpdk-socket-mem=1024",
            *([] if emc else ["emc-insert-inv-prob=0"]),
        ):
            self.vsctl("--no-wait", "set", "Open_vSwitch", ".", f"other_config:{setting}")
        vswitchd = [VSWITCHD, self.database, f"--unixctl={self.appctl_socket}"]
        self.vswitchd = Process(
            undo, "ovs-vswitchd", vswitchd, self.work / "vswitchd.log", environment=environment
        )
        undo.callback(pathlib.Path(self.memif).unlink, missing_ok=True)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        self.add_port("in", f"net_memif0,role=server,socket={self.memif},socket-abstract=no", 1)
        self.add_port("out", "net_null0,no-rx=1", 2)
        self.appctl("dpctl/ct-set-maxconns", MAX_CONNECTIONS)
        self.add_flows()

    def vsctl(self, *words):
        return run("ovs-vsctl", f"--db={self.database}", "--timeout=30", *words)

    def appctl(self, *words):
        return run("ovs-appctl", "-t", self.appctl_socket, *words)

    def ofctl(self, *words, stdin=None):
        return run("ovs-ofctl", *words[:1], f"unix:{self.work}/br0.mgmt", *words[1:], stdin=stdin)

    def add_port(self, name, devargs, number):
        self.vsctl(
            *("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk"),
            *(f"options:dpdk-devargs={devargs}", f"ofport_request={number}"),
        )
        error = self.vsctl("get", "Interface", name, "error").strip()
        expect(error == "[]", f"OVS refuses {devargs}: {error}")

    def add_flows(self):
        flows = ["table=0,priority=1,ip,in_port=1,actions=ct(table=1,nat)"]
        flows += ["table=1,priority=2,ip,ct_state=+trk+est,actions=output:2"]
        flows += ["table=1,priority=2,ip,ct_state=+trk+rpl,actions=output:2"]
        for kind in (KINDS["udp4"], KINDS["tcp4"]):
            for service in range(SERVICES):
                flows.append(
                    f"table=1,priority=1,{kind.protocol},ct_state=+trk+new,nw_dst={kind.vip_of(service)},"
                    f"tp_dst={kind.vip_port},"
                    f"actions=ct(commit,nat(dst={kind.backend_of(service)}:{kind.backend_port})),output:2"
                )
        flows.append("table=1,priority=0,actions=drop")
        self.ofctl("del-flows")
        self.ofctl("add-flows", "-", stdin="\n".join(flows) + "\n")

    def connections(self):
        return int(self.appctl("dpctl/ct-get-nconns").strip())

    def sent(self):
        found = re.search(r"port\s+\"?out\"?.*?tx pkts=(\d+)", self.ofctl("dump-ports").replace("\n", " "))
        if not found:
            found = re.search(r"port\s+2:.*?tx pkts=(\d+)", self.ofctl("dump-ports").replace("\n", " "))
        expect(found, "OVS's port statistics are not understood")
        return int(found[1])

    def pmd(self):
        """The PMD thread, to ask for its core time."""
        for task in pathlib.Path(f"/proc/{self.vswitchd.child.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("pmd-"):
                return task
        raise AssertionError("OVS has no PMD thread")

    def send(self, file, packets, name, once=False):
        """Replaces the sender. With `once`, every packet arrives: none is dropped because the memif is
        full."""
        if self.sender:
            self.sender.stop()
        port = pcap_port([file])
        if once:
            port = port.replace(",infinite_rx=1", "")
        self.sender = Testpmd(
            *(
                self.undo,
                self.work,
                name,
                [port, f"net_memif0,role=client,socket={self.memif},socket-abstract=no"],
            ),
            packets=0 if once else packets,
            cpus=(CONTROL_CPU,),
        )
        if once:
            self.sender.say("set fwd io retry")
            self.sender.say("set burst tx delay 20 retry 100000")
        else:
            self.sender.say("set fwd io")
        self.sender.say("start")

    def establish(self, file, packets, flows):
        self.send(file, packets, "handshakes", once=True)
        wait_until(
            f"OVS has {flows} connections",
            lambda: self.connections() >= flows,
            20 + packets / 50_000,
            every=0.2,
        )
        self.settle()

    def settle(self):
        """Waits until OVS sends no more packets."""
        last = -1

        def is_idle():
            nonlocal last
            before, last = last, self.sent()
            return before == last

        wait_until("OVS has sent what is left", is_idle, 20, every=0.5)

    def pmd_seconds(self):
        return int((self.pmd() / "schedstat").read_text().split()[0]) / 1e9

    def window(self, counter, seconds, enough=None):
        """Growth of `counter` in a second of the PMD's core time, over `seconds` or until it is `enough`."""
        lost, cpu, began, wall = self.sender.dropped(), self.pmd_seconds(), counter(), time.monotonic()
        end = wall + seconds
        while time.monotonic() < end and not (enough and counter() >= enough):
            time.sleep(0.05)
        grown, wall, cpu = counter() - began, time.monotonic() - wall, self.pmd_seconds() - cpu
        expect(grown > 0, "OVS did nothing")
        self.saturated = self.sender.dropped() > lost
        share = min(1.0, cpu / wall)
        return Window(grown / wall / share, 0, share)

    def measure(self, seconds, settle=0.5):
        time.sleep(settle)
        return self.window(self.sent, seconds)

    def measure_new(self, flows, seconds=2.0):
        """Connections a second, from an empty table until half of the pcap's flows are in it."""
        return self.window(self.connections, seconds, flows // 2)

    def flush(self):
        self.sender.stop()
        self.appctl("dpctl/flush-conntrack")
