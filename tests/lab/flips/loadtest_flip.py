#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promises 2 and 4, packet by packet: flips under full load lose no packet, and every new flow has the active
colour.

    testpmd -- virtio_user == vhost -- [port of DPDK] edge -- its TAP: backends are neighbours there

The lab's hosts are not used; switch and sender are the ones of scripts/loadtest. A second test shows that
their counts reveal a loss: the kernel forgets a neighbour, and the ledger must find each packet that this
loses.
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
from teal_runner import PORT  # noqa: E402

FLIPS = 20


def settings(work):
    """Skips where the machine lacks something."""
    if (os.cpu_count() or 1) < 2:
        raise lab.Skip("it needs two CPUs, one of them for the worker")
    if not shutil.which("dpdk-testpmd"):
        raise lab.Skip("dpdk-testpmd is missing; scripts/setup --test installs it")
    os.sched_setaffinity(0, {CONTROL_CPU})
    packets = Packets(lab.BUILD / "tests/bench/make_pcap", work)
    return types.SimpleNamespace(build=lab.BUILD, work=work, packets=packets, flips=FLIPS)


def test_flips_under_full_load_lose_nothing():
    with tempfile.TemporaryDirectory() as work:
        result = scenarios.flip(settings(work))
    print(result)
    lab.expect_equal("violations", result["violations"], [])
    lab.expect_equal("packets lost", result["lost"], 0)
    lab.expect_equal("flows of the wrong colour", result["wrong_colour_flows"], 0)
    lab.expect(result["new_flows"] > FLIPS, f"too few new flows for {FLIPS} flips: {result['new_flows']}")


def test_a_loss_is_found():
    def forget_a_neighbour(switch):
        time.sleep(0.3)
        switch.teal.ip("neigh", "del", str(KINDS["udp4"].backend_of(0)), "dev", PORT)
        time.sleep(0.5)

    with tempfile.TemporaryDirectory() as work:
        ledger, _ = scenarios.run_case(settings(work), case_named("udp-64k"), forget_a_neighbour)
    print(ledger)
    lab.expect(ledger.lost > 0, "nothing was lost although a backend had no next hop")
    lab.expect_equal("packets lost", ledger.lost, ledger.teal.get("no_next_hop"))
    lab.expect(
        any("lost" in text for text in ledger.violations()), f"no violation says so: {ledger.violations()}"
    )


lab.run()
