# SPDX-License-Identifier: Apache-2.0
"""For the lab tests of rollouts: a load of new flows, ways in which green can be bad, and Teal's rollback.

green is made bad in the firewall of its hosts, or by stopping its nginx. Times count from the answer to the
flip, or from the moment when green becomes bad during a ramp, to the rollback's entry in the history.
"""
import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import time

import lab

GREENS = ("green1", "green2")
SERVICES = ("service-a", "service-b", "service-c")
SECONDS_OF_GOOD_FLOWS = 5  # the normal failure rate is then at most 0.25 %
LOAD = lab.REPO / "scripts" / "lab.d" / "paced_load.py"


@contextlib.contextmanager
def load(seconds=300):
    """New flows at the rates of the claims, on client1. Yields a dictionary, which has the numbers of flows
    ("begun", "failed") after the end."""
    one = subprocess.Popen(
        lab.command("client1", sys.executable, LOAD, "--seconds", str(seconds)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    flows = {}
    try:
        yield flows
    finally:
        flows |= json.loads(one.communicate(timeout=20)[0])


def firewall(*rules):
    """These rules for what arrives at port 8080 of green's hosts."""
    return lab.firewall(GREENS, *rules)


def refuses():
    return firewall("reject with tcp reset")


def black_hole():
    return firewall("drop")


def udp_black_hole():
    return lab.firewall(GREENS, "drop", at="udp dport 5300")


def resets_5_percent():
    data = "tcp flags & (syn|fin|rst) == 0 ct original packets == 3"  # the request
    return firewall(f"{data} numgen random mod 100 < 5 reject with tcp reset")


@contextlib.contextmanager
def hangs():
    """nginx accepts and never answers."""
    pids = [pid for host in GREENS for pid in lab.nginx_of(host)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def latest_change():
    return json.loads(lab.teal("history", "-o", "json").stdout)["changes"][0]


def expect_rollback(since, most_seconds):
    """Teal rolls all services back, at most so many seconds after `since`. Returns the history's entry."""
    lab.wait_for(
        "the rollback",
        lambda: all(
            lab.status(name)["active"] == "blue" and lab.status(name)["ramp"] is None for name in SERVICES
        ),
        most_seconds + 5,
    )
    change = latest_change()
    took = seconds_of(change["finished_at"]) - since
    print(f"  {took:.2f} s: {change['reason']}")
    lab.expect_equal("the verb", change["verb"], "rollback")
    lab.expect_equal("who", change["uid"], None)
    lab.expect_equal("the services", len(change["changes"]), len(SERVICES))
    lab.expect("evidence" in change["changes"][0], f"the history has the figures: {change['changes'][0]}")
    lab.expect(took <= most_seconds, f"within {most_seconds} s, it took {took:.2f} s")
    return change


def expect_rollback_after_a_flip(bad, most_seconds):
    with load():
        time.sleep(SECONDS_OF_GOOD_FLOWS)
        with bad():
            lab.flip("green")
            expect_rollback(time.time(), most_seconds)


def expect_rollback_in_a_ramp(bad, share, most_seconds):
    with load():
        time.sleep(1)
        lab.teal("ramp", "--group", "shop", "--to", "green", "--steps", f"{share}%,100%", "--manual")
        time.sleep(1)
        with bad():
            expect_rollback(time.time(), most_seconds)
