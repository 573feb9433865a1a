# SPDX-License-Identifier: Apache-2.0
"""Addresses, services and sources of packets, the same for Teal and for its peers.

There are 16 services of each kind. Service s has the VIP `vip` plus s and one blue backend, `backend` plus
s. So a pcap can have the backend's answers without knowing which backend Teal chose. Clients come by one
router.
"""
import dataclasses
import ipaddress
import pathlib

from machine import run

SERVICES = 16
# DPDK gives these MAC addresses to a process's first device. A port takes no frames to another address.
PCAP_MAC = "02:70:63:61:70:00"
VHOST_MAC = "56:48:4f:53:54:00"
HASH_SEED = 20_260_101
GREEN_OFFSET = 64  # added to the address of a blue backend
K, KI, MI = 1000, 1 << 10, 1 << 20


@dataclasses.dataclass(frozen=True)
class Kind:
    """Services of one protocol and address family."""

    name: str
    protocol: str
    client: str
    vip: str
    vip_port: int
    backend: str
    backend_port: int
    least_frame: int  # without FCS

    @property
    def is_v4(self):
        return ipaddress.ip_address(self.vip).version == 4

    @staticmethod
    def socket(address, port):
        return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"

    def vip_of(self, service):
        return ipaddress.ip_address(self.vip) + service

    def backend_of(self, service, green=False):
        return ipaddress.ip_address(self.backend) + service + (GREEN_OFFSET if green else 0)

    def edge_address(self):
        """The switch's own address in the backends' subnet, with the prefix."""
        return f"{ipaddress.ip_address(int(self.backend_of(0)) // 256 * 256 + 1)}/{24 if self.is_v4 else 64}"

    def backends(self):
        return [self.backend_of(s, green) for s in range(SERVICES) for green in (False, True)]


V4 = {"client": "10.0.0.0", "vip": "198.18.0.10", "backend": "198.18.2.10", "least_frame": 60}
V6 = {"client": "fd18:c::", "vip": "fd18::10", "backend": "fd18:2::10"}
KINDS = {
    kind.name: kind
    for kind in (
        Kind("udp4", "udp", vip_port=5300, backend_port=5300, **V4),
        Kind("tcp4", "tcp", vip_port=80, backend_port=8080, **V4),
        Kind("udp6", "udp", vip_port=5300, backend_port=5300, least_frame=62, **V6),
    )
}


@dataclasses.dataclass(frozen=True)
class Source:
    """One pcap. tests/bench/make_pcap.cc describes the fields."""

    kind: str
    flows: int
    steps: str = "c"
    order: str = "spread"
    imix: bool = False
    frame_bytes: int = 0  # without FCS; 0: the least of the kind
    expired: int = 0  # each packet of this number has TTL 1; 0: none
    worker: int = 0
    workers: int = 1
    to_mac: str = PCAP_MAC  # of the port that receives the frames

    @property
    def packets(self):
        return self.flows // 8 * 10 if self.order == "churn" else self.flows * len(self.steps)

    @property
    def name(self):
        parts = [self.kind, str(self.flows), self.steps, self.order]
        parts += ["imix"] * self.imix + [f"{self.frame_bytes}bytes"] * bool(self.frame_bytes)
        parts += [f"{self.expired}expired"] * bool(self.expired)
        parts += [f"{self.worker}of{self.workers}"] * (self.workers > 1)
        parts += [self.to_mac.replace(":", "")] * (self.to_mac != PCAP_MAC)
        return "-".join(parts)


class Packets:
    """Makes pcaps in `directory`, each once, until forget()."""

    def __init__(self, tool, directory):
        self.tool, self.directory = tool, pathlib.Path(directory)

    def file(self, source):
        path = self.directory / f"{source.name}.pcap"
        if path.exists():
            return path
        kind = KINDS[source.kind]
        command = [
            self.tool,
            "--out",
            path,
            "--flows",
            source.flows,
            "--steps",
            source.steps,
            "--order",
            source.order,
        ]
        command += ["--client", kind.client, "--vip", kind.socket(kind.vip_of(0), kind.vip_port)]
        command += [
            "--backend",
            kind.socket(kind.backend_of(0), kind.backend_port),
            "--protocol",
            kind.protocol,
        ]
        command += ["--to-mac", source.to_mac]
        command += ["--services", SERVICES, "--frame-bytes", source.frame_bytes or kind.least_frame]
        command += ["--hash-seed", HASH_SEED, "--worker", source.worker, "--workers", source.workers]
        command += ["--expired", source.expired]
        run(*command, *(["--imix"] if source.imix else []), seconds=180)
        return path

    def forget(self):
        for path in self.directory.glob("*.pcap"):
            path.unlink()
