# SPDX-License-Identifier: Apache-2.0
"""New flows only: every packet is a SYN of a flow that is not in the table.

net_pcap replays a file for ever, and in the second pass its flows are known. So only the first pass is
measured, with an empty table each time, from a tenth to nine tenths of the flows. The table has room for
10 Mi flows. A quarter of it, the quota of embryonic flows, is more than the flows of the pass: with a full
quota, a SYN is forwarded without an entry, which is faster. Each service has 8 backends a colour. A second
is a second of core time, as everywhere.

How a pass begins: a dataplane on a new segment has no services and punts every packet. It is stopped,
teald publishes the services and finds the next hops, and the dataplane goes on.
"""
import contextlib
import time

import teal_runner
import testpmd as testpmd_runner
from compare import LIMITS, ratio, summary
from machine import WORKER_CPU, Window, expect, hugepages, tsc_hz
from plan import MI, Source
from teal_runner import Teal
from testpmd import Testpmd, pcap_port

CAPACITY = 10 * MI
POOL = 8
MOVING = {"rx", "tx", "relayed", "flows_created"}
SECONDS = 20


def source(flows):
    return Source("tcp4", flows, steps="s")


def first_pass(undo, settings, name, file, flows):
    """Returns the Window of one first pass."""
    teal = Teal(undo, settings.build, settings.work, name, ["tcp4"], capacity=CAPACITY, pool=POOL)
    teal.start_dataplane(f"net_pcap0,rx_pcap={file},infinite_rx=1", flows)
    teal.dataplane.pause()
    teal.start_daemon()
    begin = sample(teal)
    teal.dataplane.resume()
    samples = []
    end = time.monotonic() + SECONDS
    while not samples or samples[-1][2]["flows_created"] < 0.9 * flows:
        expect(time.monotonic() < end, f"not {flows} flows within {SECONDS} s: {teal.moved(begin[2])}")
        samples.append(sample(teal))
    teal.dataplane.pause()
    inside = [s for s in samples if 0.1 * flows <= s[2]["flows_created"] <= 0.9 * flows]
    expect(len(inside) >= 2, f"the pass was over before it was seen twice, in {len(samples)} looks")
    first, last = inside[0], inside[-1]
    moved = {key: last[2][key] - first[2][key] for key in first[2] if last[2][key] != first[2][key]}
    strange = {key: value for key, value in moved.items() if key not in MOVING}
    expect(not strange, f"counters moved that should not: {strange}, of {moved}")
    created = moved["flows_created"]
    expect(moved["rx"] - created < created // 100, f"not every packet began a flow: {moved}")
    cpu = last[1] - first[1]
    segment = {"capacity": CAPACITY, "bytes": teal.segment_bytes()}
    teal.stop()
    teal.forget_segment()
    return Window(created / cpu, created / cpu, min(1.0, cpu / (last[0] - first[0]))), segment


def sample(teal):
    """Reads the counters, and the core time before and after them."""
    wall, cpu = time.monotonic(), teal.dataplane.cpu_seconds()
    totals = teal.totals()
    return (wall + time.monotonic()) / 2, (cpu + teal.dataplane.cpu_seconds()) / 2, totals


def measure(settings, flows):
    with contextlib.ExitStack() as undo:
        undo.callback(settings.packets.forget)
        file = settings.packets.file(source(flows))
        need = testpmd_runner.hugepages_mb(flows) + teal_runner.hugepages_mb(flows, CAPACITY)
        undo.enter_context(hugepages(need))
        limit = Testpmd(undo, settings.work, "new", [pcap_port([file])], flows, cpus=(WORKER_CPU,))
        windows = {"teal": [], **{mode: [] for mode in LIMITS}}
        for _ in range(settings.rounds):
            for mode in LIMITS:
                windows[mode].append(limit.measure(mode, settings.seconds))
            with contextlib.ExitStack() as one_pass:
                window, segment = first_pass(one_pass, settings, "new", file, flows)
            windows["teal"].append(window)
        rates = {who: [window.rate for window in taken] for who, taken in windows.items()}
        result = {"title": "new flows only (SYN)", "flows": flows, "packets": flows, "segment": segment}
        result |= {who: summary(values) for who, values in rates.items()}
        result |= {f"of_{who}": ratio(rates["teal"], rates[who]) for who in LIMITS}
        result["new_flows"] = result["teal"]
        result["core_share"] = min(window.share for taken in windows.values() for window in taken)
        result["cycles"] = tsc_hz() / result["teal"]["median"]
        return result
