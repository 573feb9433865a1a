# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios of scripts/pktgen against a Teal behind a vhost socket, and compares Teal's counters
with theirs.
"""
import contextlib
import json
import pathlib

import switch as switch_runner
from ledger import ALWAYS_MOVING
from machine import CONTROL_CPU, Process, expect, hugepages, wait_until
from plan import MI, VHOST_MAC
from scenarios import FLOOD_CAPACITY, spread
from switch import SwitchUnderLoad

RUNNER = pathlib.Path(__file__).resolve().parent.parent / "pktgen" / "run"
PKTGEN_MB = 2560  # six pools of 24,576 packets of 10 KiB, and the pcap's
FLOWS = 16_384
BEGINNING = {"flows_created", "flows_midstream", "flows_replaced"}
MOVING_IN = {"syn-flood": {"embryonic_quota", "stateless"}, "throughput": {"tx_full"}}
TCP = ("new-flows", "syn-flood", "flip")
LOST = 1  # exit code of the runner
MAX_SECONDS = 7200


def command_of(settings, switch):
    device = f"net_virtio_user0,path={switch.vhost_socket},queue_size=4096"
    command = [RUNNER, settings.scenario, "--port", device, "--pktgen", settings.pktgen]
    command += ["--cpus", f"{CONTROL_CPU},{CONTROL_CPU}", "--seconds", settings.seconds, "--flows", FLOWS]
    command += ["--client-side-mac", VHOST_MAC]
    command += ["--flips", settings.flips, "--json", f"{settings.work}/pktgen.json"]
    command += ["--log", settings.log or f"{settings.work}/pktgen.log"]
    if settings.scenario == "flip":
        teal = f"TEAL_SOCKET={switch.teal.run_dir}/control.sock {settings.build}/control/teal"
        command += ["--flip-command", f"{teal} flip {' '.join(switch.services)} --to {{colour}} -o json"]
    if settings.scenario == "throughput":
        command += ["--frame-bytes", "64,512,1518"]
    return [str(word) for word in command + settings.pktgen_options]


def violations(scenario, result, teal):
    found = []
    sent = result["sent_in_all"]
    lost = sent - result["received_in_all"]
    ring_full = (
        teal.get("tx_full", 0) if scenario == "throughput" else 0
    )  # at the rates above the one it finds
    none = [best["frame_bytes"] for best in result.get("best", ()) if best["lost"]]
    if none:
        found.append(f"no rate without loss for frames of {none} bytes")
    lost -= ring_full
    if lost:
        found.append(f"{lost} packets lost of {sent}, with the packets that established flows, expected 0")
    for name, expected in (("rx", sent), ("tx", sent - ring_full)):
        if teal.get(name, 0) != expected:
            found.append(f"Teal's counter {name} moved by {teal.get(name, 0)}, expected {expected}")
    allowed = ALWAYS_MOVING | BEGINNING | MOVING_IN.get(scenario, set())
    strange = {name: value for name, value in teal.items() if name not in allowed}
    if strange:
        found.append(f"unexpected counters of Teal moved: {strange}")
    begun = sum(teal.get(name, 0) for name in BEGINNING)
    if scenario not in TCP and begun != FLOWS:
        found.append(f"{begun} flows began, expected {FLOWS}: answers, or a second range, had no flow")
    return found


def run(settings):
    """`settings` are the settings of scripts/loadtest with scenario, pktgen, log and pktgen_options."""
    kind = "tcp4" if settings.scenario in TCP else "udp4"
    capacity = FLOOD_CAPACITY if settings.scenario == "syn-flood" else MI
    with contextlib.ExitStack() as undo:
        undo.enter_context(hugepages(PKTGEN_MB + switch_runner.hugepages_mb(capacity)))
        switch = SwitchUnderLoad(undo, settings, kind, capacity)
        switch.start()
        before = switch.teal.totals()
        runner = Process(
            undo, "scripts/pktgen/run", command_of(settings, switch), f"{settings.work}/runner.log"
        )
        wait_until(f"the end of {runner.name}", lambda: not runner.alive, MAX_SECONDS, every=0.2)
        expect(runner.child.returncode in (0, LOST), runner.said().strip())
        teal = switch.teal.moved(before)
    result = json.loads(pathlib.Path(f"{settings.work}/pktgen.json").read_text())
    result |= {"title": f"scripts/pktgen/{settings.scenario.replace('-', '_')}.lua", "teal": teal}
    for account in (result, *result.get("trials", ()), *result.get("best", ())):
        if "offered_pps" in account:
            account["offered_mpps"] = round(account["offered_pps"] / 1e6, 4)
    if "adopted_us" in result:
        result["adopted_us"] = spread(result["adopted_us"])
        result["wrong_colour_flows"] = teal.get("wrong_colour_flows", 0)
    return {**result, "violations": violations(settings.scenario, result, teal)}
