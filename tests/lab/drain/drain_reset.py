#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""Promise 8: a drain ends as the operator chose. With "reset", both ends of each remaining flow see a RST.

    client1, client3 (idle keep-alive connections, a download each) == edge == blue1, blue2 | green1, green2

Connections are opened on blue, the service is flipped to green, and the drain gets a deadline. The clients
see ECONNRESET. The servers' kernels show that the servers saw a RST, too: a connection that was
established and ended without a FIN counts as EstabResets, and ss no longer lists it.
"""
import contextlib
import errno
import re
import select
import socket
import subprocess
import threading
import time

import lab

CONFIG = lab.RUN_DIR / "teal.toml"
BLUE = ("blue1", "blue2")
HOSTS = ("client1", "client3")
IDLE_EACH = 20
IN_TIME = 3.0  # after the deadline


def kernel_resets():
    """Reset connections, counted by the backends' kernels."""
    total = 0
    for host in BLUE:
        text = subprocess.run(
            lab.command(host, "cat", "/proc/net/snmp"), capture_output=True, text=True
        ).stdout
        names, values = [line.split() for line in text.splitlines() if line.startswith("Tcp:")]
        total += int(dict(zip(names, values))["EstabResets"])
    return total


def server_sockets():
    """Connections of nginx, counted by the backends' kernels."""
    total = 0
    for host in BLUE:
        command = lab.command(host, "ss", "-tnH", "state", "established", "sport = :8080")
        total += len(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())
    return total


class Download(threading.Thread):
    """Reads /big at 2 MB/s until it ends or breaks."""

    def __init__(self, host, address):
        super().__init__()
        with lab.on_host(host):
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            self.socket.connect((address, 80))
        self.socket.settimeout(20)
        self.socket.sendall(b"GET /big HTTP/1.1\r\nHost: lab\r\n\r\n")
        self.bytes, self.error, self.ended_at = 0, None, None
        self.start()

    def run(self):
        try:
            while data := self.socket.recv(20_000):
                self.bytes += len(data)
                time.sleep(0.01)
        except OSError as error:
            self.error = error.errno
        self.ended_at = time.monotonic()


class Drained:
    """Flows of one service on blue, which is no longer active, and the moment of the flip."""

    def __init__(self, service):
        address = lab.SERVICES[service][1]
        lab.flip("blue", service)
        self.idle = [lab.open_flow(service, host, timeout=10) for host in HOSTS for _ in range(IDLE_EACH)]
        self.births = [flow.ask() for flow in self.idle]
        lab.expect_equal("colours of the flows", {birth.split()[0] for birth in self.births}, {"blue"})
        self.downloads = [Download(host, address) for host in HOSTS]
        time.sleep(0.3)
        self.flipped_at = time.monotonic()
        lab.flip("green", service)

    def expect_alive(self):
        lab.expect_equal("answers to flows of blue", [flow.ask() for flow in self.idle], self.births)
        lab.expect_equal("downloads that ended", [one for one in self.downloads if one.ended_at], [])

    def reset_times(self, until):
        """The time when each idle connection broke."""
        poll, found = select.poll(), {}
        for flow in self.idle:
            poll.register(flow.socket, select.POLLERR)
        while time.monotonic() < until and len(found) < len(self.idle):
            for descriptor, _ in poll.poll(20):
                found[descriptor] = time.monotonic()
                poll.unregister(descriptor)
        return sorted(found.values())

    def close(self):
        for flow in self.idle:
            flow.close()
        for one in self.downloads:
            with contextlib.suppress(OSError):
                one.socket.shutdown(socket.SHUT_RDWR)
            one.join()


def totals():
    return lab.api().totals()


