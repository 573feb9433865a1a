#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Teal on NICs that DPDK owns: the kernel's own traffic, flips, and restarts.

    client1, client2 == [NIC] edge (a virtual machine) [NIC] == blue1, blue2 | green1, green2
"""
import itertools
import time

import lab
import niclab

ROUTE = "198.18.77.0/24 via 198.18.2.11 dev back"
EDGE_PORT = 7007


def open_many():
    return [
        niclab.open_flow(service, host) for service in lab.SERVICES for host in ("client1", "client2")
    ] + [niclab.open_flow("service-a", "client1") for _ in range(6)]


def ask_again(flow, seconds=60):
    """A datagram may be lost while no dataplane runs, so UDP asks again; TCP does so itself."""
    end = time.monotonic() + seconds
    while True:
        try:
            return flow.ask()
        except TimeoutError:
            lab.expect(isinstance(flow, lab.UdpFlow) and time.monotonic() < end, "no answer to a kept flow")


def addresses_and_routes():
    """What the operator configured on the TAPs, and the interfaces' numbers."""
    shown = niclab.edge_shell(
        "for tap in front back; do ip -o address show dev $tap scope global; ip route show dev $tap;"
        " ip -6 route show dev $tap proto static; cat /sys/class/net/$tap/ifindex; done"
    ).stdout
    return shown.replace(" linkdown", "").replace(" dadfailed", "")


def test_every_next_hop_is_resolved():
    niclab.wait_for_next_hops()


def test_ping_and_tcp_of_the_edge_itself():
    niclab.edge_shell(f"nc -ll -p {EDGE_PORT} -e /bin/cat </dev/null >/dev/null 2>&1 &")
    for host, target in itertools.product(("client1", "client2"), ("198.18.1.1", "fd18:1::1")):
        for _ in range(4):
            niclab.niclab("exec", host, "--", "ping", "-c1", "-W10", target)
    for _ in range(6):  # each from another port, so that the kernel sends by each queue of the TAP
        with lab.on_host("nic-client1"):
            flow = lab.socket.create_connection(("198.18.1.1", EDGE_PORT), timeout=20)
        flow.sendall(b"hello")
        lab.expect_equal("answer of the edge's own TCP", flow.recv(5), b"hello")
        flow.close()


def test_both_workers_relay():
    """The kernel spreads what it sends over the queues of a TAP, one for each worker."""
    workers = niclab.counters()["workers"]
    relayed = [worker["counters"]["relayed"] for worker in workers]
    lab.expect(len(workers) == 1 or min(relayed) > 0, f"relayed by each worker: {relayed}")


def test_no_packet_is_lost_between_two_workers():
    """A NIC knows nothing of owners, so each worker receives packets of both."""
    flows = [niclab.open_flow("service-c", host) for host in ("client1", "client2") for _ in range(8)]
    for flow in flows:
        ask_again(flow)
        flow.close()
    workers = niclab.counters()["workers"]
    handed_over = [worker["counters"]["handed_over"] for worker in workers]
    lab.expect(len(workers) == 1 or min(handed_over) > 0, f"handed over by each worker: {handed_over}")
    lab.expect_equal(
        "lost between them", [worker["counters"]["handover_full"] for worker in workers], [0] * len(workers)
    )


def test_flows_live_through_a_flip_and_a_kill():
    flows = open_many()
    births = [flow.ask() for flow in flows]
    lab.expect_equal("colours of the first flows", {birth.split()[0] for birth in births}, {"blue"})
    niclab.flip("green")
    lab.expect_equal("answers after the flip", [flow.ask() for flow in flows], births)
    flows.append(niclab.open_flow("service-a"))
    births.append(flows[-1].ask())
    lab.expect_equal("colour of a new flow", births[-1].split()[0], "green")
    configured = addresses_and_routes()

    niclab.niclab("kill", "dataplane")
    niclab.niclab("start", "dataplane")
    lab.expect_equal("addresses and routes after kill -9", addresses_and_routes(), configured)
    niclab.wait_for_next_hops()
    lab.expect_equal("answers after kill -9", [ask_again(flow) for flow in flows], births)
    niclab.flip("blue")


def test_taps_keep_what_the_operator_configured_through_a_stop():
    niclab.edge("ip", "route", "replace", *ROUTE.split())
    configured = addresses_and_routes()
    lab.expect("198.18.77.0/24" in configured, configured)
    niclab.niclab("stop", "dataplane")
    niclab.niclab("start", "dataplane")
    lab.expect_equal("addresses and routes after a stop", addresses_and_routes(), configured)
    niclab.wait_for_next_hops()


niclab.run()
