#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 10: teald may die at any time. Forwarding goes on, and no acknowledged flip is forgotten.

    client1, client2, client3 (HTTP and UDP load) == edge == blue1, blue2 | green1, green2

kill -9 ends teald under load, once after a flip of the group and once after a flip of one service. Clients
see no error. The new teald knows the traffic splits, the splits before, the generation and all ids.
"""
import time

import lab


def remembered():
    """The part of the status that must outlive teald."""
    whole = lab.status()
    return {
        "generation": whole["generation"],
        "services": [
            {
                "name": service["name"],
                "id": service["id"],
                "active": service["active"],
                "previous": service["previous"],
                "backends": {
                    colour: [
                        (backend["address"], backend["id"])
                        for backend in service["colours"][colour]["backends"]
                    ]
                    for colour in lab.COLOURS
                },
            }
            for service in whole["services"]
        ],
    }


def kill_and_start():
    before = remembered()
    lab.scripts_lab("kill", "daemon")
    lab.expect_equal("exit code of teal without a daemon", lab.teal("status", check=False).returncode, 7)
    time.sleep(1)
    lab.scripts_lab("start", "daemon")
    lab.expect_equal("what the new daemon knows", remembered(), before)


def test_kill_daemon_under_load():
    load = lab.Load(["client1", "client2", "client3"])
    try:
        time.sleep(1)
        with load.flipping("green"):
            lab.flip("green")
        kill_and_start()
        with load.flipping("blue"):
            lab.teal("rollback", "--group", "shop")
        time.sleep(0.5)
        kill_and_start()
        answer = lab.flip("green", "service-c")
        lab.expect_equal(
            "what a flip after the restart changes",
            [change["service"] for change in answer["changed"]],
            ["service-c"],
        )
        kill_and_start()
        lab.flip("blue", "service-c")
    finally:
        tally = load.stop()
    # The timeline does not know that service-c was green for a while.
    lab.expect_no_trouble(tally, ignored_service="service-c")


lab.run()
