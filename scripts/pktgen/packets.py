# SPDX-License-Identifier: Apache-2.0
"""Makes pcaps for streams that Pktgen's ranges cannot make: packets with different TCP flags, or from both
sides.

Established flow k has the client address client + k, as in teal.lua's ranges. A flow that begins and ends
has client + 2^20 + k. All have the same client port.
"""
import ipaddress
import struct

OTHERS = 1 << 20  # addresses after the first established client
SOURCE_MAC = bytes.fromhex("020000000001")
FCS_BYTES = 4
SYN, RST, ACK = 0x02, 0x04, 0x10
UDP, TCP = 17, 6
PCAP_HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)  # version 2.4, Ethernet


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


class Frames:
    """The frames of one scenario, by its settings (run: settings_of)."""

    def __init__(self, settings):
        self.settings = settings
        self.vip, self.backend, self.client = (
            int(ipaddress.IPv4Address(settings[name])) for name in ("vip", "backend", "client")
        )
        self.protocol = TCP if settings["protocol"] == "tcp" else UDP

    def from_client(self, number, flags=ACK):
        port = self.settings["client_port"]
        there = (self.vip, self.settings["vip_port"])
        return self.frame(self.settings["client_side_mac"], (self.client + number, port), there, flags)

    def from_backend(self, number, flags=ACK):
        here = (self.backend, self.settings["backend_port"])
        there = (self.client + number, self.settings["client_port"])
        return self.frame(self.settings["backend_side_mac"], here, there, flags)

    def frame(self, mac, source, target, flags):
        room = self.settings["frame_bytes"][0] - FCS_BYTES - 14 - 20
        ends = struct.pack("!HH", source[1], target[1])
        if self.protocol == TCP:
            segment = ends + struct.pack("!IIBBHHH", 1000, 2000, 5 << 4, flags, 65535, 0, 0)
            checksum_at = 16
        else:
            segment = ends + struct.pack("!HH", room, 0) + b"\0" * (room - 8)
            checksum_at = 6
        pseudo = struct.pack("!IIBBH", source[0], target[0], 0, self.protocol, len(segment))
        value = struct.pack("!H", checksum(pseudo + segment) or 0xFFFF)
        segment = segment[:checksum_at] + value + segment[checksum_at + 2 :]
        header = struct.pack(
            *(
                "!BBHHHBBHII",
                0x45,
                0,
                20 + len(segment),
                0,
                0x4000,
                64,
                self.protocol,
                0,
                source[0],
                target[0],
            )
        )
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        frame = mac_bytes(mac) + SOURCE_MAC + b"\x08\0" + header + segment
        return frame.ljust(self.settings["frame_bytes"][0] - FCS_BYTES, b"\0")


def new_flows(frames, settings):
    count = settings["flows"]
    for k in range(count):
        yield frames.from_client(OTHERS + k, SYN)
        yield frames.from_client(OTHERS + (k + count // 2) % count, RST)


def syn_flood(frames, settings):
    for k in range(settings["flood"]):
        yield frames.from_client(OTHERS + k, SYN)


def both_directions(frames, settings):
    for k in range(settings["flows"]):
        yield frames.from_client(k)
        yield frames.from_backend(k)


def flip(frames, settings):
    """Eight of ten packets are of established flows."""
    flows = settings["flows"]
    count = max(2, flows // 8)
    for i in range(count):
        yield frames.from_client(OTHERS + i, SYN)
        yield from (frames.from_client((8 * i + k) % flows) for k in range(4))
        yield frames.from_client(OTHERS + (i + count // 2) % count, RST)
        yield from (frames.from_client((8 * i + k) % flows) for k in range(4, 8))


STREAMS = {"new-flows": new_flows, "syn-flood": syn_flood, "both-directions": both_directions, "flip": flip}


def wanted(settings):
    """Whether the scenario needs a pcap. With two ports, each port sends one direction without one."""
    both = settings["scenario"] == "both-directions" and settings["ports"] == 2
    return settings["scenario"] in STREAMS and not both


def write_pcap(path, settings):
    frames = Frames(settings)
    with open(path, "wb") as file:
        file.write(PCAP_HEADER)
        for frame in STREAMS[settings["scenario"]](frames, settings):
            file.write(struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)
