# SPDX-License-Identifier: Apache-2.0
"""The cases. A case names its source of packets; the table holds `held` flows while the source is
replayed.
"""
import dataclasses

from plan import KI, MI, Source

HANDSHAKE = {"udp": "cr", "tcp": "sacr"}  # the backend has sent more than its SYN-ACK (flow_state.h)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    title: str
    source: Source
    quick: bool = True
    held: int = 0  # 0: the flows of the source
    workers: int = 1
    moving: frozenset = frozenset()  # counters that move besides rx and tx
    created: bool = False  # flows begin all the time; reports how many a second
    peers: bool = False  # also measured with the peers
    plotted: bool = False

    @property
    def flows_held(self):
        return self.held or self.source.flows

    @property
    def capacity(self):
        """Room for at least 1 Mi flows, as on a real machine; four times the flows where they stay
        embryonic."""
        return max(MI, self.flows_held) * (4 if self.created else 1)

    def sources(self):
        """One source for each worker, with flows of its own."""
        if self.workers == 1:
            return [self.source]
        return [dataclasses.replace(self.source, worker=w, workers=self.workers) for w in range(self.workers)]

    @property
    def reference(self):
        """A name and a case that is measured in turns with this one, or None. The result has the ratio of
        their rates. Where some packets have TTL 1, the ratio is the rate of the other packets with and
        without them."""
        if self.workers > 1:
            return "alone", dataclasses.replace(self, workers=1)
        if self.source.expired:
            return "plain", dataclasses.replace(self, source=self.plain_source)
        return None

    @property
    def plain_source(self):
        return dataclasses.replace(self.source, expired=0)

    @property
    def forwarded_share(self):
        """The part of the packets that a router may forward."""
        return 1 - 1 / self.source.expired if self.source.expired else 1.0

    def handshakes(self):
        """The sources that establish the flows, one for each worker."""
        if self.source.steps == "sx":
            return []
        protocol = self.source.kind[:3]
        return [
            dataclasses.replace(
                s, flows=self.flows_held, steps=HANDSHAKE[protocol], order="chunks", imix=False, expired=0
            )
            for s in self.sources()
        ]


EXPIRED = frozenset({"punted", "punt_limit", "punt_full"})
BEGINNING = frozenset({"flows_created", "flows_replaced"})


def udp(flows, **more):
    return Source("udp4", flows, **more)


def tcp(flows, **more):
    return Source("tcp4", flows, **more)


CASES = (
    Case("udp-1k", "established UDP, 1,000 flows", udp(1000), peers=True, plotted=True),
    Case("udp-64k", "established UDP, 64 Ki flows", udp(64 * KI), peers=True, plotted=True),
    Case("udp-1m", "established UDP, 1 Mi flows", udp(MI), peers=True, plotted=True),
    Case("udp-10m", "established UDP, 1 Mi of 10 Mi flows", udp(MI), held=10 * MI, plotted=True),
    Case("tcp-1k", "established TCP (ACK), 1,000 flows", tcp(1000), quick=False),
    Case("tcp-64k", "established TCP (ACK), 64 Ki flows", tcp(64 * KI)),
    Case("tcp-1m", "established TCP (ACK), 1 Mi flows", tcp(MI), quick=False),
    Case("both-64k", "both directions, UDP, 64 Ki flows", udp(64 * KI, steps="cr")),
    Case("both-1m", "both directions, UDP, 1 Mi flows", udp(MI, steps="cr"), quick=False),
    Case("v6-64k", "established UDP over IPv6, 64 Ki flows", Source("udp6", 64 * KI)),
    Case("v6-1m", "established UDP over IPv6, 1 Mi flows", Source("udp6", MI), quick=False),
    Case("imix-64k", "established UDP, IMIX, 64 Ki flows", udp(64 * KI, imix=True), quick=False),
    Case(
        *("mixed-64k", "90 % established, 10 % new (TCP), 64 Ki flows", tcp(64 * KI, order="churn")),
        moving=BEGINNING,
        created=True,
    ),
    Case(
        *("mixed-1m", "90 % established, 10 % new (TCP), 1 Mi flows", tcp(MI, order="churn")),
        quick=False,
        moving=BEGINNING,
        created=True,
    ),
    Case(
        *("begin-end", "each flow a SYN and a RST, 256 Ki at a time", tcp(256 * KI, steps="sx")),
        quick=False,
        moving=BEGINNING,
        created=True,
    ),
    Case(
        *("ttl-64k", "established UDP, 64 Ki flows, 1 in 10 TTL 1", udp(64 * KI, expired=10)),
        moving=EXPIRED,
    ),
    Case("workers-2", "2 workers, each its own 64 Ki flows (UDP)", udp(64 * KI), workers=2),
)

NEW, FLIPS, STATUS, SCALE, STAGES = "new", "flips", "status", "scale", "stages"


def case_named(name):
    return next(case for case in CASES if case.name == name)
