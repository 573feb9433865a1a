#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 12: a flood of first packets harms no connection, and new connections still begin. This holds, too,
when the flood has used up the quota of flows that are not assured.

    client1 (new flows), client3 (held flows) == edge == blue1, blue2
    client2 (a flood from 16,384 addresses)   ==

The table has about 16,000 entries, so the flood uses up the quota. Its rate is the highest one at which this
machine loses no packet on the way to a worker: after a loss the rate is halved, because a lossy wire says
nothing about the switch. The flood takes 10 s. With scripts/test --long there are two more floods, and each
takes 60 s.
"""
import contextlib
import json
import pathlib
import re
import subprocess
import time

import flood
import lab
import rollouts

CAPACITY = 16_000
FLOWS = (lab.RUN_DIR / "flows", lab.RUN_DIR / "flows.tmpfs", pathlib.Path("/dev/hugepages/teal-lab/flows"))
FIRST_RATE, LEAST_RATE = 64_000, 500  # packets a second
SEARCH_SECONDS = 2
SECONDS = 60 if lab.IS_LONG else 10
TRIES = 3
LOST_BY_TEAL = ("handover_full", "tx_full")
LOST_BY_NICS = ("rx_missed", "rx_no_buffers", "rx_errors")
NIC_COUNTERS_SECONDS = 1.5  # teal-dataplane reads them a few times a second
PATIENCE = 5  # seconds; paced_load.py waits 4 s for an answer
ROUTES = (
    ("edge", "default", "via", "198.18.1.2"),
    ("edge", "::/0", "via", "fd18:1::2"),
    ("edge", flood.SOURCES, "via", "198.18.1.102"),
    ("router", "blackhole", flood.SOURCES),
)
EACH_BLUE = ("blue1", "blue2")


def set_up():
    """A small table without flows, and routes.

    An edge has a default route on its client side: answers without an entry leave by it. Without one they
    would leave by the hop of the latest client without an entry, which here is the flood's. No host has the
    flood's addresses, so client2 and router drop the answers to them.
    """
    config = lab.RUN_DIR / "teal.toml"
    config.write_text(re.sub("flow_capacity = .*", f"flow_capacity = {CAPACITY}", config.read_text()))
    for host, *words in ROUTES:
        subprocess.run(lab.command(host, "ip", "route", "replace", *words), check=True)
    lab.scripts_lab("kill", "dataplane")
    for path in FLOWS:
        path.unlink(missing_ok=True)
    lab.scripts_lab("start", "dataplane")
    lab.wait_for("the new table", lambda: lab.status()["dataplane"]["flow_capacity"] == CAPACITY)
    lab.wait_for("an answer", answers)


def forget_routes():
    for host, *words in ROUTES:
        subprocess.run(lab.command(host, "ip", "route", "del", *words), check=False, capture_output=True)


def answers():
    with contextlib.suppress(OSError):
        return lab.ask_once("service-a")


def mac_of_front():
    shown = subprocess.run(
        lab.command("edge", "ip", "-j", "link", "show", "front"), capture_output=True, text=True, check=True
    ).stdout
    return json.loads(shown)[0]["address"]


def links_of(name):
    shown = subprocess.run(
        lab.command(name, "ip", "-s", "-j", "link"), capture_output=True, text=True, check=True
    ).stdout
    return json.loads(shown)


def losses():
    """The number of packets that were lost so far, by place."""
    status, answer = lab.api().call("GET", "/v1/counters")
    lab.expect_equal("status of /v1/counters", status, 200)
    lost = {name: answer["totals"][name] for name in LOST_BY_TEAL}
    for name in LOST_BY_NICS:
        lost[name] = sum(port["counters"][name] for port in answer["ports"])
    lost["no_socket"] = (answer["steering"] or {}).get("no_socket", 0)
    for bridge in ("front", "back"):
        lost[f"cables of {bridge}"] = sum(link["stats64"]["tx"]["dropped"] for link in links_of(bridge))
    per_cpu = pathlib.Path("/proc/net/softnet_stat").read_text().splitlines()
    lost["backlogs of the kernel"] = sum(int(line.split()[1], 16) for line in per_cpu)
    return lost


def grown(after, before):
    """The differences that are not 0."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def flood_service(service, rate, seconds):
    """Returns the number of packets sent, and those that were lost on the way."""
    before = losses()
    sent = flood.flood(
        lambda *words: lab.command("client2", *words), lab.SERVICES[service], mac_of_front(), rate, seconds
    )
    time.sleep(NIC_COUNTERS_SECONDS)
    lost = grown(losses(), before)
    print(f"   {sent / seconds:,.0f} packets a second for {seconds} s, lost: {lost or 0}", flush=True)
    return sent, lost


