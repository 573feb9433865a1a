#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Both programs run as their own users with exactly the capabilities of their systemd units, and these are
enough for all their work. A user of the sockets can do nothing else.

    client1 == edge == blue1, blue2
"""
# A worker that never sleeps is a reader of the publication at the moment of the kill.
# lab: --idle spin
import os
import pathlib
import re
import stat
import subprocess

import lab

UNITS = {"daemon": "teald", "dataplane": "teal-dataplane"}
NUMBERS = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_IPC_LOCK": 14, "CAP_SYS_ADMIN": 21}
PINS = pathlib.Path("/sys/fs/bpf/teal-lab")
OPERATOR = 59992  # a user id that is not in use


def status_of(name):
    lines = pathlib.Path(f"/proc/{lab.pid_of(name)}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def as_operator(*command):
    """Runs a command as a user in the group of control.sock."""
    group = (lab.RUN_DIR / "control.sock").stat().st_gid
    return subprocess.run(
        [
            "setpriv",
            "--reuid",
            str(OPERATOR),
            "--regid",
            str(group),
            "--clear-groups",
            "--inh-caps=-all",
            *command,
        ],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "TEAL_SOCKET": str(lab.RUN_DIR / "control.sock")},
    )


def test_programs_hold_the_capabilities_of_their_units_and_no_other():
    for name, unit in UNITS.items():
        text = (lab.REPO / "scripts/systemd" / f"{unit}.service.in").read_text()
        names = re.search(r"(?m)^AmbientCapabilities=(.*)", text)[1].split()
        wanted = sum(1 << NUMBERS[capability] for capability in names)
        status = status_of(name)
        for key in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
            lab.expect_equal(f"{key} of {unit}", f"{int(status[key], 16):x}", f"{wanted:x}")
        lab.expect("0" not in status["Uid"].split(), f"{unit} does not run as root: uids {status['Uid']}")
        lab.expect_equal(f"NoNewPrivs of {unit}", status["NoNewPrivs"].strip(), "1")
    lab.expect(status_of("daemon")["Uid"] != status_of("dataplane")["Uid"], "the programs are two users")


def test_teald_has_the_kernel_keep_the_backends_neighbours():
    def managed():
        lines = subprocess.run(lab.command("edge", "ip", "neigh"), capture_output=True, text=True).stdout
        return {line.split()[0] for line in lines.splitlines() if " managed " in line}

    wanted = {f"{prefix}{host}" for prefix in ("198.18.2.", "fd18:2::") for host in (11, 12, 21, 22)}
    lab.wait_for("all backends are managed neighbours", lambda: wanted <= managed())


def test_teald_goes_on_without_a_dataplane_and_takes_its_dead_readers_away():
    lab.scripts_lab("kill", "dataplane")
    for flip in range(70):  # more than the split slots: a dead reader would hold them for ever
        lab.flip(("green", "blue")[flip % 2])
    lab.scripts_lab("start", "dataplane")
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "blue")


def test_operators_use_the_sockets_and_nothing_else():
    # The operator gets the program as an open file, because its directory may be closed to other users.
    with open(lab.BUILD / "control" / "teal", "rb") as program:
        os.set_inheritable(program.fileno(), True)
        group = (lab.RUN_DIR / "control.sock").stat().st_gid
        done = subprocess.run(
            ["setpriv", "--reuid", str(OPERATOR), "--regid", str(group), "--clear-groups"]
            + [f"/proc/self/fd/{program.fileno()}", "flip", "service-a", "--to", "green"],
            capture_output=True,
            text=True,
            close_fds=False,
            env={"TEAL_SOCKET": str(lab.RUN_DIR / "control.sock")},
        )
    lab.expect_equal(f"exit code of the operator's flip ({done.stderr.strip()})", done.returncode, 0)
    segment, flows = ((lab.RUN_DIR / name).resolve() for name in ("segment", "flows"))
    for path in (segment, flows, lab.RUN_DIR / "dataplane.lock", lab.RUN_DIR / "daemon.lock", PINS / "vips"):
        lab.expect(path.exists(), f"{path} is there")
        for access in ("-r", "-w"):
            lab.expect(as_operator("test", access, str(path)).returncode != 0, f"no test {access} of {path}")
    for directory in (segment.parent, PINS, lab.RUN_DIR / "state"):
        lab.expect(as_operator("ls", str(directory)).returncode != 0, f"no look into {directory}")
    lab.expect(as_operator("touch", str(lab.RUN_DIR / "mine")).returncode != 0, f"no file in {lab.RUN_DIR}")


def test_what_is_shared_is_the_groups_and_nobody_elses():
    files = ((lab.RUN_DIR / name).resolve() for name in ("segment", "flows"))
    shared = *files, lab.RUN_DIR / "dataplane.lock", *PINS.iterdir()
    group = int(status_of("dataplane")["Gid"].split()[0])
    for path in shared:
        found = path.stat()
        lab.expect_equal(f"mode of {path}", oct(stat.S_IMODE(found.st_mode)), oct(0o660))
        lab.expect_equal(f"group of {path}", found.st_gid, group)


lab.run()
