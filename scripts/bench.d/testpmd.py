# SPDX-License-Identifier: Apache-2.0
"""dpdk-testpmd: the limit (macswap, 5tswap), and the sender for peers that cannot replay a pcap
themselves.
"""
import os
import re
import time

from machine import (
    CONTROL_CPU,
    WORKER_CPU,
    Failure,
    Process,
    Stretch,
    Window,
    expect,
    in_namespace,
    wait_until,
)

PROMPT = "testpmd> "
ELEMENT_BYTES = 2400
BURST = 64  # as Teal's


def hugepages_mb(packets):
    return (packets + 32_768) * ELEMENT_BYTES // (1 << 20) + 128


class Testpmd:
    """An interactive testpmd on a pipe. `vdevs` are its ports; each of `queues` has a core of its own."""

    def __init__(
        self, undo, work, name, vdevs, packets, queues=1, cpus=(WORKER_CPU,), netns=None, options=(), eal=()
    ):
        lcores = ",".join([f"0@{CONTROL_CPU}", *(f"{n}@{cpu}" for n, cpu in enumerate(cpus, 1))])
        command = ["stdbuf", "-o0", "dpdk-testpmd", "--lcores", lcores, "--main-lcore", 0, "--in-memory"]
        command += ["--no-telemetry", "--no-pci", "--file-prefix", f"teal-bench-{os.getpid()}-{name}", *eal]
        for vdev in vdevs:
            command += ["--vdev", vdev]
        command += [
            "--",
            "-i",
            f"--nb-cores={len(cpus)}",
            f"--rxq={queues}",
            f"--txq={queues}",
            f"--burst={BURST}",
        ]
        command += [f"--total-num-mbufs={packets + 32_768}", "--mbcache=256", "--no-lsc-interrupt"]
        command += ["--no-flush-rx"]  # a flush would lose the first packets of a file that is sent once
        command += ["--port-topology=loop" if len(vdevs) == 1 else "--port-topology=paired", *options]
        if netns:
            command = in_namespace(netns, *command)
        self.process = Process(undo, "dpdk-testpmd", command, f"{work}/testpmd-{name}.log", stdin=True)
        self.cores, self.seen = len(cpus), 0
        self.wait_for_prompt(90)

    def wait_for_prompt(self, seconds=20):
        def prompt():
            text = self.process.said()[self.seen :]
            if PROMPT in text:
                return text
            return self.process.expect_alive()

        try:
            text = wait_until("testpmd is ready", prompt, seconds, every=0.005)
        except Failure as failure:
            raise Failure(f"{failure}; its output: {self.process.said()[-400:]}") from None
        self.seen += len(text)
        return text

    def say(self, command, seconds=20):
        self.process.child.stdin.write(f"{command}\n".encode())
        self.process.child.stdin.flush()
        return self.wait_for_prompt(seconds)

    def rate(self, port=0):
        """Packets a second that a port received and sent since the last call."""
        text = self.say(f"show port stats {port}")
        rates = [re.search(rf"{way}-pps:\s*(\d+)", text) for way in ("Rx", "Tx")]
        expect(all(rates), f"unknown form of testpmd's statistics: {text}")
        return tuple(int(rate[1]) for rate in rates)

    def measure(self, mode, seconds, settle=0.15):
        """Packets that `mode` forwards in a second of core time."""
        self.say(f"set fwd {mode}")
        self.say("start")
        time.sleep(settle)
        self.rate()
        stretch = Stretch(self.process, self.cores)
        time.sleep(seconds)
        stretch.end()
        received, sent = self.rate()
        self.say("stop")
        expect(
            received > 0 and abs(received - sent) < received // 50,
            f"testpmd {mode}: {received} in, {sent} out",
        )
        return Window(sent / stretch.share, 0, stretch.share)

    def dropped(self):
        """Packets that a port did not take since the start of forwarding."""
        return sum(int(count) for count in re.findall(r"TX-dropped:\s*(\d+)", self.say("show fwd stats all")))

    def stop(self):
        self.process.stop()


def pcap_port(files, number=0):
    return f"net_pcap{number}," + ",".join(f"rx_pcap={file}" for file in files) + ",infinite_rx=1"
