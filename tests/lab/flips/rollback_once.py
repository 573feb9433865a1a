#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Promise 5: a rollback never releases the bad colour again, and promise 8: a drain ends as its answer says.

    client1 == edge == blue1, blue2 | green1, green2

Blue is good, green is the bad release. New flows of the clients show which colour is released.
"""
import errno
import json
import subprocess
import time

import lab


def released():
    return [lab.colour_of_new_flow(service) for service in ("service-a", "service-b")]


def release_green():
    lab.flip("green")
    lab.expect_equal("colours after the release", released(), ["green", "green"])


def test_a_group_after_one_of_its_services_stays_on_the_good_colour():
    release_green()
    lab.teal("rollback", "service-b")
    said = lab.teal("rollback", "--group", "shop").stdout
    lab.expect("service-b: nothing to undo; blue is active since generation" in said, said)
    lab.expect_equal("colours after both", released(), ["blue", "blue"])


def test_two_operators_who_roll_back_at_once_end_on_the_good_colour():
    release_green()
    words = (lab.BUILD / "control" / "teal", "--socket", lab.RUN_DIR / "control.sock")
    both = [
        subprocess.Popen(lab.command("edge", *words, "rollback", "--group", "shop", "-o", "json"), stdout=-1)
        for _ in range(2)
    ]
    answers = [json.loads(one.communicate(timeout=20)[0]) for one in both]
    lab.expect_equal("exit codes", [one.returncode for one in both], [0, 0])
    lab.expect_equal("services that each changed", sorted(len(one["changed"]) for one in answers), [0, 3])
    lab.expect_equal("colours after both", released(), ["blue", "blue"])


def test_a_drain_from_now_resets_when_its_answer_says():
    flow = lab.open_flow("service-a")
    flow.ask()
    waited = lab.teal("flip", "service-a", "--to", "green", "--wait", "--timeout", "3s", check=False)
    lab.expect_equal(f"exit code of flip --wait ({waited.stderr})", waited.returncode, 4)
    drain = ("drain", "service-a", "--timeout", "2s", "--then", "reset")
    said = lab.teal(*drain, "--dry-run").stdout
    lab.expect("1 flow of blue would be reset now" in said, f"without --from-now: {said}")
    answer = json.loads(lab.teal(*drain, "--from-now", "-o", "json").stdout)["drains"][0]
    lab.expect(answer["resets"] == 1 and 1.5 < answer["seconds_left"] <= 2, f"the answer: {answer}")
    time.sleep(1)
    flow.ask()
    flow.socket.settimeout(5)
    try:
        lab.expect(not flow.socket.recv(1), "the flow ended without a RST")
    except OSError as error:
        lab.expect_equal("the end of the flow", error.errno, errno.ECONNRESET)
    flow.close()


lab.run()
