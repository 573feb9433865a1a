#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 1: a flow never changes its backend, whatever is flipped.

    client1, client2, client3 == edge == blue1, blue2 | green1, green2

200 flows are opened on blue. Through 20 flips back and forth, its own backend answers each of them, and
every new flow has the active colour. Then green stays active, and the count of the drain falls to 0 as the
flows close.
"""
import lab

HOSTS = ("client1", "client2", "client3")
FLOWS = 200


def flows_keep_their_backend(service):
    lab.flip("blue", service)
    flows = [lab.open_flow(service, HOSTS[i % 3]) for i in range(FLOWS)]
    births = [flow.ask() for flow in flows]
    lab.expect_equal("colours of the first flows", {birth.split()[0] for birth in births}, {"blue"})
    lab.expect_equal("backends of the first flows", len(set(births)), 2)

    for number in range(20):
        active = lab.COLOURS[(number + 1) % 2]
        lab.flip(active, service)
        for host in HOSTS:
            lab.expect_equal(
                f"colour of a new flow after flip {number}", lab.colour_of_new_flow(service, host), active
            )
        for flow, birth in zip(flows, births):
            lab.expect_equal(f"answer to an old flow after flip {number}", flow.ask(), birth)

    answer = lab.flip("green", service)
    lab.expect_equal(
        "services changed by the last flip", [change["service"] for change in answer["changed"]], [service]
    )
    return flows


def drains_to_zero(service, flows):
    """For TCP: a flow ends when it closes, so the count is exact once the short flows have ended."""
    lab.wait_for("only the 200 flows are left on blue", lambda: lab.flows(service, "blue") == FLOWS)
    draining = lab.status(service)["draining"]
    lab.expect_equal(
        "what drains", (draining["colour"], draining["flows"], draining["backends"]), ("blue", FLOWS, 2)
    )
    for left in (150, 100, 50, 0):
        while len(flows) > left:
            flows.pop().close()
        lab.wait_for(f"{left} flows left on blue", lambda: lab.flows(service, "blue") == left)
    lab.wait_for("the drain is over", lambda: lab.status(service)["draining"] is None)


def test_http_over_ipv4():
    drains_to_zero("service-a", flows_keep_their_backend("service-a"))


def test_http_over_ipv6():
    drains_to_zero("service-b", flows_keep_their_backend("service-b"))


def test_udp():
    flows = flows_keep_their_backend("service-c")
    lab.expect(lab.flows("service-c", "blue") >= FLOWS, "flows of blue that are in use are counted")
    for flow in flows:
        flow.close()
    lab.wait_for("blue's UDP flows end by their timeout", lambda: lab.flows("service-c", "blue") == 0, 15)


lab.run()
