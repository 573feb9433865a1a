# SPDX-License-Identifier: Apache-2.0
"""Library of the lab tests: hosts, flows, Teal's commands, and the runner.

A test file opens with its topology and claim, has functions test_*(), and ends with lab.run().
scripts/test starts a fresh lab for each file: all services are blue, and no flip has happened. By hand:
scripts/lab up; scripts/lab run NAME; scripts/lab down. Each test prints "ok NAME", "not ok NAME: why" or
"skip NAME: why".
"""
import contextlib
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

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TEAL_BUILD_DIR", REPO / "build"))
RUN_DIR = pathlib.Path("/run/teal-lab")
IS_LONG = "TEAL_LONG" in os.environ  # set by scripts/test --long

sys.path[:0] = [str(REPO / "scripts" / "python"), str(REPO / "scripts" / "lab.d")]
from bad_servers import firewall  # noqa: E402,F401  (for the tests)
from load import Load  # noqa: E402,F401
from teal import namespaces, test_runner, waiting  # noqa: E402
from teal.control_socket import ControlSocket  # noqa: E402
from teal.fresh_udp import fresh_udp_socket  # noqa: E402
from teal.lab_services import COLOURS, PREVIEW_ADDRESSES, SERVICES, VIP4, VIP6  # noqa: E402,F401
from teal.test_runner import Skip, expect, expect_equal  # noqa: E402,F401


def other(colour):
    return "green" if colour == "blue" else "blue"


def wait_for(what, condition, seconds=10.0):
    """Returns the first true value of `condition()`; fails after `seconds`."""
    return waiting.wait_until(what, condition, seconds, error=AssertionError)


# --- hosts ---


def on_host(name):
    """Moves the calling thread to the host for a block. A socket that the block makes stays on the host."""
    return namespaces.inside(f"teal-{name}")


def scripts_lab(*arguments, check=True):
    done = subprocess.run([REPO / "scripts" / "lab", *arguments], capture_output=True, text=True)
    expect(
        not check or done.returncode == 0,
        f"scripts/lab {' '.join(arguments)}: exit code {done.returncode}: {done.stderr}",
    )
    return done


def command(host, *arguments):
    """The words of a command that runs on the host; the pid of the process is the command's."""
    return namespaces.in_namespace(f"teal-{host}", *arguments)


def pid_of(program):
    """The pid of "dataplane" or "daemon"."""
    return int((RUN_DIR / "pid" / f"{program}@edge").read_text())


def nginx_of(host):
    """The pids of the host's nginx: the master and its workers."""
    master = int((RUN_DIR / "pid" / f"nginx@{host}").read_text())
    workers = pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [master, *map(int, workers)]


# --- load ---


def expect_no_trouble(tally, ignored_service=None):
    """No request of the load failed, no flow moved, and every new flow had the right colour. Colours of
    flows of `ignored_service` do not count."""
    wrong = [text for text in tally.wrong if ignored_service is None or ignored_service not in text]
    expect_equal("failed requests", tally.failures, [])
    expect_equal("moved flows", tally.moved, [])
    expect_equal("flows of the wrong colour", wrong, [])


@contextlib.contextmanager
def wrk(*runs):
    """Runs a wrk for each of `runs`, (host, options and URL...), during the block. At the end, each of
    them must have made requests, all without an error."""
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
    """A keep-alive HTTP connection; ask() returns "COLOUR NAME"."""

    def __init__(self, host, address, port, timeout=5.0):
        with on_host(host):
            self.socket = socket.create_connection((address, port), timeout=timeout)
        self.http = http.client.HTTPConnection(address, port)
        self.http.sock = self.socket
        self.http.auto_open = False  # a lost connection is an error

    def ask(self):
        self.http.request("GET", "/")
        answer = self.http.getresponse()
        body = answer.read().decode().strip()
        expect_equal("HTTP status", answer.status, 200)
        return body

    def close(self):
        self.http.close()


class UdpFlow:
    """A UDP socket from a port that no recent flow has used; ask() returns "COLOUR NAME"."""

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


def open_flow(service, host="client1", timeout=5.0, preview=False):
    """Opens a flow to the service's VIP, or to its preview address."""
    protocol, address, port = (PREVIEW_ADDRESSES if preview else SERVICES)[service]
    return (TcpFlow if protocol == "tcp" else UdpFlow)(host, address, port, timeout)


def ask_once(service, host="client1", preview=False):
    """Returns the answer to a new flow."""
    flow = open_flow(service, host, preview=preview)
    try:
        return flow.ask()
    finally:
        flow.close()


def colour_of_new_flow(service, host="client1", preview=False):
    return ask_once(service, host, preview).split()[0]


# --- Teal ---


def begin_teal(*arguments):
    """Starts teal and returns its process, for commands that run beside others."""
    return subprocess.Popen(
        command("edge", BUILD / "control" / "teal", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TEAL_SOCKET": str(RUN_DIR / "control.sock")},
    )


def teal(*arguments, check=True):
    process = begin_teal(*arguments)
    out, err = process.communicate()
    done = subprocess.CompletedProcess(arguments, process.returncode, out, err)
    expect(
        not check or done.returncode == 0,
        f"teal {' '.join(map(str, arguments))}: exit code {done.returncode}: {done.stdout}{done.stderr}",
    )
    return done


def flip(colour, *names):
    """Flips the named services, or the group. Returns the answer."""
    what = names or ("--group", "shop")
    return json.loads(teal("flip", *what, "--to", colour, "-o", "json").stdout)


def add_to_service_a(lines):
    """Adds these lines to service-a in the config. A reload takes them over."""
    config = RUN_DIR / "teal.toml"
    text = config.read_text()
    place = text.index('[[service]]\nname = "service-b"')
    config.write_text(f"{text[:place]}{lines}\n\n{text[place:]}")


def set_rollout_rules(rules):
    """Adds a table [rollout] with these lines to the config, which must not have one, and reloads it."""
    with (RUN_DIR / "teal.toml").open("a") as config:
        config.write(f"\n\n[rollout]\n{rules}\n")
    teal("reload")


def status(service=None):
    """Returns the status of one service, or the whole answer."""
    whole = json.loads(teal("status", "-o", "json").stdout)
    return whole if service is None else next(one for one in whole["services"] if one["name"] == service)


def flows(service, colour):
    """The number of live flows of the colour, without closing ones."""
    return status(service)["colours"][colour]["flows"]


def api():
    """The control socket, for tests that ask often or ask something that the CLI does not."""
    return ControlSocket(RUN_DIR / "control.sock", timeout=10)


def run():
    """Runs the test_* functions of the main module in their order. Exits with code 1 if one failed."""
    if not os.path.exists("/run/netns/teal-edge"):
        sys.exit("no lab; scripts/lab up builds one")
    test_runner.run()
