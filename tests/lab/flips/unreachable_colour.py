#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A flip to a colour that cannot serve is refused; a rollback never is.

    client1 == edge == blue1, blue2 | green1, green2 (their links are down)

The kernel of the edge gets no answer from green's hosts, so no green backend has a next hop.
"""
import contextlib
import subprocess
import time

import lab

GREEN = ("green1", "green2")
ADDRESSES = ("198.18.2.21", "198.18.2.22", "fd18:2::21", "fd18:2::22")


def run_on(host, *words):
    subprocess.run(lab.command(host, *words), check=True)


def green_has(next_hop):
    backends = lab.status("service-a")["colours"]["green"]["backends"]
    return all(backend["next_hop"] == next_hop for backend in backends)


@contextlib.contextmanager
def unplugged_green():
    """Green's hosts have no link during the block, and the edge's kernel has forgotten them."""
    for host in GREEN:
        run_on(host, "ip", "link", "set", "eth0", "down")
    for address in ADDRESSES:
        subprocess.run(lab.command("edge", "ip", "neigh", "del", address, "dev", "back"), check=False)
    try:
        lab.wait_for("green without a next hop", lambda: green_has("unresolved"))
        yield
    finally:
        for host in GREEN:
            run_on(host, "ip", "link", "set", "eth0", "up")
            run_on(host, "ip", "route", "replace", "default", "via", "198.18.2.1")
            run_on(host, "ip", "-6", "route", "replace", "default", "via", "fd18:2::1")
        for address in ADDRESSES:
            subprocess.run(lab.command("edge", "ip", "neigh", "del", address, "dev", "back"), check=False)
        lab.wait_for("green with a next hop", lambda: green_has("resolved"), seconds=20)


def test_a_flip_to_a_colour_that_cannot_be_reached_is_refused():
    with unplugged_green():
        time.sleep(2.2)
        refused = lab.teal("flip", "service-a", "--to", "green", check=False)
        lab.expect_equal(f"exit code ({refused.stdout}{refused.stderr})", refused.returncode, 3)
        lab.expect("no green backend of service-a can be reached" in refused.stderr, refused.stderr)
        lab.expect("no answer from 198.18.2.21 on back" in refused.stderr, refused.stderr)
        lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")
        waited = lab.teal(
            "wait", "service-a", "--for", "healthy", "--colour", "green", "--timeout", "1s", check=False
        )
        lab.expect_equal("exit code of wait --colour green", waited.returncode, 4)
        lab.expect("no answer from" in lab.teal("status").stdout, "status says why")
    lab.teal("wait", "service-a", "--for", "healthy", "--colour", "green", "--timeout", "10s")


@contextlib.contextmanager
def green_behind_no_port():
    """During the block, the edge's routes to green leave by an interface that the dataplane does not have."""
    run_on("edge", "ip", "link", "add", "stray", "type", "veth", "peer", "name", "stray-peer")
    try:
        run_on("edge", "ip", "link", "set", "stray", "up")
        for address in ADDRESSES[:2]:
            run_on("edge", "ip", "route", "add", f"{address}/32", "dev", "stray")
        lab.wait_for("green without a next hop", lambda: green_has("unresolved"))
        yield
    finally:
        run_on("edge", "ip", "link", "del", "stray")
        lab.wait_for("green with a next hop", lambda: green_has("resolved"), seconds=20)


def test_a_flip_to_a_colour_behind_no_port_of_the_dataplane_is_refused():
    with green_behind_no_port():
        refused = lab.teal("flip", "service-a", "--to", "green", check=False)
        lab.expect_equal(f"exit code ({refused.stdout}{refused.stderr})", refused.returncode, 3)
        lab.expect("the route leaves by stray, which is not a port" in refused.stderr, refused.stderr)
        lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")
    lab.teal("flip", "service-a", "--to", "green")
    lab.teal("rollback", "service-a")


def test_force_flips_all_the_same_and_the_rollback_goes_back():
    with unplugged_green():
        time.sleep(2.2)
        forced = lab.teal("flip", "service-a", "--to", "green", "--force")
        lab.expect("service-a: 2 of 2 green backends have no next hop" in forced.stderr, forced.stderr)
        lab.teal("rollback", "service-a")
        lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")


lab.run()
