# SPDX-License-Identifier: Apache-2.0
"""What was sent and what came back, beside what Teal counted of it."""
import dataclasses

# Besides what a scenario says: packets of the kernel's own come through the TAP port (ND, MLD).
ALWAYS_MOVING = frozenset({"rx", "tx", "relayed"})


@dataclasses.dataclass
class Ledger:
    """All numbers are of the same stretch, which ends when the switch is empty."""

    offered: int
    received: int  # without what the switch's kernel sent by itself
    seconds: float  # of sending
    teal: dict  # counter -> how far it moved; those that did not are not in it

    @property
    def lost(self):
        return self.offered - self.received

    @property
    def offered_pps(self):
        return self.offered / self.seconds

    @property
    def blocked_us(self):
        """CSIT's effective blocked time: for how long, at this rate, nothing would have had to pass to lose as much."""
        return self.lost / self.offered_pps * 1e6 if self.offered else 0.0

    def violations(self, moving=frozenset()):
        """Sentences; none where the switch lost and coloured nothing wrongly. `moving` are the counters that are to
        move."""
        found = []
        if self.offered == 0:
            found.append("nothing was offered")
        if self.lost:
            found.append(f"{self.lost} packets lost of {self.offered}, expected 0")
        for name, expected in (("rx", self.offered), ("tx", self.offered)):
            if self.teal.get(name, 0) != expected:
                found.append(f"Teal's counter {name} moved by {self.teal.get(name, 0)}, expected {expected}")
        strange = {name: value for name, value in self.teal.items() if name not in ALWAYS_MOVING | moving}
        if strange:
            found.append(f"Teal's counters moved that should not: {strange}")
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
