# SPDX-License-Identifier: Apache-2.0
"""What the lab tests share: hosts, flows, Teal's commands, and a small runner.

A test file opens with its topology and claim, has functions test_*(), and ends with lab.run(). It is run by
scripts/test with a lab freshly up (all services blue, generation as at the start); by hand: scripts/lab up;
tests/lab/NAME.py; scripts/lab down. Each test prints "ok NAME", "not ok NAME: why" or "skip NAME: why".
"""
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import traceback

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TEAL_BUILD_DIR", REPO / "build"))
RUN_DIR = pathlib.Path("/run/teal-lab")
VIP4, VIP6 = "198.18.0.10", "fd18:0::10"
SERVICES = {"service-a": ("tcp", VIP4, 80), "service-b": ("tcp", VIP6, 80), "service-c": ("udp", VIP4, 5300)}
COLOURS = ("blue", "green")
CLONE_NEWNET = 0x40000000

sys.path.insert(0, str(REPO / "scripts" / "lab.d"))
from fresh_udp import fresh_udp_socket  # noqa: E402
from load import Load  # noqa: E402,F401  (for the tests)


class Skip(Exception):
    """Raised by a test that can't run here."""


def other(colour):
    return "green" if colour == "blue" else "blue"


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(what, got, wanted):
    expect(got == wanted, f"{what} is {got!r}, expected {wanted!r}")


def wait_for(what, condition, seconds=10.0):
    """Until `condition()` is true; returns its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        expect(time.monotonic() < end, f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
    return value


# --- hosts ---

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def on_host(name):
    """Sockets made inside belong to the host, also afterwards. It is the calling thread that moves."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/teal-{name}", os.O_RDONLY)
    try:
        if _libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {name}")
        yield
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


def scripts_lab(*arguments, check=True):
    done = subprocess.run([REPO / "scripts" / "lab", *arguments], capture_output=True, text=True)
    expect(
        not check or done.returncode == 0,
        f"scripts/lab {' '.join(arguments)}: exit code {done.returncode}: {done.stderr}",
    )
    return done


def command(host, *arguments):
    """An argument vector that runs on a host, without a process in between: the pid is the command's."""
    return ["nsenter", f"--net=/run/netns/teal-{host}", *map(str, arguments)]


# --- load ---


@contextlib.contextmanager
def wrk(*runs):
    """Each of `runs`, (host, options and URL...), is a wrk while the block lasts. At its end each of them has made
    requests, and all without an error."""
    running = [
        subprocess.Popen(
            command(host, "wrk", "-t1", "-d600s", "--timeout", "5s", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for host, *words in runs
    ]
    try:
        time.sleep(1)
        yield
        time.sleep(1)
    finally:
        for one in running:
            one.send_signal(signal.SIGINT)
        reports = [one.communicate(timeout=30)[0] for one in running]
    for report in reports:
        requests = int(re.search(r"(\d+) requests in", report)[1])
        print(f"wrk: {requests} requests, {re.search('Requests/sec: *(.*)', report)[1]} a second")
        expect(requests > 1000, f"too few requests to be a load:\n{report}")
        expect("Socket errors" not in report and "Non-2xx" not in report, f"wrk saw errors:\n{report}")


# --- flows ---


class TcpFlow:
    """A keep-alive HTTP connection; ask() gives "COLOUR NAME"."""

    def __init__(self, host, address, port, timeout=5.0):
        with on_host(host):
            self.socket = socket.create_connection((address, port), timeout=timeout)
        self.http = http.client.HTTPConnection(address, port)
        self.http.sock = self.socket
        self.http.auto_open = False  # a lost connection is an error, not a reason for a new one

    def ask(self):
        self.http.request("GET", "/")
        answer = self.http.getresponse()
        body = answer.read().decode().strip()
        expect_equal("HTTP status", answer.status, 200)
        return body

    def close(self):
        self.http.close()


class UdpFlow:
    """A UDP socket from a port that no flow has used lately; ask() gives "COLOUR NAME"."""

    def __init__(self, host, address, port, timeout=5.0):
        with on_host(host):
            self.socket = fresh_udp_socket(address, port)
        self.socket.settimeout(timeout)
        self.number = 0

    def ask(self):
        self.number += 1
        self.socket.send(b"%d" % self.number)
        while True:
            colour, name, number = self.socket.recv(2048).decode().split()
            if int(number) == self.number:
                return f"{colour} {name}"

    def close(self):
        self.socket.close()


def open_flow(service, host="client1", timeout=5.0):
    protocol, address, port = SERVICES[service]
    return (TcpFlow if protocol == "tcp" else UdpFlow)(host, address, port, timeout)


def ask_once(service, host="client1"):
    """What a new flow is answered."""
    flow = open_flow(service, host)
    try:
        return flow.ask()
    finally:
        flow.close()


def colour_of_new_flow(service, host="client1"):
    return ask_once(service, host).split()[0]


# --- Teal ---


def teal(*arguments, check=True):
    done = subprocess.run(
        command("edge", BUILD / "control" / "teal", *arguments),
        capture_output=True,
        text=True,
        env={**os.environ, "TEAL_SOCKET": str(RUN_DIR / "control.sock")},
    )
    expect(
        not check or done.returncode == 0,
        f"teal {' '.join(map(str, arguments))}: exit code {done.returncode}: {done.stdout}{done.stderr}",
    )
    return done


def flip(colour, *names):
    """Of the named services, or of the group; returns the answer."""
    what = names or ("--group", "shop")
    return json.loads(teal("flip", *what, "--to", colour, "-o", "json").stdout)


def status(service=None):
    """Of one service, or the whole answer."""
    whole = json.loads(teal("status", "-o", "json").stdout)
    return whole if service is None else next(one for one in whole["services"] if one["name"] == service)


def flows(service, colour):
    """How many flows of the colour live, closing ones not counted."""
    return status(service)["colours"][colour]["flows"]


class Api(http.client.HTTPConnection):
    """The control socket, for tests that ask often or ask what the CLI does not."""

    def __init__(self):
        super().__init__("localhost", timeout=10)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(RUN_DIR / "control.sock"))

    def call(self, method, path, body=None):
        """Returns status and answer."""
        self.request(
            method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
        )
        answer = self.getresponse()
        return answer.status, json.loads(answer.read())

    def totals(self):
        status_code, answer = self.call("GET", "/v1/counters")
        expect_equal("status of GET /v1/counters", status_code, 200)
        return answer["totals"]


# --- the runner ---


def run():
    """Runs the test_* functions of the main module in their order; the exit code is 1 if one failed."""
    module = vars(sys.modules["__main__"])
    wanted = sys.argv[1:]
    failed = False
    if not os.path.exists("/run/netns/teal-edge"):
        sys.exit("no lab; scripts/lab up builds one")
    for name, test in list(module.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        start = time.monotonic()
        try:
            test()
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Skip as reason:
            print(f"skip {name}: {reason}", flush=True)
        except Exception as error:
            failed = True
            traceback.print_exc()
            print(f"not ok {name}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)
