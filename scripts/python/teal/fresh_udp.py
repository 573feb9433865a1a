# SPDX-License-Identifier: Apache-2.0
"""UDP sockets that are new flows for sure.

A switch knows a UDP flow by its addresses and ports alone. A socket that happens to get the port of one
closed a second ago continues that one's flow, rightly on its old backend. So ports are taken in turn, and
begin at a place that moves with time faster than clients use them up: also the next process on the host
starts beyond the ports of the last one.
"""
import itertools
import socket
import time

FIRST_PORT, PORTS, PORTS_A_SECOND = 10_000, 55_000, 700

_next = itertools.count(int(time.monotonic() * PORTS_A_SECOND))


def fresh_udp_socket(address, port):
    """A connected socket, from a port that no flow of the last minute has used."""
    while True:
        udp = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(("", FIRST_PORT + next(_next) % PORTS))
        except OSError:  # another process's
            udp.close()
            continue
        udp.connect((address, port))
        return udp
