#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real clients of the lab's services, in one process, on the host that it is started on. Started by load.py.

usage: load_client.py [--services service-a,...] [--kept N] [--renewed N] [--new N] [--pause SECONDS]

For each service it runs
  kept     clients that keep one flow (a keep-alive connection, a UDP socket) until the process ends
  renewed  clients that keep a flow for 6 s and then open another one
  new      clients that open a flow for each request
One backend must answer a flow all its life. An answer of another backend is reported as "moved".

The process ends when its stdin does. Four times a second it prints a line of JSON with the events since
the last line:
  {"requests": {"service-a": {"blue": 12, "green": 0}, ...},
   "flows": [["service-a", START, END, "blue"], ...],
   "failures": ["service-a: ..."], "moved": ["service-a: ..."]}
START is before connect(), END after the first answer of a new flow, in ns of CLOCK_MONOTONIC.
"""
import argparse
import asyncio
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from teal.fresh_udp import fresh_udp_socket  # noqa: E402
from teal.lab_services import COLOURS, SERVICES  # noqa: E402

RENEW_SECONDS = 6.0
TIMEOUT_SECONDS = {"tcp": 8.0, "udp": 2.0}  # the kernel repeats a lost SYN after 1 s, and after 2 s more


class HttpFlow:
    """A keep-alive connection; ask() returns the body, "COLOUR NAME"."""

    async def open(self, address, port):
        self.reader, self.writer = await asyncio.open_connection(address, port)
        self.request = f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()

    async def ask(self):
        self.writer.write(self.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        if " 200 " not in head.split("\r\n")[0]:
            raise OSError(f"answer was {head.splitlines()[0]}")
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        return (await self.reader.readexactly(length)).decode().strip()

    def close(self):
        self.writer.close()


class UdpFlow:
    """A socket, hence a flow; ask() returns "COLOUR NAME". Datagrams carry a number, so that a late answer
    is not taken for the next one."""

    async def open(self, address, port):
        self.socket = fresh_udp_socket(address, port)
        self.socket.setblocking(False)
        self.number = 0

    async def ask(self):
        self.number += 1
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, b"%d" % self.number)
        while True:
            colour, name, number = (await loop.sock_recv(self.socket, 2048)).decode().split()
            if int(number) == self.number:
                return f"{colour} {name}"

    def close(self):
        self.socket.close()


class Client:
    def __init__(self, pause):
        self.pause = pause
        self.running = True
        self.forget()

    def forget(self):
        self.requests = {name: dict.fromkeys(COLOURS, 0) for name in SERVICES}
        self.flows, self.failures, self.moved = [], [], []

    def report(self):
        line = {
            "requests": self.requests,
            "flows": self.flows,
            "failures": self.failures,
            "moved": self.moved,
        }
        self.forget()
        print(json.dumps(line), flush=True)

    async def run_flow(self, service, seconds):
        """Opens one flow and keeps it for `seconds`; 0 is a single request."""
        kind, address, port = SERVICES[service]
        flow = HttpFlow() if kind == "tcp" else UdpFlow()
        born, start, end = None, time.monotonic_ns(), time.monotonic() + seconds
        try:
            await asyncio.wait_for(flow.open(address, port), TIMEOUT_SECONDS[kind])
            while True:
                answer = await asyncio.wait_for(flow.ask(), TIMEOUT_SECONDS[kind])
                colour = answer.split()[0]
                self.requests[service][colour] += 1
                if born is None:
                    born = answer
                    self.flows.append((service, start, time.monotonic_ns(), colour))
                elif answer != born:
                    self.moved.append(f"{service}: a flow of {born} was answered by {answer}")
                if not self.running or time.monotonic() >= end:
                    return
                await asyncio.sleep(self.pause)
        except Exception as error:  # the request has failed, whatever the error is
            whose = f"a flow of {born or 'nobody yet'}, {(time.monotonic_ns() - start) / 1e9:.2f} s old"
            self.failures.append(f"{service}: {type(error).__name__} {error} ({whose})")
            await asyncio.sleep(self.pause)
        finally:
            if hasattr(flow, "writer") or hasattr(flow, "socket"):
                flow.close()

    async def repeat(self, service, seconds):
        while self.running:
            await self.run_flow(service, seconds)
            await asyncio.sleep(self.pause)

    async def run(self, services, kept, renewed, new):
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, lambda: stop.set() if not os.read(0, 4096) else None)
        tasks = []
        for service in services:
            tasks += [self.repeat(service, float("inf")) for _ in range(kept)]
            tasks += [self.repeat(service, RENEW_SECONDS) for _ in range(renewed)]
            tasks += [self.repeat(service, 0) for _ in range(new)]
        tasks = [asyncio.create_task(task) for task in tasks]
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), 0.25)
            except asyncio.TimeoutError:
                self.report()
        self.running = False
        await asyncio.gather(*tasks)
        self.report()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", default=",".join(SERVICES))
    parser.add_argument("--kept", type=int, default=3)
    parser.add_argument("--renewed", type=int, default=1)
    parser.add_argument("--new", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.03)
    arguments = parser.parse_args()
    client = Client(arguments.pause)
    asyncio.run(client.run(arguments.services.split(","), arguments.kept, arguments.renewed, arguments.new))


if __name__ == "__main__":
    main()
