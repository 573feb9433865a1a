#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Answers each datagram on port 5300 with a prefix and the datagram; or sends one datagram to such a server.

usage: udp_echo.py "COLOUR NAME" ADDRESS...
       udp_echo.py --ask ADDRESS PORT TEXT     prints the answer; exit code 1 if none comes within 1 s

The server binds to each address by name. From a wildcard socket, the kernel would choose the source of an
answer.
"""
import selectors
import socket
import sys

PORT = 5300


def serve(prefix, addresses):
    selector = selectors.DefaultSelector()
    for address in addresses:
        echo = udp_socket(address)
        echo.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        echo.bind((address, PORT))
        selector.register(echo, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            try:
                payload, client = key.fileobj.recvfrom(65536)
                key.fileobj.sendto(prefix + payload, client)
            except OSError as error:  # such as an ICMP error for an earlier answer: the server goes on
                print(f"udp_echo: {error}", file=sys.stderr, flush=True)


def ask(address, port, text):
    client = udp_socket(address)
    client.settimeout(1)
    client.connect((address, port))  # drops answers from other addresses
    try:
        client.send(text.encode())
        print(client.recv(65536).decode())
    except OSError as error:
        sys.exit(f"udp_echo: {address}: {error}")


def udp_socket(address):
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        ask(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        serve(sys.argv[1].encode() + b" ", sys.argv[2:])
