#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 6: a SYN that was never answered follows the rollback.

    client1 (connects) == edge == blue1, blue2 | green1, green2 (drop every SYN)

The service is flipped to green, which answers no SYN, and back to blue after the client has sent a SYN and
its first retransmission. Green gets no further SYN: the client connects by its first one after the rollback.
A connection that a backend has answered stays on this backend.
"""
import json
import subprocess
import threading
import time

import lab

GREEN = ("green1", "green2")
ROLLBACK = 1.2  # seconds after the first SYN; the kernel sends the second one after 1 s


def silent_green():
    """Green's hosts drop SYNs to nginx during the block."""
    return lab.firewall(GREEN, "tcp flags & (syn | ack) == syn counter drop")


def dropped_syns():
    total = 0
    for host in GREEN:
        listed = subprocess.run(
            lab.command(host, "nft", "-j", "list", "chain", "inet", "bad", "in"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        total += sum(
            expression["counter"]["packets"]
            for entry in json.loads(listed)["nftables"]
            for expression in entry.get("rule", {}).get("expr", [])
            if "counter" in expression
        )
    return total


class Connecting(threading.Thread):
    """Connects, and measures how long this takes."""

    def __init__(self, service):
        super().__init__()
        self.service, self.flow, self.error, self.seconds = service, None, None, None
        self.began_at = time.monotonic()
        self.start()

    def run(self):
        try:
            self.flow = lab.open_flow(self.service, timeout=8)
        except OSError as error:
            self.error = error
        self.seconds = time.monotonic() - self.began_at


def connects_after_a_rollback(service):
    lab.flip("blue", service)
    old = lab.open_flow(service)
    birth = old.ask()
    with silent_green():
        lab.flip("green", service)
        client = Connecting(service)
        time.sleep(ROLLBACK)
        lab.teal("rollback", service)
        lab.expect(client.is_alive(), "green stays silent")
        dropped = dropped_syns()
        client.join()
        lab.expect_equal("SYNs that green got after the rollback", dropped_syns() - dropped, 0)
    lab.expect(dropped >= 1, "green got the client's SYN")
    lab.expect_equal(f"error of the client after {client.seconds:.2f} s", client.error, None)
    # A client repeats its SYN after 1, 3 and 7 s.
    lab.expect(client.seconds < 5, f"connects at the first SYN after the rollback: {client.seconds:.2f} s")
    lab.expect_equal("colour of the connection", client.flow.ask().split()[0], "blue")
    lab.expect_equal("answer to the connection of before", old.ask(), birth)
    lab.expect_equal("wrong colours", lab.api().totals()["wrong_colour_flows"], 0)
    client.flow.close()
    old.close()
    print(f"   {service}: connected {client.seconds:.2f} s after the first SYN")


def test_half_open_connection_follows_the_rollback_over_ipv4():
    connects_after_a_rollback("service-a")


def test_half_open_connection_follows_the_rollback_over_ipv6():
    connects_after_a_rollback("service-b")


lab.run()
