#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promises 2 and 4, packet by packet: flips under full load lose nothing and colour nothing wrongly.

    testpmd -- virtio_user == vhost -- [port of DPDK] edge -- TAP teal0: backends are neighbours there

The hosts of the lab are not used; switch and sender are those of scripts/loadtest. That what they count would show a
loss is tested too: the kernel is made to forget a neighbour, and the ledger has to find each packet that this cost.
"""
# lab: --bare
import os
import shutil
import sys
import tempfile
import time
import types

import lab

sys.path[:0] = [str(lab.REPO / "scripts" / part) for part in ("loadtest.d", "bench.d")]
os.environ["PATH"] += ":/usr/sbin:/sbin"
import scenarios  # noqa: E402
from cases import case_named  # noqa: E402
from machine import CONTROL_CPU  # noqa: E402
from plan import KINDS, Packets  # noqa: E402

FLIPS = 20


def settings(work):
    """Skips where there is nothing to test with."""
    if (os.cpu_count() or 1) < 2:
        raise lab.Skip("two CPUs are wanted, one of them for the worker")
    if not shutil.which("dpdk-testpmd"):
        raise lab.Skip("dpdk-testpmd is missing; scripts/setup installs it")
    os.sched_setaffinity(0, {CONTROL_CPU})
    packets = Packets(lab.BUILD / "tests/bench/make_pcap", work)
    return types.SimpleNamespace(build=lab.BUILD, work=work, packets=packets, flips=FLIPS)


def test_flips_under_full_load_lose_nothing():
    with tempfile.TemporaryDirectory() as work:
        result = scenarios.flip(settings(work))
    print(result)
    lab.expect_equal("what was not held", result["violations"], [])
    lab.expect_equal("packets lost", result["lost"], 0)
    lab.expect_equal("flows of the wrong colour", result["wrong_colour_flows"], 0)
    lab.expect(result["new_flows"] > FLIPS, f"too few new flows for {FLIPS} flips: {result['new_flows']}")


def test_a_loss_is_found():
    def forget_a_neighbour(switch):
        time.sleep(0.3)
        switch.teal.ip("neigh", "del", str(KINDS["udp4"].backend_of(0)), "dev", "teal0")
        time.sleep(0.5)

    with tempfile.TemporaryDirectory() as work:
        ledger, _ = scenarios.run_case(settings(work), case_named("udp-64k"), forget_a_neighbour)
    print(ledger)
    lab.expect(ledger.lost > 0, "nothing was lost although a backend had no next hop")
    lab.expect_equal("packets lost", ledger.lost, ledger.teal.get("no_next_hop"))
    lab.expect(any("lost" in text for text in ledger.violations()), f"not told: {ledger.violations()}")


lab.run()
