#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An idle dataplane gives its core back: with idle = "adaptive" and no packets for a second, it uses under 10
% of a core, and it wakes up in time.

    client1 == edge == blue1, blue2
"""
import os
import time

import lab

SECONDS = 3


def cpu_seconds(pid):
    """User and system time of all threads. The fields follow the name in brackets, see proc(5)."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_idle_worker_uses_little():
    pid = lab.pid_of("dataplane")
    lab.ask_once("service-a")
    time.sleep(1.5)
    before = cpu_seconds(pid)
    time.sleep(SECONDS)
    share = (cpu_seconds(pid) - before) / SECONDS
    print(f"idle dataplane: {100 * share:.1f} % of a core")
    lab.expect(share < 0.1, f"an idle dataplane uses {100 * share:.1f} % of a core, expected under 10 %")


def test_it_wakes_up():
    for _ in range(20):
        time.sleep(0.2)
        start = time.monotonic()
        lab.ask_once("service-c")
        lab.expect(time.monotonic() - start < 0.1, "a request after idleness is answered within 100 ms")


lab.run()
