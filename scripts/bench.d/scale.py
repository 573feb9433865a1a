# SPDX-License-Identifier: Apache-2.0
"""A table of 50 million flows. Measures the start of teal-dataplane up to its first poll with a new table and
with a full table that is kept, checks that every flow is still there, and measures the rate with 1 Mi of
these flows.
"""
import contextlib
import time

import teal_runner
from machine import expect, hugepages, run
from plan import MI, Source
from teal_runner import Teal

FLOWS = 50_000_000
SOURCE = Source("udp4", MI)


def timed_start(teal):
    began = time.monotonic()
    teal.start_dataplane("net_null0,no-rx=1", 0)
    return time.monotonic() - began


def measure(settings):
    with contextlib.ExitStack() as undo:
        undo.callback(settings.packets.forget)
        undo.enter_context(hugepages(teal_runner.hugepages_mb(SOURCE.packets, FLOWS)))
        teal = Teal(undo, settings.build, settings.work, "scale", ["udp4"], capacity=FLOWS)
        new_seconds = timed_start(teal)
        teal.start_daemon()
        handshake = Source("udp4", MI, steps="cr", order="chunks")
        teal.establish([settings.packets.file(handshake)], handshake.packets, MI)
        settings.packets.forget()
        teal.daemon.pause()
        teal.dataplane.stop()
        run(settings.build / "tests/bench/fill_table", teal.run_dir, FLOWS - MI, seconds=300)
        kept_seconds = timed_start(teal)
        teal.daemon.resume()
        teal.wait_for_next_hops()
        teal.expect_flows(FLOWS)
        teal.replay([settings.packets.file(SOURCE)], SOURCE.packets)
        teal.dataplane.pause()
        windows = [teal.measure(settings.seconds) for _ in range(settings.rounds)]
        teal.dataplane.resume()
        teal.expect_flows(FLOWS)
        rates = sorted(window.rate for window in windows)
        expect(rates[0] > 0, "nothing was forwarded")
        return {
            "flows": FLOWS,
            "new_seconds": new_seconds,
            "kept_seconds": kept_seconds,
            "mpps": rates[len(rates) // 2] / 1e6,
            "segment_bytes": teal.segment_bytes(),
        }
