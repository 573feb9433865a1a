#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 11: the dataplane may be killed at any instruction. After a new start, with any number of workers,
every flow resumes.

    client1, client3 (keep-alive connections, HTTP load) == edge == blue1, blue2 | green1, green2

Connections are opened on blue, the group is flipped to green, and more are opened. kill -9 ends
teal-dataplane under load, and it is started with 2, 3 and 1 workers. TCP bridges the gap: no request
fails, and each connection is answered by its own backend.
"""
import time

import lab

HTTP = ("service-a", "service-b")


def open_many():
    return [
        lab.open_flow(service, host, timeout=10)
        for service in HTTP
        for host in ("client1", "client3")
        for _ in range(25)
    ]


def test_kill_dataplane_under_load():
    flows = open_many()
    births = [flow.ask() for flow in flows]
    load = lab.Load(["client1", "client3"], services=HTTP)
    try:
        time.sleep(0.5)
        with load.flipping("green"):
            lab.flip("green")
        green_flows = open_many()
        births += [flow.ask() for flow in green_flows]
        flows += green_flows
        generation = lab.status()["generation"]
        for workers in (2, 3, 1):
            lab.scripts_lab("kill", "dataplane")
            start = time.monotonic()
            lab.scripts_lab("start", "dataplane", "--workers", str(workers))
            flows[0].ask()
            lab.expect(
                time.monotonic() - start < 5,
                f"from start to an answer: {time.monotonic() - start:.1f} s, expected under 5 s",
            )
            lab.expect_equal(
                f"answers to open connections, {workers} workers", [flow.ask() for flow in flows], births
            )
            whole = lab.wait_for(
                "the daemon sees the new dataplane",
                lambda: (now := lab.status())["dataplane"]["running"] and now,
            )
            lab.expect_equal("workers that the daemon sees", whole["dataplane"]["workers"], workers)
            lab.expect_equal("generation after the restart", whole["generation"], generation)
            lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "green")
            lab.expect_equal("colour of a new UDP flow", lab.colour_of_new_flow("service-c"), "green")
            time.sleep(0.5)
    finally:
        tally = load.stop()
    lab.expect_no_trouble(tally)


def test_counts_are_exact_after_a_kill():
    lab.flip("blue")
    lab.wait_for("no flow of service-a is open", lambda: lab.flows("service-a", "blue") == 0)
    flows = [lab.open_flow("service-a") for _ in range(40)]
    for flow in flows:
        flow.ask()
    lab.scripts_lab("kill", "dataplane")
    lab.scripts_lab("start", "dataplane")
    lab.wait_for("40 flows counted again", lambda: lab.flows("service-a", "blue") == 40)
    for flow in flows:
        flow.close()
    lab.wait_for("all closed", lambda: lab.flows("service-a", "blue") == 0)


lab.run()
