# SPDX-License-Identifier: Apache-2.0
"""The machine, for all benchmarks: processes with a bounded life, namespaces, hugepages, kernel settings.

Every change is put on `undo`, an ExitStack, which undoes the changes in reverse order, also after an error
or a signal. Processes are ended by their own pid.
"""
import contextlib
import dataclasses
import functools
import os
import pathlib
import re
import signal
import subprocess
import time

from teal import waiting
from teal.failure import Failure, expect
from teal.namespaces import in_namespace  # noqa: F401  (for the runners)

CONTROL_CPU, WORKER_CPU = 0, 1
HUGE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
PAGE_MB = 2
LEAST_CORE_SECONDS = 0.02  # of a window; with less, nothing can be measured


wait_until = functools.partial(waiting.wait_until, every=0.02, error=Failure)


def run(*command, seconds=60, stdin=None, check=True):
    """Returns the output. A command that fails or takes longer is a Failure with the end of its output."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command)}: not done after {seconds} s") from None
    except FileNotFoundError:
        raise Failure(
            f"{command[0]} is missing; scripts/bench --setup installs the packages of the benchmark"
        ) from None
    said = (done.stderr + done.stdout).strip()[-600:]
    expect(not check or done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}: {said}")
    return done.stdout


def tsc_hz():
    """The rate of the TSC. bogomips is twice this rate where the TSC is the kernel's clock source."""
    found = re.search(r"bogomips\s*:\s*([0-9.]+)", pathlib.Path("/proc/cpuinfo").read_text())
    expect(found, "/proc/cpuinfo has no bogomips")
    return float(found[1]) / 2 * 1e6


def cpu_model():
    found = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else "unknown CPU"


@dataclasses.dataclass(frozen=True)
class Window:
    """The result of a stretch, for a second of core time."""

    rate: float  # packets, or connections where only these are counted
    begun: float  # flows
    share: float  # of its cores


class Stretch:
    """A stretch of wall time, and the core time of a process in it. Workers spin, so core time that they
    did not get went to another process. Rates are for a second of core time; `share` is the part of the
    cores that was had."""

    def __init__(self, process, cores=1):
        self.process, self.cores = process, cores
        self.began, self.cpu_began = time.monotonic(), process.cpu_seconds()

    def end(self):
        self.seconds = time.monotonic() - self.began
        self.cpu_seconds = (self.process.cpu_seconds() - self.cpu_began) / self.cores
        self.share = min(1.0, self.cpu_seconds / self.seconds)
        expect(
            self.cpu_seconds > LEAST_CORE_SECONDS,
            f"{self.process.name} had {self.share * 100:.1f} % of its core",
        )
        return self


class Process:
    """A program in the background. Its output goes to a file."""

    def __init__(self, undo, name, command, log, stdin=None, environment=None):
        self.name, self.log = name, pathlib.Path(log)
        with open(self.log, "wb") as out:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        undo.callback(self.stop)

    @property
    def alive(self):
        return self.child.poll() is None

    def said(self):
        return self.log.read_text(errors="replace")

    def expect_alive(self):
        expect(self.alive, f"{self.name} ended with {self.child.poll()}: {self.said()[-600:]}")

    def wait_for(self, pattern, seconds=30):
        def there():
            found = re.search(pattern, self.said())
            return found or self.expect_alive()

        try:
            return wait_until(f"{pattern!r} from {self.name}", there, seconds)
        except Failure as failure:
            raise Failure(f"{failure}; its output: {self.said()[-400:]}") from None

    def cpu_seconds(self):
        """The CPU time of all threads so far. The clock id is the one of clock_getcpuclockid(3)."""
        return time.clock_gettime((~self.child.pid << 3) | 2)

    def pause(self):
        os.kill(self.child.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.child.pid, signal.SIGCONT)

    def stop(self):
        if self.child.poll() is not None:
            return
        self.resume()
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            try:
                self.child.wait(60)  # the kernel frees gigabytes of hugepages one by one
            except subprocess.TimeoutExpired:
                raise Failure(f"{self.name} still runs 60 s after kill -9") from None


def make_namespace(undo, name):
    run("ip", "netns", "delete", name, check=False)
    run("ip", "netns", "add", name)
    undo.callback(run, "ip", "netns", "delete", name, check=False)
    run("ip", "-n", name, "link", "set", "lo", "up")


def set_file(undo, path, value):
    """Writes a kernel setting, and restores it at the end."""
    path = pathlib.Path(path)
    before = path.read_text().strip()
    if before == str(value):
        return
    path.write_text(f"{value}\n")
    undo.callback(path.write_text, f"{before}\n")


@contextlib.contextmanager
def hugepages(megabytes):
    """Makes sure that this much memory in hugepages is free inside the block. At the end restores the
    number of hugepages, unless another process has changed it since."""
    setting = HUGE / "nr_hugepages"
    before = int(setting.read_text())
    free = int((HUGE / "free_hugepages").read_text())
    missing = max(0, -(-megabytes // PAGE_MB) - free)
    try:
        if missing > 0:
            available = (
                int(re.search(r"MemAvailable:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) >> 10
            )
            expect(
                available > missing * PAGE_MB + 1024,
                f"{megabytes} MB of hugepages are needed; free are {free * PAGE_MB} MB in hugepages"
                f" and {available} MB of memory",
            )
            pathlib.Path("/proc/sys/vm/compact_memory").write_text("1\n")
            setting.write_text(f"{before + missing}\n")
            got = int((HUGE / "free_hugepages").read_text())
            expect(
                got >= free + missing,
                f"{megabytes} MB of hugepages are needed, the kernel found {got * PAGE_MB} MB",
            )
        yield
    finally:
        if int(setting.read_text()) == before + missing:
            setting.write_text(f"{before}\n")
