#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 13: a packet that is not for a service reaches the kernel unchanged.

    client1, client3 == edge (kernel: ARP, ping, a TCP service) == blue1 (8080 serves two VIPs)

All of this works while the switch runs, and none of it becomes a flow of Teal.
"""
import socket
import subprocess
import threading

import lab

BLUE1 = {"4": "198.18.2.11", "6": "fd18:2::11"}
EDGE = {"4": "198.18.1.1", "6": "fd18:1::1"}


def flow_count():
    return sum(lab.flows(service, colour) for service in ("service-a", "service-b") for colour in lab.COLOURS)


def silently(host, *arguments):
    done = subprocess.run(lab.command(host, *arguments), capture_output=True, text=True)
    lab.expect(done.returncode == 0, f"{' '.join(arguments)} on {host}: {done.stdout}{done.stderr}")


def test_neighbours_are_learned_again():
    for host, interface in (("client1", "eth0"), ("blue1", "eth0"), ("edge", "front"), ("edge", "back")):
        silently(host, "ip", "neighbour", "flush", "dev", interface)
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-b"), "blue")


def test_ping_of_the_edge_and_through_it():
    for address in (*EDGE.values(), *BLUE1.values()):
        for host in ("client1", "client3"):
            silently(host, "ping", "-q", "-c", "5", "-i", "0.02", "-W", "2", address)


def test_tcp_service_on_the_edge():
    for address in EDGE.values():
        with lab.on_host("edge"):
            server = socket.create_server(
                (address, 2222), family=socket.AF_INET6 if ":" in address else socket.AF_INET
            )

        def answer():
            connection, _ = server.accept()
            connection.sendall(connection.recv(100) * 10_000)  # more than a window
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with lab.on_host("client3"):
            client = socket.create_connection((address, 2222), timeout=5)
        client.sendall(b"0123456789")
        received = 0
        while chunk := client.recv(65536):
            received += len(chunk)
        thread.join()
        server.close()
        client.close()
        lab.expect_equal(f"bytes from {address}", received, 100_000)


def straight_to_a_backend(host):
    """A connection without the VIP. The reply comes from a backend socket and has no flow, so the kernel
    must forward it."""
    before = flow_count()
    for address in BLUE1.values():
        flow = lab.TcpFlow(host, address, 8080)
        for _ in range(20):
            lab.expect_equal(f"answer of {address} to {host}", flow.ask(), "blue blue1")
        lab.expect_equal("flows while the connection is open", flow_count(), before)
        flow.close()
        name = f"[{address}]" if ":" in address else address
        silently(
            host, "curl", "-s", "-g", "-f", "--max-time", "20", "-o", "/dev/null", f"http://{name}:8080/big"
        )


def test_tcp_from_the_edge_to_a_backends_service_port():
    straight_to_a_backend("edge")


def test_tcp_from_client1_straight_to_a_backends_service_port():
    straight_to_a_backend("client1")


def test_a_download_through_the_vip():
    for name in (lab.VIP4, f"[{lab.VIP6}]"):
        silently(
            "client3", "curl", "-s", "-g", "-f", "--max-time", "20", "-o", "/dev/null", f"http://{name}/big"
        )


lab.run()
