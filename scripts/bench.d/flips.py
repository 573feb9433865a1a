# SPDX-License-Identifier: Apache-2.0
"""Flips under full load: the worker is never idle, has a core of its own, and sees established and new flows.

Each flip is one publication for all 16 services. "adopted" is the time from the store of the publication
word to the worker's first burst with it, as `teal flip` reports it. Lost packets came in and did not go
out, by Teal's counters.
"""
import contextlib
import statistics
import time

from cases import case_named
from compare import Comparison, percentile
from machine import Failure, Stretch, expect
from plan import SERVICES
from teal_runner import MOVING

CASE = case_named("mixed-64k")


def measure(settings, flips):
    with contextlib.ExitStack() as undo:
        teal = Comparison(settings).alone(undo, CASE, "flips")
        teal.dataplane.resume()
        time.sleep(0.3)
        names = [f"tcp4-{number}" for number in range(SERVICES)]
        before, stretch, times = teal.totals(), Stretch(teal.dataplane), []
        for number in range(flips):
            answer = teal.flip(names, ("green", "blue")[number % 2])
            expect(len(answer["changed"]) == SERVICES, f"flip {number} changed {answer['changed']}")
            times.append(answer["slowest_us"])
        stretch.end()
        teal.dataplane.pause()
        time.sleep(0.05)
        moved = teal.moved(before)
    times.sort()
    strange = {name: value for name, value in moved.items() if name not in MOVING | CASE.moving}
    lost = sum(value for name, value in strange.items() if name not in ("wrong_colour_flows", "stateless"))
    if moved.get("flows_created", 0) == 0:
        raise Failure("no flow began during the flips")
    return {
        "flips": flips,
        "mpps": moved["tx"] / stretch.cpu_seconds / 1e6,
        "core_share": stretch.share,
        "median_us": statistics.median(times),
        "p99_us": percentile(times, 0.99),
        "max_us": times[-1],
        "lost": lost,
        "strange": strange,
        "wrong_colour": moved.get("wrong_colour_flows", 0),
    }
