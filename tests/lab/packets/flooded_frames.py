#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 13: a frame for another MAC address goes to the kernel and makes no flow, also after the operator
has changed the MAC address of a port.

    client1 (connections), client2 (floods) == bridge == edge (front) == blue1, blue2

The bridge floods a frame to all its ports if it does not know the frame's MAC address.
"""
import contextlib
import random
import re
import socket
import subprocess
import threading
import time

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether

import lab

NOBODY, BROADCAST, MULTICAST = "02:00:00:00:00:77", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:0a"
FIRST, SECOND = "02:00:00:00:01:55", "02:00:00:00:01:66"  # MAC addresses that front gets
SENDER = "198.18.1.102"


def on(host, *words):
    return subprocess.run(lab.command(host, *words), check=True, capture_output=True, text=True).stdout


def mac_of(host, interface):
    return re.search("link/ether ([0-9a-f:]+)", on(host, "ip", "link", "show", interface))[1]


def totals():
    return lab.api().totals()


@contextlib.contextmanager
def cable(host, interface):
    """A socket that sends and receives whole frames."""
    with lab.on_host(host):
        one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        one.bind((interface, 0))
    with one:
        yield one


def frames(one, seconds):
    """The IPv4 frames that come in the next seconds."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        one.settimeout(left)
        with contextlib.suppress(TimeoutError):
            packet = Ether(one.recv(65536))
            if IP in packet:
                yield packet


def syn(to_mac, port):
    segment = TCP(sport=port, dport=80, flags="S", seq=random.getrandbits(32))
    return Ether(src=mac_of("client2", "eth0"), dst=to_mac) / IP(src=SENDER, dst=lab.VIP4) / segment


def flood(to_mac):
    """Sends SYNs to the VIP and this MAC address from client2. Returns the answers, the ports of the SYNs
    that the kernel of the edge got unchanged, the ports of all SYNs, and the flows that began."""
    before = totals()
    sent = {port: bytes(syn(to_mac, port)) for port in random.sample(range(30000, 40000), 20)}
    with cable("client2", "eth0") as sender, cable("edge", "front") as kernel:
        for frame in sent.values():
            sender.send(frame)
        got = [packet for packet in frames(kernel, 0.5) if bytes(packet) in sent.values()]
        answers = [
            packet
            for packet in frames(sender, 0.5)
            if packet[IP].dst == SENDER and (ICMP in packet or (TCP in packet and packet[TCP].dport in sent))
        ]
    begun = totals()["flows_created"] - before["flows_created"]
    return answers, {packet[TCP].sport for packet in got}, set(sent), begun


def expect_flood_is_left_alone(to_mac):
    answers, seen, sent, begun = flood(to_mac)
    lab.expect_equal(f"flows begun by SYNs to {to_mac}", begun, 0)
    lab.expect_equal(f"answers to SYNs to {to_mac}", answers, [])
    lab.expect_equal(f"SYNs to {to_mac} that the kernel got unchanged", seen, sent)


def become_known(mac):
    """A new MAC address may be the port's. For a second, the kernel of the edge gets no packet to it."""
    answers, seen, _, begun = flood(mac)
    lab.expect_equal(
        f"flows, answers and packets in the kernel for the new {mac}", (begun, answers, seen), (0, [], set())
    )
    time.sleep(1.2)


def test_frames_for_another_mac_begin_no_flow():
    become_known(NOBODY)
    for mac in (NOBODY, BROADCAST, MULTICAST):
        expect_flood_is_left_alone(mac)


def test_frames_for_the_port_begin_flows():
    answers, seen, sent, begun = flood(mac_of("edge", "front"))
    lab.expect_equal("flows begun", begun, len(sent))
    lab.expect_equal("SYNs that are answered", {answer[TCP].dport for answer in answers}, sent)
    lab.expect_equal("SYNs that the kernel got", seen, set())


@contextlib.contextmanager
def asking(count):
    """Connections of client1 to service-a that ask all the time. Yields the list of what went wrong."""
    wrong, ended = [], threading.Event()

    def ask_on_and_on(flow, birth):
        while not ended.is_set():
            try:
                if (answer := flow.ask()) != birth:
                    wrong.append(f"{birth} moved to {answer}")
            except (OSError, AssertionError) as error:
                wrong.append(repr(error))
                return

    flows = [lab.open_flow("service-a") for _ in range(count)]
    threads = [threading.Thread(target=ask_on_and_on, args=(flow, flow.ask())) for flow in flows]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for flow in flows:
            flow.close()


def change_mac(to):
    on("edge", "ip", "link", "set", "front", "address", to)


def source_of_answers():
    """The MAC addresses that client1's answers come from, within half a second."""
    with cable("client1", "eth0") as one:
        lab.ask_once("service-a")
        return {packet.src for packet in frames(one, 0.5) if packet[IP].src == lab.VIP4}


@contextlib.contextmanager
def first_mac_again():
    before = mac_of("edge", "front")
    try:
        yield before
    finally:
        change_mac(before)
        time.sleep(2)


def test_connections_survive_a_change_of_the_mac():
    on("edge", "sysctl", "-qw", "net.ipv4.conf.front.arp_notify=1")
    with first_mac_again() as before, asking(8) as wrong:
        for mac in (FIRST, SECOND):
            time.sleep(1.2)  # the kernel takes no other MAC for a second after the latest
            change_mac(mac)
            time.sleep(2)
            lab.expect_equal("MAC addresses of answers", source_of_answers(), {mac})
        lab.expect_equal("trouble", wrong, [])
        for former in (before, FIRST):
            flood(former)
            time.sleep(1.2)  # the address is no longer new
            expect_flood_is_left_alone(former)
    log = (lab.RUN_DIR / "log" / "dataplane.log").read_text()
    line = f"port front: the MAC address changed from {FIRST} to {SECOND}"
    lab.expect(line in log, f"the log says:\n{log}")


def test_kernel_that_has_the_vip_resets_no_connection_at_a_change():
    """The kernel would answer a packet of a connection that it does not know by a RST."""
    on("edge", "sysctl", "-qw", "net.ipv4.conf.front.arp_notify=1")
    on("edge", "ip", "address", "add", f"{lab.VIP4}/32", "dev", "lo")
    try:
        with first_mac_again(), asking(8) as wrong:
            for mac in (f"02:00:00:00:02:{number}" for number in range(10, 18)):
                time.sleep(1.2)
                change_mac(mac)
            time.sleep(1)
            lab.expect_equal("trouble", wrong, [])
    finally:
        on("edge", "ip", "address", "del", f"{lab.VIP4}/32", "dev", "lo")


if __name__ == "__main__":
    lab.run()
