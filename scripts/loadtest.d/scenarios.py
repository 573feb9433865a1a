# SPDX-License-Identifier: Apache-2.0
"""The scenarios with testpmd as generator. Each returns a dict. Its "violations" are sentences; there are
none if every promise was held.
"""
import contextlib
import dataclasses
import statistics
import time

import interleave
import switch as switch_runner
import testpmd
from cases import case_named
from compare import percentile
from machine import Failure, expect, hugepages
from plan import KI, Source
from sender import Sender
from switch import SwitchUnderLoad

SETTLE_SECONDS = 0.5  # at full load before the first flip, and after the last one
FLIP_EVERY_SECONDS = 0.02
FCS_BYTES = 4
RFC_2544_FRAMES = (64, 128, 256, 512, 1024, 1280, 1518)  # bytes with FCS, RFC 2544 section 9.1

FLOOD_FLOWS, FLOOD_SYNS = 16 * KI, 128 * KI
FLOOD_CAPACITY = 128 * KI  # a quarter of its slots may be embryonic: fewer than the SYNs


def run_case(settings, case, during):
    """Returns a Ledger, and the result of during(switch)."""
    with contextlib.ExitStack() as undo:
        undo.callback(settings.packets.forget)
        packets = case.source.packets
        need = testpmd.hugepages_mb(packets) + switch_runner.hugepages_mb(case.capacity)
        undo.enter_context(hugepages(need))
        switch = SwitchUnderLoad(undo, settings, case.source.kind, case.capacity)
        switch.start(0 if case.source.steps == "sx" else case.flows_held)
        file = switch.file(case.source)
        sender = Sender(undo, settings.work, "load", file, packets, switch.vhost_socket)
        return switch.carry(sender, lambda: during(switch))


def plain(case_name):
    """A case of scripts/bench, for --seconds."""
    case = case_named(case_name)

    def scenario(settings):
        ledger, _ = run_case(settings, case, lambda _: time.sleep(settings.seconds))
        result = {"title": case.title, **ledger.as_dict(), "violations": ledger.violations(case.moving)}
        if case.created:
            begun = sum(ledger.teal.get(name, 0) for name in case.moving)
            result["new_flows_per_second"] = round(begun / ledger.seconds)
        return result

    return scenario


def flip_again_and_again(switch, flips):
    """Returns [(adoption in us, whole request in ms)]."""
    time.sleep(SETTLE_SECONDS)
    times = []
    for number in range(flips):
        began = time.monotonic()
        answer = switch.flip(("green", "blue")[number % 2])
        times.append((answer["slowest_us"], (time.monotonic() - began) * 1e3))
        changed, wanted = len(answer["changed"]), len(switch.services)
        expect(changed == wanted, f"flip {number} changed {changed} of {wanted} services: {answer}")
        time.sleep(FLIP_EVERY_SECONDS)
    time.sleep(SETTLE_SECONDS)
    return times


def flip(settings):
    """Flips all services at once, back and forth, while flows live, begin and end."""
    case = case_named("mixed-64k")
    ledger, times = run_case(settings, case, lambda switch: flip_again_and_again(switch, settings.flips))
    result = {
        "title": f"{settings.flips} flips of 16 services; {case.title}",
        **ledger.as_dict(),
        "flips": settings.flips,
        "wrong_colour_flows": ledger.teal.get("wrong_colour_flows", 0),
        "new_flows": sum(ledger.teal.get(name, 0) for name in case.moving),
        "blocked_us_per_flip": round(ledger.blocked_us / settings.flips, 3),
        "adopted_us": spread(adopted for adopted, _ in times),
        "answer_ms": spread(answer for _, answer in times),
    }
    return {**result, "violations": ledger.violations(case.moving)}


def spread(values):
    values = sorted(values)
    told = {"median": statistics.median(values), "p99": percentile(values, 0.99), "max": values[-1]}
    return {name: round(value, 1) for name, value in told.items()}


def syn_flood(settings):
    """SYNs without an answer, more than the quota of embryonic flows, between packets of established
    flows. Then the established flows alone: each of them survived if no packet begins a flow and none is
    forwarded by hash alone."""
    established = Source("tcp4", FLOOD_FLOWS)
    with contextlib.ExitStack() as undo:
        undo.callback(settings.packets.forget)
        need = testpmd.hugepages_mb(2 * FLOOD_SYNS) + switch_runner.hugepages_mb(FLOOD_CAPACITY)
        undo.enter_context(hugepages(need))
        switch = SwitchUnderLoad(undo, settings, "tcp4", FLOOD_CAPACITY)
        switch.start(FLOOD_FLOWS)
        alone = switch.file(established)
        mixed = f"{settings.work}/flood.pcap"
        syns = switch.file(Source("tcp4", FLOOD_FLOWS + FLOOD_SYNS, steps="s"))
        packets = interleave.interleave(syns, alone, mixed, skip=FLOOD_FLOWS)
        flood = carry_once(undo, settings, switch, "flood", mixed, packets)
        after = carry_once(undo, settings, switch, "after", alone, established.packets)
    refused = frozenset({"flows_created", "embryonic_quota", "stateless"})
    result = {
        "title": f"SYN flood beside {FLOOD_FLOWS} established flows (TCP)",
        **flood.as_dict(),
        "established_flows_after": after.as_dict(),
    }
    violations = flood.violations(refused) + [f"afterwards: {text}" for text in after.violations()]
    return {**result, "violations": violations}


def carry_once(undo, settings, switch, name, file, packets):
    sender = Sender(undo, settings.work, name, file, packets, switch.vhost_socket)
    ledger, _ = switch.carry(sender, lambda: time.sleep(settings.seconds))
    sender.end()
    return ledger


def throughput(settings):
    """Established UDP flows, a trial for each size of RFC 2544. testpmd has no setting for a rate: it
    offers as much as the ring takes. So a trial without loss is the highest rate."""
    base = dataclasses.replace(case_named("udp-64k").source, flows=16 * KI)
    trials, violations = [], []
    with contextlib.ExitStack() as undo:
        undo.callback(settings.packets.forget)
        capacity = case_named("udp-64k").capacity
        undo.enter_context(
            hugepages(testpmd.hugepages_mb(base.packets) + switch_runner.hugepages_mb(capacity))
        )
        switch = SwitchUnderLoad(undo, settings, base.kind, capacity)
        switch.start(base.flows)
        for size in RFC_2544_FRAMES:
            source = dataclasses.replace(base, frame_bytes=size - FCS_BYTES)
            ledger = carry_once(undo, settings, switch, f"{size}", switch.file(source), source.packets)
            trials.append({"frame_bytes": size, **ledger.as_dict()})
            violations += [f"frames of {size} bytes: {text}" for text in ledger.violations()]
    return {"title": "the most that goes without loss, UDP", "trials": trials, "violations": violations}


def latency(settings):
    raise Failure("latency: testpmd does not stamp packets, Pktgen-DPDK does: use --pktgen PATH")


SCENARIOS = {
    "established": plain("udp-64k"),
    "new-flows": plain("begin-end"),
    "syn-flood": syn_flood,
    "both-directions": plain("both-64k"),
    "throughput": throughput,
    "latency": latency,
    "flip": flip,
}
