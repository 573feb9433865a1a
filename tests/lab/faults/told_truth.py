#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What Teal tells an operator is so: refused dry runs, a dead dataplane, a bad file, a state that is lost.

client1 == edge (teal, teald, teal-dataplane) == blue1, blue2 | green1, green2
"""
import json
import os
import pathlib
import pwd
import signal
import sqlite3
import subprocess

import lab

CONFIG = lab.RUN_DIR / "teal.toml"


def code(*arguments):
    return lab.teal(*arguments, check=False).returncode


def test_a_dry_run_that_the_lock_or_a_gate_refuses_is_refused():
    lab.teal("lock", "--reason", "audit")
    lab.expect_equal("dry run under a lock", code("flip", "service-a", "--to", "green", "--dry-run"), 3)
    lab.teal("unlock")
    again = lab.teal("unlock").stdout
    lab.expect("nothing to change" in again, f"unlock of nothing says {again!r}")
    for backend in ("198.18.2.21:8080", "198.18.2.22:8080"):
        lab.teal("backend", "set", f"service-a/green/{backend}", "drain")
    lab.expect_equal("dry run by a gate", code("flip", "service-a", "--to", "green", "--dry-run"), 3)
    for backend in ("198.18.2.21:8080", "198.18.2.22:8080"):
        lab.teal("backend", "set", f"service-a/green/{backend}", "ready")
    lab.expect_equal("history of an unknown service", code("history", "nope"), 1)


def test_a_dead_dataplane_has_adopted_nothing():
    lab.scripts_lab("kill", "dataplane")
    answer = lab.flip("green", "service-a")  # less than 0.4 s later
    lab.expect_equal("dataplane_running", answer["dataplane_running"], False)
    warned = lab.teal("flip", "service-a", "--to", "blue", "--dry-run").stderr
    lab.expect("no dataplane is running" in warned, f"a dry run says {warned!r}")
    lab.expect("the dataplane is not running" in lab.teal("list").stdout, "teal list says it")
    healthy = ("wait", "service-a", "--for", "healthy", "--timeout", "1s")
    lab.expect_equal("wait --for healthy", code(*healthy), 4)
    wait = ("flip", "service-a", "--to", "blue", "--wait", "--timeout", "1s")
    lab.expect_equal("flip --wait", code(*wait), 4)
    lab.scripts_lab("start", "dataplane")
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")


def test_a_typo_does_not_take_the_control_plane_away():
    good = CONFIG.read_text()
    CONFIG.write_text(good.replace("[dataplane]", "[dataplain]", 1))
    lab.scripts_lab("kill", "daemon")
    lab.scripts_lab("start", "daemon")
    lab.expect("the config file is bad" in lab.teal("status").stdout, lab.teal("status").stdout)
    lab.flip("green", "service-a")
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "green")
    lab.teal("rollback", "service-a")
    CONFIG.write_text(good)
    lab.teal("reload")
    lab.expect("the config file" not in lab.teal("status").stdout, "the notice goes")


def latest(verb):
    changes = json.loads(lab.teal("history", "-o", "json").stdout)["changes"]
    return next((change for change in changes if change["verb"] == verb), None)


def test_behind_sudo_the_history_names_the_login():
    login = pwd.getpwnam("daemon")
    words = (lab.BUILD / "control" / "teal", "lock", "--reason", "audit")
    subprocess.run(
        lab.command("edge", *words),
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TEAL_SOCKET": str(lab.RUN_DIR / "control.sock")},
        preexec_fn=lambda: pathlib.Path("/proc/self/loginuid").write_text(str(login.pw_uid)),
    )
    change = latest("lock")
    lab.expect_equal("who", (change["user"], change["by_root"]), ("daemon", True))


def test_a_signal_reloads_and_raises_the_revision():
    last = latest("lock")["revision"]
    lab.teal("unlock")
    CONFIG.write_text(CONFIG.read_text().replace('timeout = "5m"', 'timeout = "6m"', 1))
    os.kill(lab.pid_of("daemon"), signal.SIGHUP)
    lab.wait_for("the reload", lambda: (latest("reload") or {}).get("reason") == "SIGHUP")
    change = latest("reload")
    lab.expect_equal("who", change["user"], "teald")
    lab.expect(change["revision"] > last, f"the revision rises: {change}")


def test_a_backup_is_one_command():
    """`teald --backup` copies the database of the running teald, and does not write over a file."""
    copy = lab.RUN_DIR / "backup.db"
    words = (lab.BUILD / "control" / "teald", "--state-dir", lab.RUN_DIR / "state", "--backup", copy)
    done = subprocess.run(lab.command("edge", *words), capture_output=True, text=True)
    lab.expect_equal(f"exit code of teald --backup ({done.stderr})", done.returncode, 0)
    with sqlite3.connect(copy) as database:
        changes = database.execute("SELECT count(*) FROM history").fetchone()[0]
    lab.expect(changes > 0, f"the copy has the history: {changes} changes")


def test_without_its_state_a_teald_knows_the_way_back_and_the_lock():
    """The state directory cannot be written, as after a disk error."""
    lab.flip("green", "service-a")
    state = lab.RUN_DIR / "state"
    lab.scripts_lab("kill", "daemon")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", state], check=True)
    try:
        lab.scripts_lab("start", "daemon")
        told = lab.teal("rollback", "service-a", "-o", "json")
        lab.expect_equal("changed", [one["to"] for one in json.loads(told.stdout)["changed"]], ["blue"])
        lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")
        lab.expect("refused" in lab.teal("status").stdout, "status says that changes are refused")
        lab.scripts_lab("kill", "daemon")
    finally:
        subprocess.run(["umount", state], check=True)
    lab.scripts_lab("start", "daemon")
    lab.expect_equal("active", lab.status("service-a")["active"], "blue")


lab.run()
