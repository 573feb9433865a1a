#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""Promises 2, 3 and 4: a thousand flips in a row under load break nothing.

    client1 (wrk, keep-alive, IPv4) ----+
    client2 (wrk, keep-alive, IPv6) ----+== edge == blue1, blue2 | green1, green2
    client3 (wrk, connection a request) +

Two workers hand packets over to each other. The group is flipped 1,000 times. wrk sees no socket error, each
flow that client1 opens between two flips has the active colour, no generation is skipped or repeated, and the
dataplane itself counts no flow of a colour already left.
"""
import re
import signal
import subprocess
import time

import lab

FLIPS = 1000


def start_wrk(host, url, *options):
    return subprocess.Popen(
        lab.command(host, "wrk", "-t1", "-c20", "-d600s", "--timeout", "5s", *options, url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_thousand_flips():
    api = lab.Api()
    services = list(lab.SERVICES)
    wrks = [
        start_wrk("client1", f"http://{lab.VIP4}/"),
        start_wrk("client2", f"http://[{lab.VIP6}]/"),
        start_wrk("client3", f"http://{lab.VIP4}/", "-H", "Connection: close"),
    ]
    try:
        time.sleep(1)
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
        time.sleep(1)
    finally:
        for wrk in wrks:
            wrk.send_signal(signal.SIGINT)
        reports = [wrk.communicate(timeout=30)[0] for wrk in wrks]
    for report in reports:
        requests = int(re.search(r"(\d+) requests in", report)[1])
        print(f"wrk: {requests} requests, {re.search('Requests/sec: *(.*)', report)[1]} a second")
        lab.expect(requests > 1000, f"too few requests to be a load:\n{report}")
        lab.expect("Socket errors" not in report and "Non-2xx" not in report, f"wrk saw errors:\n{report}")
    lab.expect_equal("wrong_colour_flows", api.totals()["wrong_colour_flows"], 0)


lab.run()
