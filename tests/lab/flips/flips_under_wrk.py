#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""Promises 2, 3 and 4: a thousand flips under load break nothing.

    client1 (wrk, keep-alive, IPv4) ----+
    client2 (wrk, keep-alive, IPv6) ----+== edge == blue1, blue2 | green1, green2
    client3 (wrk, connection a request) +

Two workers hand packets over to each other. The group is flipped 1,000 times. wrk sees no socket error.
Each flow that client1 opens between two flips has the active colour. No generation is skipped or repeated.
The dataplane counts no new flow of the idle colour.
"""
import lab

FLIPS = 1000


def test_a_thousand_flips():
    api = lab.api()
    services = list(lab.SERVICES)
    with lab.wrk(
        ("client1", "-c20", f"http://{lab.VIP4}/"),
        ("client2", "-c20", f"http://[{lab.VIP6}]/"),
        ("client3", "-c20", "-H", "Connection: close", f"http://{lab.VIP4}/"),
    ):
        before = lab.status()["generation"]
        for number in range(1, FLIPS + 1):
            active = lab.COLOURS[number % 2]
            code, answer = api.call(
                "POST", "/v1/flip", {"group": "shop", "to": active, "if_generation": before + number - 1}
            )
            lab.expect_equal(f"status of flip {number} ({answer})", code, 200)
            lab.expect_equal(f"generation of flip {number}", answer["generation"], before + number)
            lab.expect_equal(f"services of flip {number}", len(answer["changed"]), 3)
            service = services[number % 3]
            lab.expect_equal(
                f"colour of a new flow of {service} after flip {number}",
                lab.colour_of_new_flow(service),
                active,
            )
        lab.expect_equal("generation after all flips", lab.status()["generation"], before + FLIPS)
    lab.expect_equal("wrong_colour_flows", api.totals()["wrong_colour_flows"], 0)


lab.run()
