# SPDX-License-Identifier: Apache-2.0
"""UDP sockets that always begin a new flow.

Teal knows a UDP flow by its addresses and ports alone. A socket with the port of a socket that was closed a
second ago would continue that flow, on its old backend. So ports are taken in turn. The first port of a
process depends on the time and moves faster than clients use ports up, so the next process on the host starts
beyond the ports of the process before it.
"""
import itertools
import socket
import time

FIRST_PORT, PORTS, PORTS_A_SECOND = 10_000, 55_000, 700

_next = itertools.count(int(time.monotonic() * PORTS_A_SECOND))


def fresh_udp_socket(address, port):
    """Returns a connected socket. No flow of the last minute has used its port."""
    while True:
        udp = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(("", FIRST_PORT + next(_next) % PORTS))
        except OSError:  # another process has the port
            udp.close()
            continue
        udp.connect((address, port))
        return udp
