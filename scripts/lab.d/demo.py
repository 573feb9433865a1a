#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The visible part of scripts/demo, in two acts, with clients and a live table. The lab must run.

First act: a flip of all services and a rollback. Second act: a release of service-b whose servers refuse
every connection goes out as a ramp. Teal takes it back by itself, and clients of the other services see
nothing of it.

usage: demo.py [--first-flip-file FILE]      FILE gets the time of the first flip, in microseconds since 1970

A terminal of 80 columns shows the table in place. Elsewhere the demo prints a plain line each second.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from bad_servers import firewall
from load import COLOURS, SCRIPTS, Load

CLIENTS = ["client1", "client2", "client3"]
KINDS = {"service-a": "HTTP over IPv4", "service-b": "HTTP over IPv6", "service-c": "UDP"}
PHASE_SECONDS = 7
SECONDS_BEFORE_THE_FLIP = 3
SHOWN_PROBLEMS = 5
BAD_SERVICE, BAD_HOSTS = "service-b", ("green1", "green2")
ROLLBACK_TIMEOUT_SECONDS = 20

TABLE_COLUMNS = 80
terminal = sys.stdout.isatty() and os.get_terminal_size().columns >= TABLE_COLUMNS
coloured = terminal and "NO_COLOR" not in os.environ
PAINT = {"blue": "\033[94m", "green": "\033[92m", "bold": "\033[1m", "red": "\033[91m"}


def paint(style, text):
    return f"{PAINT[style]}{text}\033[0m" if coloured else text


def teal(*arguments):
    return subprocess.run(
        [SCRIPTS / "lab", "exec", "edge", "--", "teal", *arguments], capture_output=True, text=True
    )


def bad_release():
    """The green servers of BAD_SERVICE, which is IPv6, refuse every connection."""
    return firewall(BAD_HOSTS, "meta nfproto ipv6 reject with tcp reset")


