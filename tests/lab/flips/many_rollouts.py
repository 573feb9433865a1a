#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
# only with --long
"""21 good rollouts are never rolled back, and each bad green is, ten times.

    client1 (500 new connections and 100 UDP flows a second) == edge == blue1, blue2 | green1, green2
"""
import json
import time

import lab
import rollouts
from rollouts import black_hole, hangs, refuses, resets_5_percent, udp_black_hole

STEPS = ("--steps", "5%,25%,50%,100%", "--every", "2s")


def test_21_good_rollouts_are_never_rolled_back():
    with rollouts.load(seconds=900) as flows:
        time.sleep(rollouts.SECONDS_OF_GOOD_FLOWS)
        for number in range(21):
            to = "green" if number % 2 == 0 else "blue"
            lab.teal("ramp", "--group", "shop", "--to", to, *STEPS)
            lab.wait_for(to, lambda to=to: lab.status("service-c")["active"] == to, 60)
    lab.expect_equal(f"flows that failed, of {flows['begun']}", flows["failed"], 0)
    changes = json.loads(lab.teal("history", "-n", "200", "-o", "json").stdout)["changes"]
    lab.expect_equal("rollbacks", [change for change in changes if change["verb"] == "rollback"], [])
    lab.teal("rollback", "--group", "shop")  # blue is active, and the next flip to green is a release


def test_each_bad_green_is_rolled_back_ten_times():
    for _ in range(10):
        for bad, seconds in (
            (refuses, 1),
            (black_hole, 3),
            (udp_black_hole, 3),
            (hangs, 3),
            (resets_5_percent, 3),
        ):
            rollouts.expect_rollback_after_a_flip(bad, seconds)
        rollouts.expect_rollback_in_a_ramp(resets_5_percent, 25, 10)
        rollouts.expect_rollback_in_a_ramp(resets_5_percent, 1, 60)


lab.run()