def rate_without_losses(service):
    """Returns the rate to ask the sender for. The sender may reach less."""
    rate = FIRST_RATE
    while rate >= LEAST_RATE:
        sent, lost = flood_service(service, rate, SEARCH_SECONDS)
        if not lost:
            return rate
        rate = min(rate, sent // SEARCH_SECONDS) // 2
    raise AssertionError(f"{rate} packets a second are lost on this machine")


def beside_connections(service, rate):
    """Floods the service beside held and new flows. Returns the packets sent, those lost, and how the flows
    fared."""
    held = lab.Load(["client3"], kept=20, renewed=0, new=0, pause=0.5)
    try:
        with rollouts.load() as new:
            time.sleep(1)
            sent, lost = flood_service(service, rate, SECONDS)
            entries = lab.status()["dataplane"]["flow_entries"]
            time.sleep(PATIENCE)
    finally:
        tally = held.stop()
    return sent, lost, entries, tally, new


def ejected_of(service):
    """The addresses of the backends that the flood ejected."""
    status, answer = lab.api().call("GET", f"/v1/health?service={service}")
    lab.expect_equal("status of /v1/health", status, 200)
    return [backend["address"] for backend in answer["services"][0]["backends"] if "ejected" in backend]


def survive(service):
    set_up()
    flows = [lab.open_flow(name) for name in ("service-a", "service-b") for _ in range(50)]
    births = [flow.ask() for flow in flows]
    rate = rate_without_losses(service)
    for _ in range(TRIES):
        before = lab.api().totals()
        sent, lost, entries, tally, new = beside_connections(service, rate)
        after = lab.api().totals()
        if not lost:
            break
        rate = min(rate, sent // SECONDS) // 2
    lab.expect(not lost, f"no rate without losses in {TRIES} tries: {lost}")
    moved = grown(after, before)
    begun, failed = new["begun"], new["failed"]
    requests = sum(tally.total(colour) for colour in lab.COLOURS)
    print(f"   flood of {service}: {sent} packets, {sent // SECONDS} a second for {SECONDS} s")
    print(f"   new flows: {begun}, failed: {failed} {new['why']}; requests of held flows: {requests}")
    print(f"   entries after the flood: {entries} of {CAPACITY}, quota of flows not assured: {CAPACITY // 4}")
    print(f"   counters: {moved}")
    lab.expect_equal("ejected backends", ejected_of(service), [])
    lab.expect_equal("answers to the idle connections", [flow.ask() for flow in flows], births)
    lab.expect_no_trouble(tally)
    lab.expect(requests > 100 * SECONDS, f"too few requests to be a load: {requests}")
    lab.expect(begun > 500 * SECONDS, f"too few new flows to be a load: {begun}")
    lab.expect(failed <= begun / 1000, f"{failed} of {begun} new flows failed, at most one in 1,000 may")
    lab.expect(moved["rx"] > sent, f"the flood reached Teal: {moved}")
    lab.expect("stateless" in moved, f"the flood used up the quota: {moved}")
    lab.expect(entries < 0.75 * CAPACITY, f"{entries} of {CAPACITY} entries are in use")
    for flow in flows:
        flow.close()


def silent_blue(protocol):
    """The backends do not answer the flood."""
    return lab.firewall(EACH_BLUE, "drop", at=f"ip saddr {flood.SOURCES} meta l4proto {protocol}")


def test_syn_flood_that_nobody_answers():
    with silent_blue("tcp"):
        survive("service-a")


if lab.IS_LONG:

    def test_syn_flood_that_the_backends_answer():
        survive("service-a")

    def test_flood_of_one_way_udp():
        with silent_blue("udp"):
            survive("service-c")


try:
    lab.run()
finally:
    forget_routes()
