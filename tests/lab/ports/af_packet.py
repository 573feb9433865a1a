#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --driver af_packet
"""AF_PACKET ports behave like AF_XDP ports. They are for kernels and interfaces without AF_XDP.

    client1, client3 == edge (nftables keep its kernel off the services) == blue1, blue2 | green1, green2
"""
import lab


def test_flip_and_rollback():
    flows = [
        lab.open_flow(service, host)
        for service in lab.SERVICES
        for host in ("client1", "client3")
        for _ in range(10)
    ]
    births = [flow.ask() for flow in flows]
    lab.expect_equal("colours of the first flows", {birth.split()[0] for birth in births}, {"blue"})
    for active, change in (
        ("green", lambda: lab.flip("green")),
        ("blue", lambda: lab.teal("rollback", "--group", "shop")),
    ):
        change()
        for service in lab.SERVICES:
            lab.expect_equal(f"colour of a new flow of {service}", lab.colour_of_new_flow(service), active)
        lab.expect_equal("answers to old flows", [flow.ask() for flow in flows], births)


def test_tcp_straight_to_a_backends_service_port():
    for host in ("edge", "client1"):
        for address in ("198.18.2.11", "fd18:2::11"):
            flow = lab.TcpFlow(host, address, 8080)
            lab.expect_equal(
                f"answer of {address} to {host}", [flow.ask() for _ in range(20)], ["blue blue1"] * 20
            )
            flow.close()


lab.run()
