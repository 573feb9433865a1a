#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""teal-dataplane notifies systemd: when it is ready, while its workers poll, and when it stops.

    this test == NOTIFY_SOCKET == teal-dataplane on edge

A debugger holds one worker. The main thread goes on, but sends no watchdog message until the worker polls
again.
"""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import time

import lab

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
WATCHDOG_SECONDS = 0.4


class Notified:
    """A socket like systemd's, and a dataplane that was started with it."""

    def __init__(self):
        self.path = lab.RUN_DIR / "notify"
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)  # the dataplane is not root
        lab.scripts_lab("kill", "dataplane")
        environment = {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))}
        subprocess.run(
            [lab.REPO / "scripts" / "lab", "start", "dataplane"],
            env={**os.environ, **environment},
            check=True,
        )
        self.pid = lab.pid_of("dataplane")

    def messages(self, seconds):
        """All messages that come within the time."""
        found, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                found.append(self.socket.recv(4096).decode())
        return found

    def worker_thread(self):
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            if "worker" in (task / "comm").read_text():
                return int(task.name)
        raise AssertionError("no thread of the dataplane is named a worker")


@contextlib.contextmanager
def held(thread):
    """Holds one thread, as a debugger does."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if ptrace(PTRACE_SEIZE, thread, None, None) != 0:
        raise lab.Skip(f"ptrace: {os.strerror(ctypes.get_errno())}")
    ptrace(PTRACE_INTERRUPT, thread, None, None)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, thread, None, None)


def test_ready_watchdog_and_stopping():
    dataplane = Notified()
    first = dataplane.messages(2)
    lab.expect("READY=1" in first[0].split("\n"), f"the first message is {first[0]!r}")
    lab.expect("STATUS=workers: 1, ports: 2" in first[0].split("\n"), f"the first message is {first[0]!r}")
    lab.expect(first[1:].count("WATCHDOG=1") >= 6, f"in 2 s, of {WATCHDOG_SECONDS} s: {first}")

    with held(dataplane.worker_thread()):
        dataplane.messages(WATCHDOG_SECONDS)  # skips messages under way
        lab.expect_equal("messages while a worker stalls", dataplane.messages(2), [])
    lab.expect("WATCHDOG=1" in dataplane.messages(1), "the worker polls again")

    os.kill(dataplane.pid, signal.SIGTERM)
    last = dataplane.messages(1)[-1]
    lab.expect("STOPPING=1" in last.split("\n"), f"the last message is {last!r}")
    lab.scripts_lab("start", "dataplane")


lab.run()
