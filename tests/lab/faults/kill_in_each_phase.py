#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""teald and teal-health may be killed in any phase of a rollout. The phase goes on, and no client sees it.

    client1, client3 (HTTP and UDP load) == edge (teald, teal-health) == blue1, blue2 | green1, green2

Of two commands that race for the same revision one wins, and the other ends with exit code 5.
"""
import json

import lab

CONFIG = lab.RUN_DIR / "teal.toml"
CLIENT = "198.18.1.102"  # client2
BAKE = "30s"
RAMP = ("--steps", "10%,50%,100%", "--manual")


def phase():
    return lab.status("service-a")["phase"]


def remembered():
    """What must outlive both processes."""
    service = lab.status("service-a")
    ramp = service["ramp"]
    return {
        "phase": service["phase"],
        "active": service["active"],
        "preview": service["preview"],
        "share": ramp and ramp["share_percent"],
        "paused": ramp and ramp["paused"],
    }


def kill_both_in(expected_phase):
    """Kills each process in this phase, and expects that nothing is forgotten."""
    lab.wait_for(f"the phase {expected_phase}", lambda: phase() == expected_phase, 5)
    before = remembered()
    for process in ("daemon", "health"):
        lab.scripts_lab("kill", process)
        if process == "health":
            lab.expect_equal(f"after the kill of {process}", remembered(), before)
        lab.scripts_lab("start", process)
        lab.expect_equal(f"after the start of {process}", remembered(), before)


def check_service_a():
    lab.add_to_service_a('[service.check]\nkind = "http"')
    lab.set_rollout_rules(f'on_few = "go"\nbake = "{BAKE}"')
    lab.scripts_lab("start", "health")
    lab.teal("wait", "service-a", "--for", "healthy", "--timeout", "10s")


def set_bake(time):
    CONFIG.write_text(CONFIG.read_text().replace(f'bake = "{BAKE}"', f'bake = "{time}"'))
    lab.teal("reload")


def test_each_phase_outlives_the_processes():
    check_service_a()
    load = lab.Load(["client1", "client3"], services=["service-b", "service-c"])
    kept = lab.open_flow("service-a", "client3")  # the drain waits for it
    kept.ask()
    lab.teal("preview", "set", "service-a", CLIENT)
    kill_both_in("steady")
    lab.teal("ramp", "service-a", "--to", "green", *RAMP)
    kill_both_in("ramping")
    lab.teal("next", "service-a")
    lab.teal("pause", "service-a", "--reason", "a look at the logs")
    kill_both_in("paused")
    lab.teal("resume", "service-a")
    lab.teal("next", "service-a")
    kill_both_in("baking")
    lab.teal("rollback", "service-a")
    lab.expect_equal("the preview's colour", lab.colour_of_new_flow("service-a", "client2"), "green")
    lab.flip("green", "service-a")
    set_bake("0s")
    kill_both_in("draining")
    lab.expect_equal("a flow through all of it", kept.ask()[:4], "blue")
    kept.close()
    lab.wait_for("the end of the drain", lambda: phase() == "steady", 15)
    kill_both_in("steady")
    lab.teal("preview", "clear", "service-a")
    lab.teal("rollback", "service-a")
    lab.expect_no_trouble(load.stop())


def test_of_racing_commands_one_wins():
    for command in (
        ("flip", "service-b", "--to", "green"),
        ("ramp", "service-b", "--to", "green", *RAMP),
        ("preview", "set", "service-c", CLIENT),
    ):
        revision = str(lab.status()["revision"])
        racers = [lab.begin_teal(*command, "--if-revision", revision) for _ in range(4)]
        told = [racer.communicate(timeout=20)[1] for racer in racers]
        codes = sorted(racer.returncode for racer in racers)
        lab.expect_equal(f"exit codes of {command}: {told}", codes, [0, 5, 5, 5])
        lab.teal("rollback", "service-b")
        lab.expect_equal("active after the way back", lab.status("service-b")["active"], "blue")
    changes = json.loads(lab.teal("history", "-o", "json").stdout)["changes"]
    lab.expect_equal("the history", [change["verb"] for change in changes[:2]], ["preview", "rollback"])


lab.run()
