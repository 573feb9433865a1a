#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hooks of rollouts, run by teal-health.

    client1 == edge (teald, teal-health) == blue1, blue2 | green1, green2

pre_flip refuses a flip and says why. A pre_flip that hangs is cut at its timeout, and meanwhile a rollback of
another service goes through at once. post_flip runs once for a flip, also over a kill -9 of teald.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import lab

HOOKS = pathlib.Path(tempfile.mkdtemp(prefix="teal-hooks-"))
ANSWER = HOOKS / "answer"  # what pre_flip does
TOLD = HOOKS / "told"  # one line for each post_flip


def write_hooks():
    """The user of teal-health writes to the directory."""
    HOOKS.chmod(0o777)
    TOLD.touch()
    TOLD.chmod(0o666)
    hooks = {"pre_flip": f"exec sh {ANSWER}", "post_flip": f"cat >> {TOLD}"}
    table = ", ".join(
        f'{name} = {{ command = ["/bin/sh", "-c", "{line}"], timeout = "2s" }}'
        for name, line in hooks.items()
    )
    lab.set_rollout_rules(f"hooks = {{ {table} }}")
    lab.scripts_lab("start", "health")


def answer(script):
    ANSWER.write_text(script + "\n")
    ANSWER.chmod(0o644)


def told():
    return [json.loads(line) for line in TOLD.read_text().splitlines()]


def try_flip(service):
    return lab.teal("flip", service, "--to", "green", check=False)


def test_pre_flip_refuses_a_flip_and_says_why():
    write_hooks()
    answer("echo the migration is not done; exit 3")
    refused = try_flip("service-a")
    lab.expect_equal("exit code", refused.returncode, 3)
    lab.expect("exit code 3: the migration is not done" in refused.stderr, f"the reason: {refused.stderr}")
    lab.expect_equal("active", lab.status("service-a")["active"], "blue")
    lab.expect_equal("post_flip", told(), [])


def test_post_flip_runs_once():
    answer("exit 0")
    lab.flip("green", "service-a")
    lab.wait_for("post_flip", told)
    lab.expect_equal("services", [one["service"] for one in told()[0]["services"]], ["service-a"])
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "green")


def test_a_hook_that_hangs_delays_no_rollback():
    answer(f"touch {HOOKS}/hangs; sleep 1000")
    flip = subprocess.Popen(
        lab.command("edge", lab.BUILD / "control" / "teal", "flip", "service-b", "--to", "green"),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TEAL_SOCKET": str(lab.RUN_DIR / "control.sock")},
    )
    lab.wait_for("the hook", (HOOKS / "hangs").exists)
    began = time.monotonic()
    lab.teal("rollback", "service-a")
    took = time.monotonic() - began
    lab.expect(flip.poll() is None, "the flip waits for its hook")
    lab.expect(took < 1, f"the rollback waits for nobody, it took {took:.2f} s")
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")
    _, said = flip.communicate(timeout=20)
    lab.expect_equal("exit code", flip.returncode, 3)
    lab.expect("did not end within 2 s" in said, f"the reason: {said}")
    lab.expect_equal("active", lab.status("service-b")["active"], "blue")


def test_a_killed_teald_goes_on():
    answer("exit 0")
    lab.scripts_lab("kill", "health")
    lab.teal("flip", "service-a", "service-b", "--to", "green", "--force")  # pre_flip cannot run
    lab.scripts_lab("kill", "daemon")
    lab.scripts_lab("start", "daemon")
    lab.scripts_lab("start", "health")
    lab.wait_for("post_flip of both", lambda: len(told()) >= 2)
    time.sleep(2)
    lab.expect_equal("post_flips", len(told()), 2)
    lab.expect_equal("services of the second one", len(told()[1]["services"]), 2)
    shutil.rmtree(HOOKS)


lab.run()
