#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""A ramp under load: the shares of new connections, an abort, and the flip at its end.

    client1 (wrk, a connection a request, IPv4) == edge == blue1, blue2 | green1, green2

At each step the share of green among 20,000 new connections is within 4 sigma of the step, and exactly 0 and
1 at the ends. No request fails, neither by a step nor by an abort at 50 %. Connections that began on green
stay there after the abort.
"""
import json
import math

import lab

CONNECTIONS = 20_000
STEPS = (1, 25, 50)


def begun():
    """The flows of service-a that ever began, by colour."""
    return {name: colour["new_flows"] for name, colour in lab.status("service-a")["colours"].items()}


def shares_of(connections):
    """The number of new connections of each colour, until there are `connections`."""
    before = begun()

    def new():
        return {colour: count - before[colour] for colour, count in begun().items()}

    lab.wait_for(f"{connections} new connections", lambda: sum(new().values()) >= connections, 60)
    return new()


def expect_share(percent):
    new = shares_of(CONNECTIONS)
    total, share = sum(new.values()), percent / 100
    sigma = math.sqrt(share * (1 - share) / total)
    measured = new["green"] / total
    print(f"  {percent} %: {new['green']} of {total} went to green, {measured:.4f}, sigma {sigma:.4f}")
    lab.expect(abs(measured - share) <= 4 * sigma, f"the share of green at {percent} %: {new}, sigma {sigma}")


def ramp():
    steps = ",".join(f"{step}%" for step in (*STEPS, 100))
    lab.teal("ramp", "service-a", "--to", "green", "--steps", steps, "--manual")


def test_the_shares_of_a_ramp():
    lab.flip("blue", "service-a")
    with lab.wrk(("client1", "-c8", "-H", "Connection: close", f"http://{lab.VIP4}/")):
        lab.expect_equal("green before the ramp", shares_of(2_000)["green"], 0)
        ramp()
        for step in STEPS:
            expect_share(step)
            if step != STEPS[-1]:
                lab.teal("next", "service-a")

        kept = [lab.open_flow("service-a", "client3") for _ in range(20)]
        colours = [flow.ask()[:4] for flow in kept]
        lab.expect(0 < colours.count("gree") < 20, f"both colours take flows at 50 %: {colours}")
        lab.teal("abort", "service-a", "--reason", "the test")
        lab.expect_equal("green after the abort", shares_of(2_000)["green"], 0)
        lab.expect_equal("colours of kept flows", [flow.ask()[:4] for flow in kept], colours)
        for flow in kept:
            flow.close()

        ramp()
        for _ in STEPS:
            lab.teal("next", "service-a")
        lab.expect_equal("active", lab.status("service-a")["active"], "green")
        lab.expect_equal("blue after the last step", shares_of(2_000)["blue"], 0)
    lab.expect_equal("wrong_colour_flows", lab.api().totals()["wrong_colour_flows"], 0)
    back = json.loads(lab.teal("rollback", "service-a", "-o", "json").stdout)
    lab.expect_equal("what a rollback undoes", back["changed"][0]["to"], "blue")


def test_a_ramp_by_time_ends_in_a_flip():
    lab.set_rollout_rules('on_few = "go"')  # there is no load
    lab.teal("ramp", "service-a", "--to", "green", "--steps", "10%,50%,100%", "--every", "500ms")
    lab.wait_for("the flip", lambda: lab.status("service-a")["active"] == "green", 10)
    verbs = [change["verb"] for change in json.loads(lab.teal("history", "-o", "json").stdout)["changes"][:3]]
    lab.expect_equal("the history", verbs, ["step", "step", "ramp"])
    lab.teal("rollback", "service-a")


lab.run()
