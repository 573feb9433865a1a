# SPDX-License-Identifier: Apache-2.0
"""The services of the lab (scripts/lab shows the picture): (protocol, address, port) of each. A preview
address has .110 or ::110 in place of .10 or ::10."""

VIP4, VIP6 = "198.18.0.10", "fd18:0::10"
SERVICES = {"service-a": ("tcp", VIP4, 80), "service-b": ("tcp", VIP6, 80), "service-c": ("udp", VIP4, 5300)}
PREVIEW_ADDRESSES = {
    name: (protocol, address[: -len("10")] + "110", port)
    for name, (protocol, address, port) in SERVICES.items()
}
COLOURS = ("blue", "green")
