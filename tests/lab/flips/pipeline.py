#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""The script of docs/rollouts.md releases from a pipeline: a good version, a bad one, and a refused one.

    the pipeline (its ssh is `scripts/lab exec edge`) == edge == blue1, blue2 | green1, green2
"""
import json
import os
import pathlib
import subprocess
import tempfile
import time

import lab
import rollouts

SERVICE = "service-a"
ROLLOUT = 'rollout = { steps = ["50%", "100%"], every = "2s" }'


def script():
    text = (lab.REPO / "docs" / "rollouts.md").read_text()
    return text.split("```bash\n")[1].split("```")[0]


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)


def release(version):
    """Runs the script as a pipeline does. Returns its exit code, its messages, and what was deployed."""
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        executable(work / "release", script())
        executable(work / "ssh", f'#!/bin/bash\nexec {lab.REPO}/scripts/lab exec "$1" -- bash -c "$2"\n')
        executable(work / "deploy", '#!/bin/bash\necho "$@" > deployed\n')
        done = subprocess.run(
            [work / "release", "edge", SERVICE, version],
            cwd=work,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{work}:{os.environ['PATH']}"},
        )
        return done.returncode, done.stderr, (work / "deployed").read_text().strip()


def test_a_good_release_ends_with_0():
    lab.add_to_service_a(ROLLOUT)
    lab.set_rollout_rules('bake = "3s"')
    with rollouts.load():
        code, told, deployed = release("42")
    lab.expect_equal(f"exit code: {told}", code, 0)
    lab.expect_equal("deployed", deployed, "green 42")
    lab.expect_equal("active", lab.status(SERVICE)["active"], "green")
    reasons = [change["reason"] for change in json.loads(lab.teal("history", "-o", "json").stdout)["changes"]]
    lab.expect("release 42" in reasons, f"the history has the reason: {reasons}")


def test_the_next_release_a_moment_later_takes_its_steps_too():
    with rollouts.load():
        code, told, deployed = release("42a")
    lab.expect_equal(f"exit code: {told}", code, 0)
    lab.expect_equal("deployed", deployed, "blue 42a")
    changes = json.loads(lab.teal("history", "-o", "json").stdout)["changes"]
    verbs = [change["verb"] for change in changes if change["reason"] == "release 42a"]
    lab.expect("ramp" in verbs, f"it was a ramp: {verbs}")
    lab.expect_equal("active", lab.status(SERVICE)["active"], "blue")


def test_a_bad_release_ends_with_6_and_the_verdict():
    with rollouts.load():
        time.sleep(1)
        with rollouts.refuses():
            code, told, deployed = release("43")
    lab.expect_equal(f"exit code: {told}", code, 6)
    lab.expect("green is bad" in told, f"the verdict: {told}")
    lab.expect_equal("deployed", deployed, "green 43")
    lab.expect_equal("active", lab.status(SERVICE)["active"], "blue")


def test_a_refused_release_ends_with_3_and_changes_nothing():
    generation = lab.status()["generation"]
    lab.teal("lock", "--reason", "the match")
    code, told, _ = release("44")
    lab.teal("unlock")
    lab.expect_equal(f"exit code: {told}", code, 3)
    lab.expect("the match" in told, f"the reason: {told}")
    lab.expect_equal("generation", lab.status()["generation"], generation)


lab.run()
