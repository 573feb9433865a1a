#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 18: answers leave to where the client is, whatever a stranger sends, and follow its router.

    client3 -- router == edge == blue1        client1 and blue2 send forged packets with client3's address

A server pushes a line every 50 ms, and the client only listens. So a flow that leaves by a wrong hop
receives nothing, and its client has no reason to speak.
"""
import contextlib
import re
import socket
import subprocess
import threading
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

import lab

PUSH, SERVER = ("198.18.0.20", 7000), ("198.18.2.11", 7000)
SERVICE = """

[[service]]
name = "push"
vip = "198.18.0.20:7000"
protocol = "tcp"
blue = ["198.18.2.11:7000"]
green = ["198.18.2.21:7000"]
"""
STRANGER = "02:00:00:00:00:99"


def mac_of(host, interface):
    shown = subprocess.run(
        lab.command(host, "ip", "link", "show", interface), capture_output=True, text=True, check=True
    ).stdout
    return re.search("link/ether ([0-9a-f:]+)", shown)[1]


def on(host, *words):
    subprocess.run(lab.command(host, *words), check=True, capture_output=True)


class Stream:
    """A connection of client3 to the service, by which the server pushes."""

    def __init__(self):
        with lab.on_host("blue1"):
            listener = socket.create_server(SERVER)
        with lab.on_host("client3"):
            self.client = socket.create_connection(PUSH, timeout=5)
        self.server, _ = listener.accept()
        listener.close()
        self.client.sendall(b"go\n")
        self.server.recv(16)
        self.ended, self.paused = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.push)
        self.thread.start()

    def push(self):
        with contextlib.suppress(OSError):
            while not self.ended.wait(0.05):
                if not self.paused.is_set():
                    self.server.sendall(b"push\n")

    @contextlib.contextmanager
    def silent(self):
        """In the block neither end sends anything."""
        self.paused.set()
        time.sleep(0.3)  # longer than a delayed ACK
        yield
        self.paused.clear()

    def longest_silence(self, seconds):
        """The longest time without a byte in the next `seconds`, the time at their end included."""
        end, last, longest = time.monotonic() + seconds, time.monotonic(), 0.0
        while (left := end - time.monotonic()) > 0:
            self.client.settimeout(left)
            with contextlib.suppress(TimeoutError):
                lab.expect(self.client.recv(65536), "the connection has ended")
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return max(longest, time.monotonic() - last)

    def close(self):
        self.ended.set()
        self.server.close()
        self.client.close()
        self.thread.join()


@contextlib.contextmanager
def stream():
    if "push" not in lab.teal("list").stdout:
        with (lab.RUN_DIR / "teal.toml").open("a") as config:
            config.write(SERVICE)
        lab.teal("reload")
        on("edge", "ping", "-c1", "-W2", SERVER[0])
    one = Stream()
    try:
        lab.expect(one.longest_silence(1) < 0.8, "the server's push stream does not arrive")
        yield one
    finally:
        one.close()


def forge(host, interface, from_mac, to_mac, client):
    """Sends data with the addresses of the stream and a number that the server does not expect."""
    address, port = client.getsockname()
    segment = IP(src=address, dst=PUSH[0], ttl=63) / TCP(sport=port, dport=PUSH[1], flags="PA", seq=1, ack=1)
    with lab.on_host(host):
        cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        cable.bind((interface, 0))
    with cable:
        cable.send(bytes(Ether(src=from_mac, dst=to_mac) / segment / b"forged"))


def survives(host, port_of_edge, from_mac):
    before = lab.api().totals()["rx"]
    with stream() as one:
        with one.silent():
            forge(host, "eth0", from_mac, mac_of("edge", port_of_edge), one.client)
        silence = one.longest_silence(2)
    lab.expect(lab.api().totals()["rx"] > before, "Teal got no packet")
    lab.expect(silence < 1, f"the stream stalled for {silence:.1f} s")


def test_router_that_changes_its_mac_keeps_its_streams():
    before = mac_of("router", "eth0")
    on("router", "sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1")
    with stream() as one:
        time.sleep(1.2)  # the kernel takes no other MAC for a second after the latest
        with one.silent():
            on("router", "ip", "link", "set", "eth0", "address", "02:00:00:00:01:77")
        try:
            silence = one.longest_silence(6)
            lab.expect(silence < 3, f"the stream stalled for {silence:.1f} s")
        finally:
            on("router", "ip", "link", "set", "eth0", "address", before)
    print(f"without a byte for {silence:.2f} s")


def test_stranger_on_the_link_redirects_no_stream():
    survives("client1", "front", STRANGER)


def test_forged_packet_by_another_known_neighbour_redirects_no_stream():
    lab.ask_once("service-a", "client1")  # the kernel knows client1
    on("client1", "ping", "-c1", "-W2", "198.18.1.1")
    survives("client1", "front", mac_of("client1", "eth0"))


def test_packet_of_a_backend_side_port_redirects_no_stream():
    survives("blue2", "back", mac_of("blue2", "eth0"))


if __name__ == "__main__":
    lab.run()
