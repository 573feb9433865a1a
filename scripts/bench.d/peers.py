# SPDX-License-Identifier: Apache-2.0
"""The peers: switches that Teal is compared with, on the pcaps of the cases with `peers`, and on SYNs alone.

Peers are measured one after the other, not in turns with Teal. Each has CPU 1, and a sender on CPU 0 where it
cannot replay a pcap itself. `saturated` is false where the sender was the limit: the peer can then do more.
"""
import contextlib
import dataclasses

import testpmd
from compare import summary
from machine import hugepages
from new_flows import source as syns
from nftables import Nftables
from ovs import HUGEPAGES_MB, Ovs


def of(windows, saturated):
    result = summary([window.rate for window in windows])
    return result | {"core_share": min(window.share for window in windows), "saturated": saturated}


def measure_ovs(settings, cases, new_flows, emc, say):
    results = {}
    packets = max(max(case.source.packets for case in cases), new_flows)
    with contextlib.ExitStack() as undo:
        undo.enter_context(hugepages(HUGEPAGES_MB + testpmd.hugepages_mb(packets)))
        ovs = Ovs(undo, settings.work, emc)
        for case in cases:
            say(case.name)
            handshake = case.handshakes()[0]
            file = settings.packets.file(handshake)
            ovs.establish(file, handshake.packets, case.flows_held)
            file.unlink()
            ovs.send(settings.packets.file(case.source), case.source.packets, case.name)
            windows = [ovs.measure(settings.peer_seconds) for _ in range(settings.rounds)]
            results[case.name] = of(windows, ovs.saturated)
            ovs.flush()
        say("new")
        windows = []
        for number in range(settings.rounds):
            ovs.send(settings.packets.file(syns(new_flows)), new_flows, f"new-{number}")
            windows.append(ovs.measure_new(new_flows))
            ovs.flush()
        results["new"] = of(windows, ovs.saturated)
    return results


def measure_nftables(settings, cases, new_flows, one_core, say):
    """Measures each case in a namespace of its own, which forgets the connections of the case before."""
    results = {}
    packets = max(max(case.source.packets for case in cases), new_flows)
    with contextlib.ExitStack() as outer:
        outer.enter_context(hugepages(testpmd.hugepages_mb(packets)))
        for case in cases:
            say(case.name)
            with contextlib.ExitStack() as undo:
                kernel = Nftables(undo, settings.work, one_core)
                kernel.send(settings.packets.file(case.source), case.source.packets, case.name)
                kernel.wait_for_flows(case.flows_held)
                windows = [kernel.measure(settings.peer_seconds) for _ in range(settings.rounds)]
                results[case.name] = of(windows, kernel.saturated)
        say("new")
        windows = []
        for number in range(settings.rounds):
            with contextlib.ExitStack() as undo:
                kernel = Nftables(undo, settings.work, one_core)
                kernel.send(settings.packets.file(syns(new_flows)), new_flows, f"new-{number}")
                windows.append(kernel.measure_new(new_flows))
        results["new"] = of(windows, kernel.saturated)
    return results


@dataclasses.dataclass(frozen=True)
class Peer:
    title: str
    measure: object  # (settings, cases, new_flows, say) -> results by case
    quick: bool = True


OVS, NFTABLES = "ovs", "nftables"
PEERS = {
    OVS: Peer("OVS-DPDK ct + NAT", lambda *a: measure_ovs(*a[:3], True, a[3])),
    "ovs-no-emc": Peer(
        "OVS-DPDK ct + NAT, EMC off", lambda *a: measure_ovs(*a[:3], False, a[3]), quick=False
    ),
    NFTABLES: Peer("nftables DNAT, one core", lambda *a: measure_nftables(*a[:3], True, a[3])),
    "nftables-2": Peer(
        "nftables DNAT, sender apart", lambda *a: measure_nftables(*a[:3], False, a[3]), quick=False
    ),
}
