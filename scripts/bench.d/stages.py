# SPDX-License-Identifier: Apache-2.0
"""Measures the cycles of each stage, and how long packets stay in the switch, at full load. A build with
-Dstage_timers=true reads the TSC between the stages, which takes some 3 cycles a packet itself.
"""
import contextlib
import re
import types

from build import release_build
from cases import case_named
from compare import Comparison
from machine import expect

CASES = ("udp-1k", "udp-64k", "udp-1m", "udp-10m")


def measure(settings, repo):
    build = release_build(repo, "build-stages", "-Dstage_timers=true")
    settings = types.SimpleNamespace(**{**vars(settings), "build": build})
    return {name: measure_one(settings, case_named(name)) for name in CASES}


def measure_one(settings, case):
    with contextlib.ExitStack() as undo:
        teal = Comparison(settings).alone(undo, case, case.name)
        for _ in range(settings.rounds):
            teal.measure(settings.seconds)
        teal.dataplane.resume()
        teal.dataplane.stop()
        said = teal.dataplane.said()
    cycles = {
        name: float(value) for name, value in re.findall(r"worker 0: (\w+) +([0-9.]+) cycles a packet", said)
    }
    stay = re.search(
        r"packets stay ([0-9.]+) us \(median\), ([0-9.]+) \(p99\), ([0-9.]+) \(p99.9\), ([0-9.]+)", said
    )
    expect(cycles and stay, f"teal-dataplane told no stage timers: {said[-400:]}")
    return {
        "cycles": cycles,
        "stay_us": dict(zip(("median", "p99", "p99.9", "most"), map(float, stay.groups()))),
    }
