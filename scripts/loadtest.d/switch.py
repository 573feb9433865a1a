# SPDX-License-Identifier: Apache-2.0
"""A Teal whose only port is a vhost socket, with flows in its table. scripts/bench.d/teal_runner.py runs
it.
"""
import dataclasses
import time

import teal_runner
from cases import HANDSHAKE
from ledger import Ledger
from machine import in_namespace, run
from plan import SERVICES, VHOST_MAC, Source
from teal_runner import PORT, Teal

NAME = "loadtest"


def hugepages_mb(capacity):
    return teal_runner.hugepages_mb(0, capacity)


class SwitchUnderLoad:
    def __init__(self, undo, settings, kind, capacity):
        self.settings, self.kind = settings, kind
        self.teal = Teal(undo, settings.build, settings.work, NAME, [kind], capacity=capacity)
        if self.teal.kinds[0].is_v4:
            # Packets of the kernel itself (ND, MLD) would be counted with the packets that come back.
            run(*in_namespace(self.teal.namespace, "sysctl", "-qw", f"net.ipv6.conf.{PORT}.disable_ipv6=1"))
        self.vhost_socket = f"{settings.work}/vhost"
        self.services = [f"{kind}-{number}" for number in range(SERVICES)]

    def start(self, flows=0):
        """Starts Teal with this many established flows, the first ones of plan.py's clients."""
        self.teal.start()
        if flows:
            source = Source(self.kind, flows, steps=HANDSHAKE[self.kind[:3]], order="chunks")
            self.teal.establish([self.settings.packets.file(source)], source.packets, flows)
        self.teal.change_port(f"net_vhost0,iface={self.vhost_socket}")

    def file(self, source):
        """A pcap of the source, for the vhost socket."""
        return self.settings.packets.file(dataclasses.replace(source, to_mac=VHOST_MAC))

    def flip(self, colour):
        return self.teal.flip(self.services, colour)

    def carry(self, sender, during):
        """Returns a Ledger of the packets that `sender` sends during during(), and the result of during()."""
        before, (offered, received) = self.teal.totals(), sender.counts()
        began = time.monotonic()
        sender.start()
        result = during()
        seconds = time.monotonic() - began
        sender.stop()
        moved = self.teal.moved(before)
        offered_now, received_now = sender.counts()
        of_clients = received_now - received - moved.get("relayed", 0)
        return Ledger(offered_now - offered, of_clients, seconds, moved), result
