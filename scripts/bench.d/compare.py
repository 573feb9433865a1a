# SPDX-License-Identifier: Apache-2.0
"""Measures Teal and the limit (testpmd) in turns, on the same pcap.

Both programs are started, and only one runs at a time. SIGSTOP holds teal-dataplane while testpmd
forwards, and testpmd's cores sleep while Teal forwards. A round measures each of them once, so a
disturbance of the machine affects both. Ratios are of the same round; the result is their median.
"""
import contextlib
import statistics

import teal_runner
import testpmd as testpmd_runner
from machine import CONTROL_CPU, WORKER_CPU, expect, hugepages, tsc_hz
from teal_runner import MOVING, Teal
from testpmd import Testpmd, pcap_port

LIMITS = ("macswap", "5tswap")


def summary(values):
    """Returns the median and the spread: the distance from the least to the most, as a part of the median."""
    median = statistics.median(values)
    return {
        "values": values,
        "median": median,
        "spread": (max(values) - min(values)) / median if median else 0.0,
    }


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def ratio(above, below):
    return summary([a / b for a, b in zip(above, below)])


class Comparison:
    def __init__(self, settings):
        self.settings = settings  # build, work, packets, rounds, seconds

    def measure(self, case):
        """Returns the result of one case of cases.CASES."""
        sources = case.sources()
        packets = sum(source.packets for source in sources)
        with contextlib.ExitStack() as undo:
            undo.callback(self.settings.packets.forget)
            need = teal_runner.hugepages_mb(packets, self.capacity(case))
            undo.enter_context(
                hugepages(testpmd_runner.hugepages_mb(packets) + need * (2 if case.reference else 1))
            )
            teal = self.replaying(undo, case, case.name)
            beside = {}
            if case.reference:
                name, reference = case.reference
                beside[name] = self.replaying(undo, reference, name)
            files = [self.settings.packets.file(source) for source in sources]
            cpus = (WORKER_CPU, CONTROL_CPU)[: case.workers]
            limit = Testpmd(
                undo, self.settings.work, case.name, [pcap_port(files)], packets, case.workers, cpus
            )
            return self.rounds(case, teal, limit, beside)

    def alone(self, undo, case, name):
        """Reserves hugepages for one Teal, and returns it as replaying() does."""
        undo.callback(self.settings.packets.forget)
        undo.enter_context(hugepages(teal_runner.hugepages_mb(case.source.packets, self.capacity(case))))
        return self.replaying(undo, case, name)

    @staticmethod
    def capacity(case):
        return case.capacity * case.workers

    def replaying(self, undo, case, name):
        """Returns a paused Teal that holds the flows of the case and replays its source."""
        teal = Teal(
            *(undo, self.settings.build, self.settings.work, name, [case.source.kind]),
            capacity=self.capacity(case),
            workers=case.workers,
        )
        teal.start()
        handshakes = case.handshakes()
        if handshakes:
            files = [self.settings.packets.file(source) for source in handshakes]
            flows = sum(source.flows for source in handshakes)
            teal.establish(files, sum(source.packets for source in handshakes), flows)
            for file in files:
                file.unlink()
        sources = case.sources()
        teal.replay(
            [self.settings.packets.file(source) for source in sources], sum(s.packets for s in sources)
        )
        teal.dataplane.pause()
        return teal

    def rounds(self, case, teal, limit, beside):
        windows = {who: [] for who in ("teal", *LIMITS, *beside)}
        for _ in range(self.settings.rounds):
            for mode in LIMITS:
                windows[mode].append(limit.measure(mode, self.settings.seconds))
            for who, other in beside.items():
                windows[who].append(other.measure(self.settings.seconds))
            windows["teal"].append(teal.measure(self.settings.seconds, moving=MOVING | case.moving))
        rates = {who: [window.rate for window in taken] for who, taken in windows.items()}
        begun = [window.begun for window in windows["teal"]]
        result = {
            "title": case.title,
            "flows": case.flows_held,
            "packets": sum(s.packets for s in case.sources()),
        }
        result |= {who: summary(values) for who, values in rates.items()}
        whole = [rate / case.forwarded_share for rate in rates["teal"]]
        result |= {f"of_{who}": ratio(whole, rates[who]) for who in rates if who != "teal"}
        result["core_share"] = min(window.share for taken in windows.values() for window in taken)
        result["cycles"] = case.workers * tsc_hz() / result["teal"]["median"]
        result["segment"] = {"capacity": teal.capacity, "bytes": teal.segment_bytes()}
        teal.dataplane.resume()
        if case.created:
            expect(min(begun) > 0, "no flow began while it was measured")
            result["new_flows"] = summary(begun)
        else:
            teal.expect_flows(case.flows_held * case.workers)
        return result
