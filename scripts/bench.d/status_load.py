# SPDX-License-Identifier: Apache-2.0
"""Measures how much status requests slow the forwarding down: 1 Mi established flows at full load, in turns
without requests and with ten requests a second for all services, ten times as many as `teal status --watch`
sends.
"""
import contextlib
import statistics
import threading
import time

from cases import case_named
from compare import Comparison, ratio, summary
from machine import expect
from teal_api import TealApi

CASE = case_named("udp-1m")
EVERY = 0.1  # seconds


class Asker:
    """Sends requests from a thread, on its own connection. `times` are in milliseconds."""

    def __init__(self, teal):
        self.api, self.times, self.stopped = TealApi(teal.run_dir / "control.sock"), [], threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.stopped.is_set():
            began = time.monotonic()
            self.api.call("GET", "/v1/services")
            self.times.append((time.monotonic() - began) * 1e3)
            self.stopped.wait(EVERY)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def measure(settings):
    with contextlib.ExitStack() as undo:
        teal = Comparison(settings).alone(undo, CASE, "status")
        alone, asked, times = [], [], []
        for _ in range(settings.rounds):
            alone.append(teal.measure(settings.seconds).rate)
            with Asker(teal) as asker:
                asked.append(teal.measure(settings.seconds).rate)
            times += asker.times
        expect(len(times) > settings.rounds, f"{len(times)} answers in {settings.rounds} windows")
        return {
            "alone": summary(alone),
            "asked": summary(asked),
            "of_alone": ratio(asked, alone),
            "answers": len(times),
            "answer_ms": statistics.median(times),
            "slowest_ms": max(times),
        }