def both_ends_see_rst(service):
    servers_before = server_sockets()
    drained = Drained(service)
    count = len(drained.idle) + len(drained.downloads)
    resets, counted = kernel_resets(), totals()["flows_reset"]
    lab.teal("drain", service, "--timeout", "4s", "--then", "reset")
    deadline = drained.flipped_at + 4
    time.sleep(max(0, deadline - 1 - time.monotonic()))
    drained.expect_alive()
    lab.expect_equal("resets before the deadline", kernel_resets() - resets, 0)

    times = drained.reset_times(deadline + IN_TIME)
    lab.expect_equal("idle connections that broke in time", len(times), len(drained.idle))
    lab.expect(times[0] > deadline - 0.1, f"the first broke {deadline - times[0]:.2f} s before the deadline")
    errors = [flow.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for flow in drained.idle]
    lab.expect_equal("errors of idle connections", set(errors), {errno.ECONNRESET})
    for download in drained.downloads:
        download.join(max(0.01, deadline + IN_TIME - time.monotonic()))
        lab.expect_equal("error of a download", download.error, errno.ECONNRESET)
        lab.expect(download.bytes > 100_000, f"it ran: {download.bytes} bytes")
    left = deadline + IN_TIME - time.monotonic()
    lab.wait_for("the servers saw a RST each", lambda: kernel_resets() - resets == count, max(0.1, left))
    lab.expect(server_sockets() <= servers_before, "no connection of these is left on the servers")
    lab.expect_equal("flows_reset", totals()["flows_reset"] - counted, count)
    lab.wait_for("the drain is over", lambda: lab.status(service)["draining"] is None)
    drained.close()
    print(f"   {count} flows of {service}: the last one {times[-1] - deadline:.2f} s after the deadline")


def test_reset_over_ipv4():
    both_ends_see_rst("service-a")


def test_reset_over_ipv6():
    both_ends_see_rst("service-b")


def test_wait_resets_nobody():
    drained = Drained("service-a")
    before = totals()
    lab.teal("drain", "service-a", "--timeout", "1s", "--then", "wait")
    time.sleep(5)
    drained.expect_alive()
    after = totals()
    for name in ("flows_reset", "reset_probes", "resets_sent"):
        lab.expect_equal(name, after[name], before[name])
    drained.close()


def test_deadline_that_is_put_off_spares_the_flows():
    drained = Drained("service-a")
    lab.teal("drain", "service-a", "--timeout", "3s", "--then", "reset")
    lab.teal("drain", "service-a", "--timeout", "10m")
    time.sleep(max(0, drained.flipped_at + 5 - time.monotonic()))
    drained.expect_alive()
    drained.close()


def configure(old, new):
    text = CONFIG.read_text()
    lab.expect(re.search(old, text, re.S), f"no {old} in the config")
    CONFIG.write_text(re.sub(old, new, text, count=1, flags=re.S))
    lab.teal("reload")


def test_reset_rate_paces_and_a_killed_dataplane_goes_on():
    configure(r"\A", "[drain]\nreset_rate = 20\n\n")
    drained = Drained("service-a")
    count = len(drained.idle) + len(drained.downloads)
    resets = kernel_resets()
    lab.teal("drain", "service-a", "--timeout", "2s", "--then", "reset")
    time.sleep(max(0, drained.flipped_at + 3 - time.monotonic()))
    after_a_second = kernel_resets() - resets
    lab.expect(1 <= after_a_second <= 30, f"{after_a_second} of {count} after a second at 20/s")
    lab.scripts_lab("kill", "dataplane")
    lab.scripts_lab("start", "dataplane", "--workers", "1")
    lab.wait_for("all are reset", lambda: kernel_resets() - resets == count, 10)
    drained.close()
    lab.scripts_lab("kill", "dataplane")
    lab.scripts_lab("start", "dataplane", "--workers", "2")
    configure(r"\A\[drain\]\nreset_rate = 20\n\n", "")


def test_udp_stick_stays_until_the_deadline():
    lab.flip("blue", "service-c")
    flow = lab.open_flow("service-c")
    birth = flow.ask()
    lab.flip("green", "service-c")
    lab.expect_equal("answer after the flip", flow.ask(), birth)
    lab.teal("drain", "service-c", "--timeout", "2s", "--then", "reset")
    lab.expect_equal("answer before the deadline", flow.ask(), birth)
    lab.wait_for(
        "another is chosen after the deadline", lambda: flow.ask().split()[0] == "green", 2 + IN_TIME
    )
    flow.close()


def test_udp_cut_is_chosen_anew_at_the_next_packet():
    configure(r'(name = "service-c".*?then = "wait")', r'\1, udp = "cut"')
    lab.flip("blue", "service-c")
    flow = lab.open_flow("service-c")
    for colour in ("blue", "green", "blue"):
        lab.flip(colour, "service-c")
        lab.expect_equal(f"colour after the flip to {colour}", flow.ask().split()[0], colour)
    lab.expect_equal("wrong colours", totals()["wrong_colour_flows"], 0)
    flow.close()


lab.run()
