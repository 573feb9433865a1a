#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 18: what a stranger sends neither ends nor moves a flow, and a connection that is over is not
mistaken for a live one.

    client1 (connections; forged packets with their addresses) == edge == blue1, blue2 | green1, green2

A forged RST and a forged SYN have the right addresses and ports, and numbers that are wrong. The
backends' kernels answer what Teal asks. `Raw` is a client without a kernel: it can lose its connection.
"""
import contextlib
import random
import select
import socket
import subprocess
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

import lab

EDGE, OWN = "198.18.1.1", "198.18.1.150"
BLUE = ("blue1", "blue2")
# A probe that is in front of the window is invalid, one that is behind it is not. All have the TTL of a host;
# what Teal forwards has passed a router.
INVALID, ALL_ASKS = "ct state invalid counter drop", "ip ttl 64 counter drop"


class Wire:
    """client1's cable: sends frames to the edge, and gets TCP segments for an address that no host has."""

    def __init__(self):
        lab.ask_once("service-a")  # the edge is a known neighbour
        shown = subprocess.run(
            lab.command("client1", "ip", "neighbour", "show", EDGE), capture_output=True, text=True
        ).stdout
        with lab.on_host("client1"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            self.socket.bind(("eth0", 0))
        self.head = Ether(src=self.socket.getsockname()[4].hex(":"), dst=shown.split("lladdr ")[1].split()[0])

    def send(self, source, flags, port, **numbers):
        segment = IP(src=source, dst=lab.VIP4) / TCP(sport=port, dport=80, flags=flags, **numbers)
        self.socket.send(bytes(self.head / segment))

    def receive(self, port, seconds):
        """The next segment for OWN and this port, or None."""
        deadline = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            packet = Ether(self.socket.recv(65536))
            if IP in packet and TCP in packet and packet[IP].dst == OWN and packet[TCP].dport == port:
                return packet[TCP]
        return None

    def close(self):
        self.socket.close()


class Raw:
    """A client of service-a that loses its connection whenever it likes: no kernel knows of it."""

    def __init__(self, wire, port):
        self.wire, self.port, self.next, self.expected = wire, port, 0, 0

    def send(self, flags, **numbers):
        self.wire.send(OWN, flags, self.port, **{"seq": self.next, "ack": self.expected, **numbers})

    def syn(self):
        """Sends the first SYN of a connection, as a kernel repeats it, until an answer comes. A client that
        has not asked for what comes resets it. Returns the seconds until the SYN-ACK."""
        self.next = random.getrandbits(32)
        began = time.monotonic()
        for patience in (1, 2, 4, 8):
            self.wire.send(OWN, "S", self.port, seq=self.next)
            until = time.monotonic() + patience
            while answer := self.wire.receive(self.port, max(0, until - time.monotonic())):
                if "S" in answer.flags and answer.ack == (self.next + 1) % 2**32:
                    self.next, self.expected = answer.ack, (answer.seq + 1) % 2**32
                    return time.monotonic() - began
                self.wire.send(OWN, "R", self.port, seq=answer.ack)
        raise AssertionError(f"no SYN-ACK for port {self.port} in {time.monotonic() - began:.1f} s")

    def open(self):
        seconds = self.syn()
        self.send("A")
        return seconds

    def request(self, *headers):
        """Sends a request, with these headers."""
        payload = "\r\n".join(["GET / HTTP/1.1", "Host: lab", *headers, "", ""]).encode()
        segment = TCP(sport=self.port, dport=80, flags="PA", seq=self.next, ack=self.expected)
        self.wire.socket.send(bytes(self.wire.head / IP(src=OWN, dst=lab.VIP4) / segment / payload))
        self.next = (self.next + len(payload)) % 2**32

    def ask(self):
        """The colour that answers a request."""
        self.request()
        deadline = time.monotonic() + 3
        while answer := self.wire.receive(self.port, max(0, deadline - time.monotonic())):
            payload = bytes(answer.payload)
            if payload:
                self.expected = (answer.seq + len(payload)) % 2**32
                self.send("A")
                return payload.split(b"\r\n\r\n")[1].split()[0].decode()
        raise AssertionError("no answer to the request")


@contextlib.contextmanager
def wire():
    one = Wire()
    try:
        yield one
    finally:
        one.close()


def forge(one, flow):
    """A RST and a SYN with the addresses of the flow, and random numbers."""
    address, port = flow.socket.getsockname()
    one.send(address, "R", port, seq=random.getrandbits(32))
    one.send(address, "S", port, seq=random.getrandbits(32))


def totals():
    return lab.api().totals()


def fresh_port():
    return random.randrange(20000, 30000)


def survive_forged_packets():
    """Idle connections and a busy one, forged packets about each, and nothing is lost."""
    lab.flip("blue")
    flows = [lab.open_flow("service-a") for _ in range(20)]
    births = [flow.ask() for flow in flows]
    lab.flip("green", "service-a")
    left = lab.flows("service-a", "blue")
    asked = totals()["asks"]
    with wire() as one:
        for _ in range(3):
            for flow in flows:
                forge(one, flow)
            lab.expect_equal("answers to the first flow", flows[0].ask(), births[0])
        lab.expect(lab.flows("service-a", "blue") >= left, "the drain still waits for all of them")
    lab.wait_for(
        "no backend is being asked any more",
        lambda: "asked" not in lab.teal("flows", "--service", "service-a", "-o", "json").stdout,
        15,
    )
    lab.expect_equal("answers", [flow.ask() for flow in flows], births)
    lab.expect_equal("flows of the drain", lab.flows("service-a", "blue"), left)
    lab.expect(totals()["asks"] - asked >= len(flows), "the backends were asked")
    for flow in flows:
        flow.close()


def test_forged_rst_and_syn_after_a_flip_leave_live_connections_alone():
    survive_forged_packets()


def test_the_same_behind_a_firewall_that_drops_invalid_packets():
    with lab.firewall(BLUE, INVALID):
        survive_forged_packets()


def test_the_same_where_no_backend_answers():
    with lab.firewall(BLUE, ALL_ASKS):
        before = totals()["asks_unanswered"]
        survive_forged_packets()
        lab.expect(totals()["asks_unanswered"] > before, "the backends are silent")


def test_rst_of_a_client_ends_its_flow_at_once():
    lab.flip("blue")
    flow = lab.open_flow("service-a")
    flow.ask()
    lab.flip("green", "service-a")
    lab.expect(lab.flows("service-a", "blue") >= 1, "the drain waits for the flow")
    before = lab.flows("service-a", "blue")
    flow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    flow.close()
    lab.wait_for("the flow is over", lambda: lab.flows("service-a", "blue") == before - 1, 1.0)


def test_client_that_lost_its_connection_gets_the_active_colour_by_the_same_port():
    lab.flip("blue")
    with wire() as one:
        client = Raw(one, fresh_port())
        client.open()
        lab.expect_equal("colour", client.ask(), "blue")
        lab.flip("green", "service-a")
        seconds = client.open()
        lab.expect_equal("colour of the new connection", client.ask(), "green")
        print(f"   after {seconds:.1f} s")
        lab.expect(seconds < 8, f"its SYN-ACK came after {seconds:.1f} s")


def test_orphaned_entry_does_not_keep_a_new_connection_on_the_old_colour():
    """The backend has closed its socket, and nobody saw its RST."""
    seconds = orphaned_entry_gives_way()
    print(f"   after {seconds:.1f} s")
    lab.expect(seconds < 2, "by the client's second SYN")


def test_the_same_behind_the_firewalls():
    for rule in (INVALID, ALL_ASKS):
        with lab.firewall(BLUE, rule):
            seconds = orphaned_entry_gives_way()
            print(f"   after {seconds:.1f} s")
            lab.expect(seconds < 6, "by the client's third SYN")


def orphaned_entry_gives_way():
    """Returns the seconds until the client is connected to green."""
    lab.flip("blue")
    with wire() as one:
        client = Raw(one, fresh_port())
        client.open()
        lab.expect_equal("colour", client.ask(), "blue")
        lab.flip("green", "service-a")
        close_silently(client.port)
        seconds = client.open()
        lab.expect_equal("colour of the new connection", client.ask(), "green")
    return seconds


def close_silently(port):
    """Ends the connections of this client's port on blue's hosts, without a segment that leaves."""
    for host in BLUE:
        rules = f"add table inet mute; add chain inet mute out {{ type filter hook output priority -300; }}; \
            add rule inet mute out tcp dport {port} drop"
        subprocess.run(lab.command(host, "nft", rules), check=True)
        try:
            subprocess.run(
                lab.command(host, "ss", "-K", "dst", OWN, "dport", "=", str(port)),
                check=True,
                capture_output=True,
            )
        finally:
            subprocess.run(lab.command(host, "nft", "delete table inet mute"), check=True)


def test_connection_in_time_wait_gives_way():
    lab.flip("blue")
    with wire() as one:
        client = Raw(one, fresh_port())
        client.open()
        client.request("Connection: close")
        while (answer := one.receive(client.port, 3)) is not None and "F" not in answer.flags:
            pass
        lab.expect(answer is not None, "nginx closes first")
        client.expected = (answer.seq + len(bytes(answer.payload)) + 1) % 2**32
        lab.flip("green", "service-a")
        client.send("FA")  # now the backend is in TIME_WAIT
        time.sleep(0.1)
        seconds = client.open()
        lab.expect_equal("colour of the new connection", client.ask(), "green")
        lab.expect(seconds < 0.5, f"at its first SYN, not after {seconds:.1f} s")


def test_connection_in_syn_recv_stays_where_it_is():
    lab.flip("blue")
    with wire() as one:
        client = Raw(one, fresh_port())
        client.syn()
        first = client.next - 1
        lab.flip("green", "service-a")
        one.send(OWN, "S", client.port, seq=first)
        client.send("A")
        lab.expect_equal("colour of the connection", client.ask(), "blue")


if __name__ == "__main__":
    lab.run()
