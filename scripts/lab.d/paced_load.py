#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""New flows at a constant rate, on the host that it is started on: HTTP requests and UDP datagrams to the
lab's services.

usage: paced_load.py [--seconds N] [--tcp RATE] [--udp RATE]

RATE is in flows a second: --tcp of each TCP service (default: 250), --udp of the UDP service (default: 100).
It ends when its stdin does, or after N seconds. A flow without an answer is given up after 4 s. The load goes
on after failures. At its end it prints {"begun","failed","why"}: the numbers of flows, and of failures by
reason.
"""
import argparse
import collections
import json
import pathlib
import selectors
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from teal.fresh_udp import fresh_udp_socket  # noqa: E402
from teal.lab_services import SERVICES  # noqa: E402

PACE_SECONDS = 0.01
PATIENCE_SECONDS = 4.0
REQUEST = b"GET / HTTP/1.1\r\nHost: teal\r\nConnection: close\r\n\r\n"


class Load:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.begun = collections.deque()  # (time, socket), the oldest first
        self.is_over = False
        self.why = collections.Counter()

    def begin(self, protocol, address, port):
        if protocol == "udp":
            flow = fresh_udp_socket(address, port)
            flow.send(b"1")
        else:
            flow = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            flow.setblocking(False)
            flow.connect_ex((address, port))
        events = selectors.EVENT_READ if protocol == "udp" else selectors.EVENT_WRITE
        self.selector.register(flow, events)
        self.begun.append((time.monotonic(), flow))

    def end(self, flow, failed=None):
        if flow.fileno() >= 0:
            if failed is not None:
                protocol = "tcp" if flow.type == socket.SOCK_STREAM else "udp"
                self.why[f"{protocol}: {failed}"] += 1
            self.selector.unregister(flow)
            flow.close()

    def go_on(self, flow, events):
        try:
            if events & selectors.EVENT_WRITE:
                flow.send(REQUEST)
                self.selector.modify(flow, selectors.EVENT_READ)
            else:
                self.end(flow, failed=None if flow.recv(4096) else "closed without an answer")
        except OSError as error:
            self.end(flow, failed=error.strerror)

    def wait(self, seconds):
        for key, events in self.selector.select(seconds):
            if key.fileobj is sys.stdin:
                self.is_over = True
            else:
                self.go_on(key.fileobj, events)
        while self.begun and self.begun[0][0] < time.monotonic() - PATIENCE_SECONDS:
            self.end(self.begun.popleft()[1], failed="no answer in time")


def main():
    parser = argparse.ArgumentParser(description="new flows at a constant rate")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tcp", type=float, default=250)
    parser.add_argument("--udp", type=float, default=100)
    arguments = parser.parse_args()
    rates = {"tcp": arguments.tcp, "udp": arguments.udp}
    load, start, begun = Load(), time.monotonic(), collections.Counter()
    while not load.is_over and (age := time.monotonic() - start) < arguments.seconds:
        for service in SERVICES.values():
            due = int(age * rates[service[0]])
            for _ in range(due - begun[service]):
                load.begin(*service)
            begun[service] = due
        load.wait(PACE_SECONDS)
    print(json.dumps({"begun": begun.total(), "failed": load.why.total(), "why": load.why}))


main()