class Table:
    def __init__(self, load, tried=None):
        """`tried` is the load on BAD_SERVICE while its release is bad."""
        self.loads = [load, tried] if tried else [load]
        self.tried = tried
        self.start = time.monotonic()
        self.lines_on_screen = 0
        self.last = {service: dict.fromkeys(COLOURS, 0) for service in KINDS}
        self.last_time = self.start
        self.next_plain_line = self.start

    def say(self, text):
        """Prints a line above the table; it stays."""
        self._clear()
        print(text, flush=True)

    def draw(self):
        if not terminal and time.monotonic() < self.next_plain_line:
            return
        answer = teal("status", "-o", "json")
        if answer.returncode != 0:
            self.say(f"teal status failed: {answer.stderr.strip()}")
            return
        status = json.loads(answer.stdout)
        requests, new_flows, bad = {}, {}, []
        for load in self.loads:
            with load.lock:
                tally = load.tally
                requests |= {service: dict(counts) for service, counts in tally.requests.items()}
                new_flows |= {service: dict(counts) for service, counts in tally.new_flows.items()}
                bad.append(self._troubles(load, tally))
        services = {service["name"]: service for service in status["services"]}
        if terminal:
            self._draw_table(status, services, requests, new_flows, "   ".join(bad))
        else:
            self._print_line(services, requests, "   ".join(bad))

    def _troubles(self, load, tally):
        if load is self.tried:
            return f"{BAD_SERVICE}: failed {len(tally.failures)}"
        return f"failed {len(tally.failures)}   moved {len(tally.moved)}   wrong colour {len(tally.wrong)}"

    def _draw_table(self, status, services, requests, new_flows, bad):
        now = time.monotonic()
        lines = [
            paint(
                "bold",
                f"{'':24} {'active':6} {'':6} {'requests':>10} {'per s':>6} {'new flows':>10} {'left':>11}",
            )
        ]
        for name, kind in KINDS.items():
            for colour in COLOURS:
                first = colour == COLOURS[0]
                active = services[name]["active"]
                head = f"{name:9} {kind:14} {active:6}" if first else " " * 31
                count = requests[name][colour]
                rate = (count - self.last[name][colour]) / max(now - self.last_time, 0.001)
                flows = services[name]["colours"][colour]["flows"]
                lines.append(
                    head
                    + " "
                    + paint(colour, f"{colour:6}")
                    + f" {count:10,} {rate:6,.0f} {new_flows[name][colour]:10,} {flows:11,}"
                )
        lines.append(f"{now - self.start:5.1f} s   generation {status['generation']}   {bad}")
        self._clear()
        print("\n".join(lines), flush=True)
        self.lines_on_screen = len(lines)
        self.last, self.last_time = requests, now

    def _print_line(self, services, requests, bad):
        self.next_plain_line += 1
        parts = [f"{time.monotonic() - self.start:5.1f} s"]
        for colour in COLOURS:
            flows = sum(service["colours"][colour]["flows"] for service in services.values())
            parts.append(
                f"{colour} {sum(counts[colour] for counts in requests.values())} requests {flows} flows left"
            )
        print("   ".join(parts + [bad]), flush=True)

    def _clear(self):
        if self.lines_on_screen:
            print(f"\033[{self.lines_on_screen}A\033[J", end="")
            self.lines_on_screen = 0

    def watch(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.draw()
            time.sleep(0.3)


def show(table, answer, *arguments):
    """Shows a command and its answer. Returns whether it succeeded."""
    table.say(paint("bold", "$ teal " + " ".join(arguments)))
    for line in (answer.stdout + answer.stderr).strip().splitlines():
        table.say("  " + line)
    if answer.returncode != 0:
        table.say(paint("red", f"  exit code {answer.returncode}"))
    return answer.returncode == 0


def command(table, load, colour, *arguments):
    """Runs a command that makes `colour` the active one. Returns whether the command succeeded."""
    with load.flipping(colour):
        answer = teal(*arguments)
    return show(table, answer, *arguments)


def first_act(load, flip_file):
    """Flips all services and rolls them back. Returns whether the commands succeeded."""
    table = Table(load)
    table.say(
        "Clients on three hosts: some keep a connection, some open one for each request. Blue is active."
    )
    table.watch(SECONDS_BEFORE_THE_FLIP)
    worked = command(table, load, "green", "flip", "--group", "shop", "--to", "green", "--reason", "demo")
    if flip_file:
        flip_file.write_text(f"{time.time_ns() // 1000}\n")
    table.say("New flows are green now. Open flows stay with blue until they end.")
    table.watch(PHASE_SECONDS)
    worked = command(table, load, "blue", "rollback", "--group", "shop", "--reason", "demo") and worked
    table.say("Rolled back: new flows are blue again, and green drains.")
    table.watch(PHASE_SECONDS)
    return worked


def is_ramping():
    status = json.loads(teal("status", "-o", "json").stdout)
    return any(service["ramp"] for service in status["services"])


def second_act(healthy, tried):
    """Ramps BAD_SERVICE to servers that refuse. Returns whether Teal has taken the share back by itself."""
    table = Table(healthy, tried)
    table.say(f"\nSecond act: {BAD_SERVICE} gets a release whose servers refuse every connection.")
    table.watch(SECONDS_BEFORE_THE_FLIP)
    ramp = (
        "ramp",
        BAD_SERVICE,
        "--to",
        "green",
        "--steps",
        "25%,100%",
        "--every",
        "1m",
        "--reason",
        "release 43",
    )
    with bad_release():
        if not show(table, teal(*ramp), *ramp):
            return False
        end = time.monotonic() + ROLLBACK_TIMEOUT_SECONDS
        while is_ramping() and time.monotonic() < end:
            table.draw()
            time.sleep(0.1)
        if is_ramping():
            table.say(paint("red", "Teal has not gone back by itself"))
            return False
        table.say("Teal has gone back by itself. Nobody had to wake up:")
        history = ("history", BAD_SERVICE, "--limit", "1")
        show(table, teal(*history), *history)
        table.watch(SECONDS_BEFORE_THE_FLIP)
    return True


def summary_of_second_act(healthy, tried, went_back):
    good = went_back and not healthy.tally.failures
    served = healthy.tally.total("blue") + healthy.tally.total("green")
    print(
        f"\nSecond act: {len(tried.tally.failures)} requests of {BAD_SERVICE} failed before Teal went back. "
        f"Of the other services {len(healthy.tally.failures)} failed, of {served:,}."
    )
    for problem in healthy.tally.failures[:SHOWN_PROBLEMS]:
        print(f"    {problem}")
    return good


def summary(load, commands_worked):
    tally = load.tally
    print(
        f"\n{tally.total('blue') + tally.total('green'):,} requests by {len(CLIENTS)} hosts: "
        f"{tally.total('blue'):,} answered by blue, {tally.total('green'):,} by green"
    )
    good = commands_worked
    for found, text in (
        (tally.failures, "requests failed"),
        (tally.moved, "flows changed their backend"),
        (tally.wrong, "new flows had the wrong colour"),
    ):
        print(f"{paint('red' if found else 'bold', str(len(found)))} {text}")
        for problem in found[:SHOWN_PROBLEMS]:
            print(f"    {problem}")
        good = good and not found
    for service, counts in tally.new_flows.items():  # a demo without traffic must not succeed
        for colour in COLOURS:
            if counts[colour] == 0:
                print(paint("red", f"{service}: no new flow was {colour}"))
                good = False
    return good


def main():
    parser = argparse.ArgumentParser(description="the visible part of scripts/demo")
    parser.add_argument("--first-flip-file", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    loads = [Load(CLIENTS)]
    worked = went_back = False
    try:
        worked = first_act(loads[0], arguments.first_flip_file)
        loads[0].stop()
        healthy = [name for name in KINDS if name != BAD_SERVICE]
        loads += [Load(CLIENTS, services=healthy), Load(CLIENTS, services=[BAD_SERVICE])]
        went_back = second_act(*loads[1:])
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        for load in loads:
            load.stop()
    good = summary(loads[0], worked)
    if len(loads) > 1:
        good = summary_of_second_act(*loads[1:], went_back) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
