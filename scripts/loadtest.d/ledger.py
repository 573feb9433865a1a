# SPDX-License-Identifier: Apache-2.0
"""The packets sent and received, and Teal's counters of the same time."""
import dataclasses

# They move in every scenario: packets of the kernel come through the TAP port (ND, MLD).
ALWAYS_MOVING = frozenset({"rx", "tx", "relayed"})


@dataclasses.dataclass
class Ledger:
    """The numbers of one stretch, which ends when the switch is empty."""

    offered: int
    received: int  # without the packets of the switch's own kernel
    seconds: float  # of sending
    teal: dict  # counter -> how far it moved; has only the counters that moved

    @property
    def lost(self):
        return self.offered - self.received

    @property
    def offered_pps(self):
        return self.offered / self.seconds

    @property
    def blocked_us(self):
        """CSIT's effective blocked time: the time at this rate in which as many packets are sent as were
        lost."""
        return self.lost / self.offered_pps * 1e6 if self.offered else 0.0

    def violations(self, moving=frozenset()):
        """Returns sentences; none if no packet was lost and every flow had the right colour. `moving` are
        the counters that must move."""
        found = []
        if self.offered == 0:
            found.append("no packet was offered")
        if self.lost:
            found.append(f"{self.lost} packets lost of {self.offered}, expected 0")
        for name, expected in (("rx", self.offered), ("tx", self.offered)):
            if self.teal.get(name, 0) != expected:
                found.append(f"Teal's counter {name} moved by {self.teal.get(name, 0)}, expected {expected}")
        strange = {name: value for name, value in self.teal.items() if name not in ALWAYS_MOVING | moving}
        if strange:
            found.append(f"unexpected counters of Teal moved: {strange}")
        still = sorted(name for name in moving if not self.teal.get(name))
        if still:
            found.append(f"Teal's counters did not move: {', '.join(still)}")
        return found

    def as_dict(self):
        return {
            "offered": self.offered,
            "received": self.received,
            "lost": self.lost,
            "seconds": round(self.seconds, 3),
            "offered_mpps": round(self.offered_pps / 1e6, 4),
            "blocked_us": round(self.blocked_us, 3),
            "teal": self.teal,
        }
