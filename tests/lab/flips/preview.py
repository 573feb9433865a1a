#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""client2 tests the idle colour at the VIP, and everybody at the preview address. All others get the active
one.

    client1, client2, client3 (by a router) == edge == blue1, blue2 | green1, green2

After a flip it is exactly the reverse. Replies come from the address that the client spoke to: a connected
socket takes no others.
"""
import json
import socket

import lab

CLIENTS = ("client1", "client2", "client3")


def address_of(host, service):
    """The address from which the host speaks to the service."""
    _, address, port = lab.SERVICES[service]
    with lab.on_host(host):
        probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        probe.connect((address, port))
        return probe.getsockname()[0]


def colours(service, preview=False):
    """The colours that 20 new flows of each client get."""
    return {host: {lab.colour_of_new_flow(service, host, preview) for _ in range(20)} for host in CLIENTS}


def expect_preview(active):
    idle = lab.other(active)
    for service in lab.SERVICES:
        lab.expect_equal(
            f"{service} at the VIP",
            colours(service),
            {"client1": {active}, "client2": {idle}, "client3": {active}},
        )
        lab.expect_equal(
            f"{service} at the preview address", colours(service, True), dict.fromkeys(CLIENTS, {idle})
        )


def test_a_preview_reaches_the_idle_colour_and_a_flip_reverses_it():
    kept = lab.open_flow("service-a", "client2")
    first = kept.ask()
    for service in lab.SERVICES:
        answer = json.loads(
            lab.teal("preview", "set", service, address_of("client2", service), "-o", "json").stdout
        )
        lab.expect_equal("workers that adopted the preview", answer["workers"]["adopted"], 2)
    expect_preview("blue")
    lab.flip("green")
    expect_preview("green")
    lab.flip("blue")
    expect_preview("blue")
    lab.expect_equal("an existing flow of client2", kept.ask(), first)
    kept.close()
    page = lab.teal("status", "service-a").stdout
    lab.expect("preview of green: at 198.18.0.110:80, and for " in page, f"status shows the preview: {page}")
    for service in lab.SERVICES:
        lab.teal("preview", "clear", service)
        lab.expect_equal(f"{service} after it", colours(service), dict.fromkeys(CLIENTS, {"blue"}))
    lab.expect_equal("wrong_colour_flows", lab.api().totals()["wrong_colour_flows"], 0)


def test_a_preview_under_load_fails_no_request():
    load, moved = lab.Load(["client1", "client3"]), lab.Load(["client2"])
    for _ in range(5):
        for service in lab.SERVICES:
            lab.teal("preview", "set", service, address_of("client2", service))
        for service in lab.SERVICES:
            lab.teal("preview", "clear", service)
    lab.expect_no_trouble(load.stop())
    of_moved = moved.stop()  # its new flows change their colour
    lab.expect_equal("failed requests of client2", of_moved.failures, [])
    lab.expect_equal("moved flows of client2", of_moved.moved, [])


def test_a_tuple_in_use_cannot_speak_to_the_other_address():
    _, vip, port = lab.SERVICES["service-a"]
    preview = lab.PREVIEW_ADDRESSES["service-a"][1]
    before = lab.api().totals()["tuple_in_use"]
    with lab.on_host("client1"):
        sockets = [socket.socket(), socket.socket()]
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.settimeout(2)
    sockets[0].connect((vip, port))
    sockets[1].bind(sockets[0].getsockname())
    try:
        sockets[1].connect((preview, port))
        raise AssertionError("a connection from a tuple in use is made")
    except TimeoutError:
        pass
    lab.expect(lab.api().totals()["tuple_in_use"] > before, "the drop is counted")
    for one in sockets:
        one.close()


def test_a_release_can_require_a_preview():
    lab.flip("green", "service-a")  # forgets the previews of the tests before
    lab.teal("rollback", "service-a")
    lab.set_rollout_rules("require_preview = true")
    refused = lab.teal("flip", "service-a", "--to", "green", check=False)
    lab.expect_equal("exit code without a preview", refused.returncode, 3)
    lab.expect("green has answered no flow of a preview" in refused.stderr, refused.stderr)
    lab.teal("preview", "set", "service-a", address_of("client2", "service-a"))
    lab.expect_equal("the answer to client2", lab.colour_of_new_flow("service-a", "client2"), "green")
    lab.expect("it has answered" in lab.teal("status", "service-a").stdout, "status tells of the answer")
    lab.flip("green", "service-a")
    lab.teal("rollback", "service-a")
    lab.teal("preview", "clear", "service-a")


def test_what_cannot_be_previewed_is_refused():
    for clients, code, words in (
        (["fd18:1::7"], 1, "is IPv6, but the VIP 198.18.0.10:80"),
        (["198.18.2.64/26"], 3, "is in the subnet of backend"),
        (["198.18.1.7/24"], 1, 'expected "198.18.1.0/24"'),
        (["client2"], 1, "is not an address or a network"),
    ):
        done = lab.teal("preview", "set", "service-a", *clients, check=False)
        lab.expect_equal(f"exit code for {clients}", done.returncode, code)
        lab.expect(words in done.stderr, f"{clients}: {done.stderr}")
    lab.expect_equal("no preview", lab.status("service-a")["preview"]["clients"], [])


lab.run()
