#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 16: every packet gets one verdict, and every drop has a reason. Broken packets break nothing.

    client1 (hand-made frames) == edge == blue1, blue2 | green1, green2

client1 sends raw frames to the edge's MAC. Then the counters have exactly one verdict for each packet that
reached a worker, the broken packets have the right one, and the switch still works.
"""
import random
import re
import socket
import subprocess

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

import lab

CLIENT4, CLIENT6 = "198.18.1.101", "fd18:1::101"


def ethernet():
    with lab.on_host("client1"):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind(("eth0", 0))
        source = raw.getsockname()[4].hex(":")
    lab.expect(lab.ask_once("service-a"), "the edge is a known neighbour")
    shown = subprocess.run(
        lab.command("client1", "ip", "neighbour", "show", "198.18.1.1"), capture_output=True, text=True
    ).stdout
    return raw, Ether(src=source, dst=shown.split("lladdr ")[1].split()[0])


def drop_reasons():
    source = (lab.REPO / "dataplane" / "shm" / "counters.h").read_text()
    return re.findall(
        r"^  X\((\w+),", source.split("#define TEAL_DROP_REASONS")[1].split("#define")[0], re.MULTILINE
    )


DROPS = drop_reasons()


def send(frames):
    """Returns the growth of the counters by these frames, and by the requests that show that the switch
    works."""
    api = lab.api()
    before = api.totals()
    raw, head = ethernet()
    for frame in frames:
        raw.send(bytes(head)[:12] + frame if isinstance(frame, bytes) else bytes(head / frame))
    raw.close()
    for service in lab.SERVICES:
        lab.expect_equal(f"colour of a new flow of {service}", lab.colour_of_new_flow(service), "blue")

    def settled():
        grown = {name: value - before[name] for name, value in api.totals().items()}
        return (
            grown
            if grown["rx"] == grown["tx"] + grown["punted"] + sum(grown[name] for name in DROPS)
            else None
        )

    return lab.wait_for("each packet received has one verdict", settled)


def syn4(**fields):
    return IP(src=CLIENT4, dst=lab.VIP4, **fields) / TCP(sport=7000, dport=80, flags="S")


def syn6(**fields):
    return IPv6(src=CLIENT6, dst=lab.VIP6, **fields) / TCP(sport=7000, dport=80, flags="S")


def test_truncated():
    whole = [
        b"\x08\x00" + bytes(syn4()),
        b"\x08\x00" + bytes(IP(src=CLIENT4, dst=lab.VIP4) / UDP(sport=7000, dport=5300) / Raw(b"x" * 8)),
        b"\x86\xdd" + bytes(syn6()),
    ]
    # The frame ends too early, or the IP length is too small. The steering program passes a packet that it
    # cannot read to the kernel, which drops it. Without a steering program, a worker counts the packet as
    # truncated (tests/unit/dataplane).
    grown = send(
        [frame[:length] for frame in whole for length in range(2, len(frame))]
        + [syn4(len=24), syn4(len=39), syn6(plen=4), syn6(plen=19)]
    )
    lab.expect_equal("packets dropped by workers", sum(grown[name] for name in DROPS), 0)


def test_malformed():
    bad_lengths = [bytes(syn4()), bytes(syn6())]
    grown = send(
        [
            syn4(ihl=4),
            syn4(ihl=15),
            syn4(len=10),
            syn4(len=3000),
            syn4(version=5),
            syn4(ttl=0),
            IP(src=CLIENT4, dst=lab.VIP4) / TCP(sport=7001, dport=80, flags="S", dataofs=4),
            IP(src=CLIENT4, dst=lab.VIP4) / TCP(sport=7002, dport=80, flags="S", dataofs=15),
            IP(src=CLIENT4, dst=lab.VIP4) / UDP(sport=7003, dport=5300, len=4) / b"abcd",
            IP(src=CLIENT4, dst=lab.VIP4) / UDP(sport=7004, dport=5300, len=4000) / b"abcd",
            syn6(plen=4),
            syn6(plen=5000),
            syn6(version=4),
            *(b"\x08\x00" + packet for packet in bad_lengths),
            *(b"\x86\xdd" + packet for packet in bad_lengths),
        ]
    )
    lab.expect(grown["bad_header"] + grown["truncated"] > 0, f"no packet was dropped as malformed: {grown}")


def test_fragments():
    datagram = IP(src=CLIENT4, dst=lab.VIP4, id=99) / UDP(sport=7005, dport=5300) / Raw(b"f" * 3000)
    grown = send(
        fragment(datagram, 1000)
        + [
            IPv6(src=CLIENT6, dst=lab.VIP6)
            / IPv6ExtHdrFragment(id=7, m=1)
            / UDP(sport=7006, dport=80)
            / Raw(b"f" * 64),
            IPv6(src=CLIENT6, dst=lab.VIP6) / IPv6ExtHdrFragment(id=7, offset=9, nh=17) / Raw(b"f" * 64),
        ]
    )
    lab.expect(grown["fragment"] >= 3, f"fragments are not counted as such: {grown}")


def test_unknown():
    """Packets that are not for a service. The kernel takes or drops them."""
    send(
        [
            b"\x88\xb5" + b"?" * 60,
            Dot1Q(vlan=7) / syn4(),
            IP(src=CLIENT4, dst=lab.VIP4, proto=47) / Raw(b"g" * 40),
            IP(src=CLIENT4, dst=lab.VIP4) / TCP(sport=7007, dport=81, flags="S"),
            IP(src=CLIENT4, dst=lab.VIP4) / UDP(sport=7008, dport=80),
            IP(src=CLIENT4, dst=lab.VIP4) / ICMP(),
            IP(src=CLIENT4, dst=lab.VIP4) / ICMP(type=3, code=1) / Raw(b"short"),
            IPv6(src=CLIENT6, dst=lab.VIP6) / IPv6ExtHdrHopByHop() / TCP(sport=7009, dport=80, flags="S"),
            IP(src=CLIENT4, dst="198.18.0.77") / TCP(sport=7010, dport=80, flags="S"),
        ]
    )


def test_random_bytes():
    """Valid packets with random bytes. The addresses stay, so that the packets reach a worker."""
    chance = random.Random(20)
    frames = []
    for _ in range(3000):
        kind, packet = chance.choice(
            (
                (b"\x08\x00", syn4()),
                (b"\x86\xdd", syn6()),
                (b"\x08\x00", IP(src=CLIENT4, dst=lab.VIP4) / UDP(sport=7011, dport=5300) / b"y"),
            )
        )
        body = bytearray(bytes(packet))
        first = 20 if kind == b"\x08\x00" else 40
        for _ in range(chance.randint(1, 4)):
            position = chance.choice([0, 1, 2, 3, 4, 5, 6, 7, *range(first + 4, len(body))])
            body[position] = chance.randrange(256)
        frames.append(kind + bytes(body[: chance.randint(10, len(body))]))
    send(frames)


lab.run()
