#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# only with --long
"""Promise 11: an upgrade loses no connection, nor does a downgrade.

    client1, client3 (wrk, keep-alive connections) == edge == blue1, blue2 | green1, green2

Under load, both programs are replaced: those of the release before the flows had a file of their own by the
present ones; these by a later release, which has one counter and one column of the database more; and that
one by the present release again. The test builds the other releases: it needs the git history.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

import lab

OLD_RELEASE = (lab.REPO / "tests" / "upgrade" / "old_release").read_text().strip()
PROGRAMS = (
    *(f"control/{name}" for name in ("teal", "teald", "teal-health")),
    "dataplane/teal-dataplane",
    "tests/bench/make_pcap",
)
COUNTERS, SCHEMA = "dataplane/shm/counters.h", "control/state/schema"


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    lab.expect(
        done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    )
    return done.stdout


def unpack(commit, into):
    if subprocess.run(["git", "-C", lab.REPO, "cat-file", "-e", commit], capture_output=True).returncode != 0:
        raise lab.Skip(f"the git history has no commit {commit}")
    into.mkdir()
    archive = into.parent / "archive.tar"
    run("git", "-C", lab.REPO, "archive", "-o", archive, commit)
    run("tar", "-xf", archive, "-C", into)


def build(tree):
    """Returns the build directory."""
    run("meson", "setup", tree / "build", tree, "-Dquick=true")
    run("ninja", "-C", tree / "build", *PROGRAMS)
    return tree / "build"


def replace(file, old, new):
    text = file.read_text()
    lab.expect(text.count(old) == 1, f'{file}: expected "{old}" once')
    file.write_text(text.replace(old, new))


def make_later(tree):
    """Makes a later release of the present tree: one counter and one column more."""
    macro = "#define TEAL_EVENTS(X)"
    text = (tree / COUNTERS).read_text()
    line = next(line for line in text.split("\n") if line.startswith(macro))
    (tree / COUNTERS).write_text(text.replace(line, f'{line}\n  X(later, "of a later release") \\'))
    replace(tree / f"{SCHEMA}.h", "kSchema = 8;", "kSchema = 9;")
    step = "ALTER TABLE services ADD COLUMN later TEXT; PRAGMA user_version = 9;"
    last = 'PRAGMA user_version = 8;\n)"'
    replace(tree / f"{SCHEMA}.cc", last + "};", f'{last}, "{step}"}};')


def scripts_lab(programs, *words):
    run(lab.REPO / "scripts" / "lab", *words, env={**os.environ, "TEAL_BUILD_DIR": str(programs)})


def change_programs(to):
    scripts_lab(to, "kill", "daemon")
    scripts_lab(to, "kill", "dataplane")
    scripts_lab(to, "start", "dataplane")
    scripts_lab(to, "start", "daemon")


def log_of_dataplane():
    return (lab.RUN_DIR / "log" / "dataplane.log").read_text()


@contextlib.contextmanager
def releases():
    """The build directories of the old and of the later release."""
    with tempfile.TemporaryDirectory() as directory:
        old, later = (pathlib.Path(directory) / name for name in ("old", "later"))
        unpack(OLD_RELEASE, old)
        unpack("HEAD", later)
        make_later(later)
        yield build(old), build(later)


def test_upgrades_and_a_downgrade_lose_no_connection():
    with releases() as (old, later):
        scripts_lab(old, "renew")
        flows = [
            lab.open_flow(service, host, timeout=10)
            for service in ("service-a", "service-b", "service-c")
            for host in ("client1", "client3")
            for _ in range(20)
        ]
        births = [flow.ask() for flow in flows]
        lab.flip("green", "service-a")
        loads = [
            ("client1", "-c20", f"http://{lab.VIP4}/"),
            ("client3", "-c20", "-H", "Connection: close", f"http://{lab.VIP4}/"),
        ]
        with lab.wrk(*loads):
            for name, programs in (("present", lab.BUILD), ("later", later), ("present again", lab.BUILD)):
                change_programs(programs)
                time.sleep(3)
                lab.expect_equal(f"{name}: answers to open connections", [f.ask() for f in flows], births)
                colour = lab.colour_of_new_flow("service-a")
                lab.expect_equal(f"{name}: the colour of a new flow", colour, "green")
                lab.expect("lost" not in log_of_dataplane(), f"{name}: {log_of_dataplane()}")
        changes = json.loads(lab.teal("history", "-o", "json").stdout)["changes"]
        lab.expect("flip" in [change["verb"] for change in changes], f"no flip in the history: {changes}")


lab.run()
