#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A backend that refuses is ejected within 2 s, its clients move on, and it is back after its time.

    client1 == edge (teald) == blue1 (a firewall refuses port 8080), blue2 | green1, green2

service-a has no check: the flows alone show that blue1 refuses.
"""
import time

import lab

TIME = 5  # seconds of the first ejection


def ejected():
    backends = lab.status("service-a")["colours"]["blue"]["backends"]
    return next(one for one in backends if one["address"] == "198.18.2.11:8080").get("ejected")


def host_of_new_flow():
    """None: the flow was refused."""
    try:
        return lab.ask_once("service-a").split()[1]
    except OSError:
        return None


def test_a_backend_that_refuses_is_ejected_and_comes_back():
    lab.add_to_service_a(f'eject = {{ time = "{TIME}s" }}')
    lab.teal("reload")
    lab.expect_equal("hosts", {host_of_new_flow() for _ in range(40)}, {"blue1", "blue2"})
    with lab.firewall(["blue1"], "reject with tcp reset"):
        began = time.monotonic()
        while not ejected():
            lab.expect(time.monotonic() < began + 2, "blue1 is not ejected after 2 s")
            host_of_new_flow()
        ejected_at = time.monotonic()
        lab.expect_equal("hosts", {host_of_new_flow() for _ in range(40)}, {"blue2"})
        shown = lab.teal("status", "service-a").stdout
        lab.expect("failures since its last answer" in " ".join(shown.split()), f"status says why: {shown}")
        told = lab.teal("events", "-o", "json").stdout
        lab.expect('"ejection"' in told, f"an event tells of it: {told}")
    lab.wait_for("blue1 back", lambda: not ejected(), seconds=TIME + 3)
    lab.expect(time.monotonic() > ejected_at + TIME - 1, "blue1 is back before its time is over")
    lab.wait_for("a new flow on blue1", lambda: host_of_new_flow() == "blue1", seconds=3)


lab.run()
