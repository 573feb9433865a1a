#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""DPDK owns the port. The routes and neighbours of its TAP in the kernel are Teal's way to the backends.

    pcap -- [port of DPDK] edge -- its TAP: 198.18.2.1/24, backends are neighbours there

The lab's hosts are not used; the switch is the one of scripts/bench, in a namespace of its own.
"""
# lab: --bare
import contextlib
import os
import sys
import tempfile

import lab

sys.path.insert(0, str(lab.REPO / "scripts" / "bench.d"))
os.environ["PATH"] += ":/usr/sbin:/sbin"
import machine  # noqa: E402
import teal_runner  # noqa: E402
from plan import KI, Packets, Source  # noqa: E402

FLOWS = 64


def test_backends_behind_the_tap_are_reached_by_the_port():
    with contextlib.ExitStack() as undo:
        work = undo.enter_context(tempfile.TemporaryDirectory())
        undo.enter_context(machine.hugepages(teal_runner.hugepages_mb(0, 64 * KI)))
        switch = teal_runner.Teal(undo, lab.BUILD, work, "port", ["udp4", "udp6"], capacity=64 * KI)
        switch.start()  # fails where a next hop stays unresolved
        packets = Packets(lab.BUILD / "tests/bench/make_pcap", work)
        sent = 0  # the segment keeps the counters
        for kind, known in (("udp4", 0), ("udp6", FLOWS)):
            source = Source(kind, FLOWS, steps="cr", order="chunks")
            switch.establish([packets.file(source)], source.packets, known + FLOWS)
            totals = switch.totals()
            sent += source.packets
            lab.expect_equal(f"{kind}: packets sent", totals["tx"], sent)
            lab.expect_equal(f"{kind}: packets without a next hop", totals["no_next_hop"], 0)


lab.run()
