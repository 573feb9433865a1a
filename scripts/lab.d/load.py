# SPDX-License-Identifier: Apache-2.0
"""Load on the lab's services, and the judgement of what the clients saw. For scripts/demo and tests/lab.

    load = Load(["client1", "client3"])
    with load.flipping("green"):
        ...                           # teal flip --group shop --to green
    load.stop()
    print(load.tally.failures, load.tally.wrong)

The clients' clocks decide whether a new flow has the right colour: all namespaces share CLOCK_MONOTONIC. A
flow that began after the acknowledgement of a flip must have the new colour. A flow that had its answer
before the request of the flip must have the old colour. In between, both colours are right.
"""
import contextlib
import json
import pathlib
import subprocess
import sys
import threading
import time

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS / "python"))
from teal.lab_services import COLOURS  # noqa: E402


class Timeline:
    """The colours that a flow may have, by the times of its beginning and of its first answer."""

    def __init__(self, colour):
        self.flips = [[0, 0, colour]]  # asked for, acknowledged (None: not yet), colour

    def begin(self, colour):
        self.flips.append([time.monotonic_ns(), None, colour])

    def acknowledge(self):
        self.flips[-1][1] = time.monotonic_ns()

    def in_progress(self):
        return self.flips[-1][1] is None

    def allowed(self, start, end):
        colours = set()
        for (asked, _, colour), following in zip(self.flips, self.flips[1:] + [None]):
            replaced = following[1] if following else None
            if asked <= end and (replaced is None or start <= replaced):
                colours.add(colour)
        return colours


class Tally:
    """The sum of what all clients saw."""

    def __init__(self, services):
        self.requests = {service: dict.fromkeys(COLOURS, 0) for service in services}
        self.new_flows = {service: dict.fromkeys(COLOURS, 0) for service in services}
        self.failures, self.moved, self.wrong = [], [], []

    def total(self, colour):
        return sum(counts[colour] for counts in self.requests.values())


class Load:
    def __init__(self, hosts, services=("service-a", "service-b", "service-c"), active="blue", **options):
        self.tally = Tally(services)
        self.timeline = Timeline(active)
        self.lock = threading.Lock()
        self.unjudged = []
        self.clients, self.threads = [], []
        arguments = ["--services", ",".join(services)]
        for name, value in options.items():
            arguments += [f"--{name}", str(value)]
        for host in hosts:
            client = subprocess.Popen(
                [
                    SCRIPTS / "lab",
                    "exec",
                    host,
                    "--",
                    "/usr/bin/python3",
                    SCRIPTS / "lab.d" / "load_client.py",
                    *arguments,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )  # Ctrl-C ends only this process
            thread = threading.Thread(target=self._read, args=(host, client.stdout), daemon=True)
            thread.start()
            self.clients.append(client)
            self.threads.append(thread)

    @contextlib.contextmanager
    def flipping(self, colour):
        """Surrounds the command that makes `colour` the active one."""
        with self.lock:
            self.timeline.begin(colour)
        yield
        with self.lock:
            self.timeline.acknowledge()
            self._judge()

    def stop(self):
        """Waits for the requests under way, and returns the tally."""
        for client in self.clients:
            client.stdin.close()
        for client, thread in zip(self.clients, self.threads):
            thread.join(timeout=20)
            try:
                if client.wait(timeout=5) != 0:
                    self.tally.failures.append(f"a client process ended with exit code {client.returncode}")
            except subprocess.TimeoutExpired:
                client.kill()
                self.tally.failures.append("a client process did not end")
        with self.lock:
            self._judge()
        return self.tally

    def _read(self, host, lines):
        for line in lines:
            report = json.loads(line)
            with self.lock:
                for service in self.tally.requests:
                    for colour in COLOURS:
                        self.tally.requests[service][colour] += report["requests"][service][colour]
                self.tally.failures += [f"{host}: {text}" for text in report["failures"]]
                self.tally.moved += [f"{host}: {text}" for text in report["moved"]]
                self.unjudged += [(host, *flow) for flow in report["flows"]]
                self._judge()

    def _judge(self):
        if self.timeline.in_progress():
            return
        for host, service, start, end, colour in self.unjudged:
            self.tally.new_flows[service][colour] += 1
            if colour not in self.timeline.allowed(start, end):
                late = (start - self.timeline.flips[-1][1]) / 1e6
                self.tally.wrong.append(
                    f"{host}: {service}: a new flow was {colour}; begun {late:+.3f} ms from a flip's end"
                )
        self.unjudged = []
