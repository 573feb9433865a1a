# SPDX-License-Identifier: Apache-2.0
"""Runs Pktgen-DPDK as a process with a bounded life. Pktgen needs a terminal; its output goes to a log."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from teal.failure import Failure

ROWS, COLUMNS = 60, 160
END_SECONDS = 3  # from SIGTERM to SIGKILL
ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[78=>])|\r")


def device_arguments(devices):
    """The EAL arguments for PCI addresses and vdevs."""
    is_pci = [
        bool(re.fullmatch(r"([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]", d)) for d in devices
    ]
    words = [] if any(is_pci) else ["--no-pci"]
    for device, pci in zip(devices, is_pci):
        words += ["--allow", device] if pci else ["--vdev", device]
    # virtio_user shares its memory as files.
    return words + ([] if all(is_pci) else ["--single-file-segments"])


def command_of(binary, devices, cpus, rings, pcap, script):
    main, worker = cpus
    command = [
        binary,
        "--lcores",
        f"0@{main},1@{worker}",
        "--main-lcore",
        "0",
        "--in-memory",
        "--no-telemetry",
    ]
    command += device_arguments(devices)
    command += ["--", "-P", "-m", "1.0" if len(devices) == 1 else "1.[0-1]"]
    if rings:
        command += [f"--txd={rings[0]}", f"--rxd={rings[1]}"]
    return command + (["-s", f"0:{pcap}"] if pcap else []) + ["-f", script]


def run(command, environment, log, seconds):
    """Waits for the end of the command and returns its exit code. Taking longer than `seconds` is a
    Failure."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    try:
        child = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", **environment},
        )
    except OSError as error:
        os.close(outer)
        raise Failure(f"{command[0]}: {error.strerror}; expected Pktgen-DPDK built with Lua") from None
    finally:
        os.close(inner)
    try:
        read_until_end(child, outer, log, time.monotonic() + seconds)
        expired = child.poll() is None
    finally:
        end(child)
        os.close(outer)
    if expired:
        raise Failure(f"pktgen still ran after {seconds:.0f} s; its output: {tail(log)}")
    return child.returncode


def read_until_end(child, terminal, log, deadline):
    with open(log, "wb") as file:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([terminal], [], [], 0.2)
            if ready:
                try:
                    file.write(ESCAPES.sub(b"", os.read(terminal, 65536)))
                except OSError:  # the other end is closed
                    child.wait(END_SECONDS)
                    return
            elif child.poll() is not None:
                return


def end(child):
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        child.send_signal(number)
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def tail(log, lines=6):
    """The log from the line of a panic on, or the end of the log."""
    with open(log, errors="replace") as file:
        said = [line.strip() for line in file if line.strip()]
    panics = [number for number, line in enumerate(said) if "PANIC" in line]
    begin = max(0, panics[0] - 2) if panics else -lines
    return " | ".join(line[:200] for line in said[begin:][:lines])
