# SPDX-License-Identifier: Apache-2.0
"""The aims of Teal's speed, and whether the results hold them. An aim is missed if its figures were measured
and fall short. An aim without its figures is reported as not measured.
"""
import dataclasses
import operator

VPP_MPPS = 1.87  # VPP 22.10 nat44-ed at 1 Mi flows, a core: measured before; Debian has no VPP


@dataclasses.dataclass(frozen=True)
class Aim:
    text: str
    must: float
    aim: float
    unit: str
    value: object  # results -> number; KeyError where a figure is missing
    least: bool = True  # more is better

    def verdict(self, results):
        """Returns the value or None, and "aim", "must", "MISSED" or "not measured"."""
        try:
            value = self.value(results)
        except KeyError:
            return None, "not measured"
        holds = operator.ge if self.least else operator.le
        return value, "aim" if holds(value, self.aim) else "must" if holds(value, self.must) else "MISSED"


def mpps(results, case, who="teal"):
    return results["cases"][case][who]["median"] / 1e6


def best_peer_mpps(results, name, case):
    """The rate of a peer in its fastest set-up."""
    ways = [way for way in results["peers"] if way.split("-")[0] == name and way != "nftables-2"]
    if not ways:
        raise KeyError(name)
    return max(results["peers"][way][case]["median"] for way in ways) / 1e6


def limit_ratio(case):
    return lambda results: results["cases"][case]["of_macswap"]["median"]


def share_of_stage(cycles, stage):
    return cycles[stage] / sum(cycles.values())


def table_bytes_per_flow(results):
    """Computed from the sizes of two segments that differ only in their capacity."""
    sizes = {case["segment"]["capacity"]: case["segment"]["bytes"] for case in results["cases"].values()}
    if len(sizes) < 2:
        raise KeyError("two capacities")
    least, most = min(sizes), max(sizes)
    return (sizes[most] - sizes[least]) / (most - least)


AIMS = (
    Aim("established UDP, 64 Ki flows, of macswap", 0.65, 0.85, "", limit_ratio("udp-64k")),
    Aim("established UDP, 1 Mi flows, of macswap", 0.50, 0.70, "", limit_ratio("udp-1m")),
    Aim(
        *("1 Mi flows of a table of 10 Mi, of its 64 Ki figure", 0.45, 0.60, ""),
        lambda results: mpps(results, "udp-10m") / mpps(results, "udp-64k"),
    ),
    Aim(
        *("new flows a second (SYN)", 5, 10, " M/s"),
        lambda results: results["cases"]["new"]["new_flows"]["median"] / 1e6,
    ),
    Aim(
        *("times OVS-DPDK ct + NAT, 1 Mi flows", 12, 18, "x"),
        lambda results: mpps(results, "udp-1m") / best_peer_mpps(results, "ovs", "udp-1m"),
    ),
    Aim(
        *(f"times VPP nat44-ed, 1 Mi flows ({VPP_MPPS} Mpps)", 5, 7.5, "x"),
        lambda results: mpps(results, "udp-1m") / VPP_MPPS,
    ),
    Aim(
        *("times nftables DNAT, 1 Mi flows", 25, 40, "x"),
        lambda results: mpps(results, "udp-1m") / best_peer_mpps(results, "nftables", "udp-1m"),
    ),
    Aim("bytes of flow table per flow of capacity", 64, 40, " B", table_bytes_per_flow, least=False),
    Aim(
        *("2 workers, times one", 1.9, 2.0, "x"),
        lambda results: results["cases"]["workers-2"]["of_alone"]["median"],
    ),
    Aim(
        *("packets beside one in ten with TTL 1, of their rate", 0.95, 1.0, ""),
        lambda results: results["cases"]["ttl-64k"]["of_plain"]["median"],
    ),
    Aim(
        *("cost of a packet, 1 Mi of 10 Mi flows, times 1,000 flows", 2.5, 2.5, "x"),
        lambda results: mpps(results, "udp-1k") / mpps(results, "udp-10m"),
        least=False,
    ),
    Aim(
        *("flip under full load, adopted, p99", 20, 5, " us"),
        lambda results: results["flips"]["p99_us"],
        least=False,
    ),
    Aim(
        *("time from rx to tx inside the switch, full load, p99", 50, 15, " us"),
        lambda results: results["stages"]["udp-1m"]["stay_us"]["p99"],
        least=False,
    ),
    Aim(
        *("start with 50 million flows kept", 5, 5, " s"),
        lambda results: max(results["scale"]["new_seconds"], results["scale"]["kept_seconds"]),
        least=False,
    ),
    Aim(
        *("ageing with 10 Mi flows, of all cycles", 0.02, 0.02, ""),
        lambda results: share_of_stage(results["stages"]["udp-10m"]["cycles"], "sweep"),
        least=False,
    ),
    Aim(
        "flips under full load, packets lost", 0, 0, "", lambda results: results["flips"]["lost"], least=False
    ),
)


def judge(results):
    """Returns a list of {text, must, aim, unit, value, verdict}."""
    rows = []
    for aim in AIMS:
        value, verdict = aim.verdict(results)
        rows.append(
            {
                "text": aim.text,
                "must": aim.must,
                "aim": aim.aim,
                "unit": aim.unit,
                "value": value,
                "verdict": verdict,
            }
        )
    return rows
