#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A flood of first packets from 16,384 addresses, for the lab tests. Each packet begins another flow.

usage: flood.py tcp|udp ADDRESS PORT MAC --rate N --seconds N

The program sends SYNs or datagrams to the address, in frames to MAC, by eth0 of the host that it is started
on. It is paced. If it gets no CPU for a while, it does not make up for the packets of this time. At its end
it prints {"sent"}, the number of packets.
"""
import argparse
import ctypes
import json
import random
import socket
import struct
import subprocess
import sys
import time

SOURCES = "198.18.64.0/18"
ADDRESSES = 1 << 14
FRAME_BYTES, STRIDE = 60, 64
BATCH = 32
MOST_BEHIND_SECONDS = 0.01  # the queues of a port have room for the frames of this time
ROUND = 65_535  # sums of 16-bit words, as of checksums, are counted modulo this


class Message(ctypes.Structure):
    """struct mmsghdr"""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent_bytes", ctypes.c_uint),
    ]


class Vector(ctypes.Structure):
    """struct iovec"""

    _fields_ = [("base", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return 0xFFFF - (total % ROUND or ROUND)


class Frames:
    """One frame for each address. All frames have the same two checksums, and these are right: the IP
    identification makes up for the address, and a word of the sequence number or of the payload for address
    and port. So a change of the port costs nothing."""

    def __init__(self, protocol, address, port, source_mac, mac):
        self.buffer = bytearray(STRIDE * ADDRESSES)
        self.port_at, self.word_at = 34, 40 if protocol == "tcp" else 42
        frame = self.first(protocol, address, port, source_mac, mac)
        for at in range(0, len(self.buffer), STRIDE):
            self.buffer[at : at + FRAME_BYTES] = frame
        made_up = [-number % ROUND for number in range(ROUND + ADDRESSES)]
        self.made_up = [bytes(word >> 8 for word in made_up), bytes(word & 0xFF for word in made_up)]
        numbers = range(ADDRESSES)
        self.put(28, [bytes(0x40 | n >> 8 for n in numbers), bytes(n & 0xFF for n in numbers)])
        self.put(18, [half[:ADDRESSES] for half in self.made_up])
        place = (ctypes.c_char * len(self.buffer)).from_buffer(self.buffer)
        start = ctypes.addressof(place)
        self.vectors = (Vector * ADDRESSES)(*(Vector(start + STRIDE * n, FRAME_BYTES) for n in numbers))
        first_vector = ctypes.addressof(self.vectors)
        self.messages = (Message * ADDRESSES)(
            *(Message(vectors=first_vector + n * ctypes.sizeof(Vector), vector_count=1) for n in numbers)
        )
        self.at = ctypes.addressof(self.messages)

    @staticmethod
    def first(protocol, address, port, source_mac, mac):
        """The frame of address 0 and port 0."""
        ends = socket.inet_aton(SOURCES.split("/")[0]) + socket.inet_aton(address)
        if protocol == "tcp":
            sequence = random.getrandbits(16) << 16
            body = struct.pack("!HHIIBBHHH", 0, port, sequence, 0, 0x50, 0x02, 64240, 0, 0)
            checksum_at = 16
        else:
            body = struct.pack("!HHHH", 0, port, FRAME_BYTES - 34, 0).ljust(FRAME_BYTES - 34, b"\0")
            checksum_at = 6
        number = socket.IPPROTO_TCP if protocol == "tcp" else socket.IPPROTO_UDP
        found = checksum(ends + struct.pack("!HH", number, len(body)) + body)
        body = body[:checksum_at] + struct.pack("!H", found) + body[checksum_at + 2 :]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, number, 0) + ends
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        macs = bytes.fromhex(mac.replace(":", "")) + source_mac
        return (macs + b"\x08\x00" + head + body).ljust(FRAME_BYTES, b"\0")

    def put(self, offset, halves):
        """Writes a word into each frame, given the first bytes and the second bytes of all words."""
        for index, half in enumerate(halves):
            self.buffer[offset + index :: STRIDE] = half

    def set_port(self, port):
        self.put(self.port_at, [bytes([half]) * ADDRESSES for half in divmod(port, 256)])
        self.put(self.word_at, [half[port : port + ADDRESSES] for half in self.made_up])


def send(raw, frames, rate, seconds):
    """Returns the number of frames sent."""
    libc = ctypes.CDLL(None, use_errno=True)
    sent, next_frame, port = 0, ADDRESSES, random.randrange(1024, 65_000)
    began = time.monotonic()
    due_from, most_behind = began, max(BATCH, int(rate * MOST_BEHIND_SECONDS))
    due_sent = 0  # since due_from
    while (now := time.monotonic()) < began + seconds:
        due = int((now - due_from) * rate) - due_sent
        if due > most_behind:
            due_from, due_sent, due = now, -most_behind, most_behind
        while due > 0:
            if next_frame == ADDRESSES:
                next_frame, port = 0, port + 1 if port < 65_000 else 1024
                frames.set_port(port)
            count = min(due, BATCH, ADDRESSES - next_frame)
            at = ctypes.c_void_p(frames.at + next_frame * ctypes.sizeof(Message))
            taken = libc.sendmmsg(raw.fileno(), at, count, 0)
            if taken < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent, next_frame, due_sent, due = sent + taken, next_frame + taken, due_sent + taken, due - taken
        time.sleep(0.0005)
    return sent


def main():
    parser = argparse.ArgumentParser(description="a flood of first packets")
    parser.add_argument("protocol", choices=("tcp", "udp"))
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("mac")
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: it receives nothing
    raw.bind(("eth0", 0))
    frames = Frames(given.protocol, given.address, given.port, raw.getsockname()[4], given.mac)
    print(json.dumps({"sent": send(raw, frames, given.rate, given.seconds)}))


def flood(command, service, mac, rate, seconds):
    """Runs the program and returns the number of packets sent. `command` makes the words that run a command
    on the flood's host."""
    protocol, address, port = service
    words = [sys.executable, __file__, protocol, address, port, mac, "--rate", rate, "--seconds", seconds]
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=seconds + 30)
    if done.returncode != 0:
        raise AssertionError(f"flood.py: {done.stderr}")
    return json.loads(done.stdout)["sent"]


if __name__ == "__main__":
    main()
