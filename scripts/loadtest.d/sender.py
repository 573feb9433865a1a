# SPDX-License-Identifier: Apache-2.0
"""dpdk-testpmd as the source and the sink of a load.

    pcap, for ever -> testpmd -> net_virtio_user0 == vhost socket == Teal
              free <- testpmd <- net_virtio_user0 ==

An offered packet is one that virtio_user took into its transmit ring; a packet for which the ring had no
room was never sent. The transmit ring is far smaller than the receive ring, and testpmd receives as many
packets a turn as it sends. So the packets under way (the transmit ring, and a burst in the switch) always
fit the receive ring, however long the scheduler holds either side. A packet that is missing at the end was
lost by the switch.
"""
import re
import time

from machine import CONTROL_CPU, expect
from testpmd import Testpmd, pcap_port

TRANSMIT_RING, RECEIVE_RING = 256, 4096
WIRE = 1  # the number of the virtio_user port
IDLE_SECONDS = 0.3  # without a packet: then the switch is empty
DRAIN_SECONDS = 10
PARTS_OF_LOSS = ("RX-missed", "RX-errors", "RX-nombuf", "TX-errors")


class Sender:
    def __init__(self, undo, work, name, file, packets, vhost_socket):
        wire = f"net_virtio_user0,path={vhost_socket},queue_size={RECEIVE_RING}"
        options = [f"--rxd={RECEIVE_RING}", f"--txd={TRANSMIT_RING}"]
        self.testpmd = Testpmd(
            *(undo, work, name, [pcap_port([file]), wire], packets),
            cpus=(CONTROL_CPU,),
            options=options,
            eal=["--single-file-segments"],
        )

    def counts(self):
        """Returns (offered, received) since the start."""
        text = self.testpmd.say(f"show port stats {WIRE}")
        values = dict(re.findall(r"([RT]X-\w+):\s*(\d+)", text))
        expect(
            "TX-packets" in values and "RX-packets" in values,
            f"unknown form of testpmd's statistics: {text}",
        )
        own_loss = {name: values[name] for name in PARTS_OF_LOSS if values.get(name, "0") != "0"}
        expect(
            not own_loss,
            f"testpmd itself lost packets, so the result says nothing about the switch: {own_loss}",
        )
        return int(values["TX-packets"]), int(values["RX-packets"])

    def start(self):
        self.testpmd.say("set fwd io")
        self.testpmd.say("start")

    def stop(self):
        """Ends sending, and receives until no more packets come."""
        self.testpmd.say("stop")
        self.testpmd.say("set fwd rxonly")
        self.testpmd.say("start")
        end = time.monotonic() + DRAIN_SECONDS
        before = None
        while (now := self.counts()) != before:
            late = f"packets still come {DRAIN_SECONDS} s after the sender stopped: {before}, then {now}"
            expect(time.monotonic() < end, late)
            before = now
            time.sleep(IDLE_SECONDS)
        self.testpmd.say("stop")

    def end(self):
        self.testpmd.stop()
