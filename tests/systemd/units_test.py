#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the files that "meson install" installs for systemd. They are installed in a temporary directory.

usage: units_test.py BUILD_DIRECTORY SOURCE_DIRECTORY
exit codes: 0 passed, 1 failed, 77 nothing failed, but some tests could not run (the last line says why)
"""
import os
import pathlib
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

build, source = (pathlib.Path(argument) for argument in sys.argv[1:3])
UNITS = ("teal-dataplane.service", "teal-health.service", "teald.service")
MOST_EXPOSED = {"teald.service": 2.5, "teal-dataplane.service": 2.6, "teal-health.service": 1.6}
missing = []  # programs that tests lacked


def run(*command, **more):
    return subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more
    )


def need(case, program):
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        missing.append(program)
        case.skipTest(f"{program} is missing")
    return path


def settings(text):
    """Returns {key: [values]} of all sections; an empty value removes the values before it."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        key, equals, value = line.partition("=")
        if line.startswith(("#", ";")) or not equals:
            continue
        found[key] = found.get(key, []) + [value] if value else []
    return found


def records(path):
    """The lines of a sysusers.d or tmpfiles.d file, as lists of words."""
    lines = path.read_text().splitlines()
    return [shlex.split(line) for line in lines if line and not line.startswith("#")]


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Not in /dev/shm, because programs are run from here.
        cls.directory = tempfile.TemporaryDirectory(prefix="teal-units-")
        cls.root = pathlib.Path(cls.directory.name) / "root"
        done = run(
            "meson",
            "install",
            "--no-rebuild",
            "--tags",
            "runtime,systemd",
            "--destdir",
            cls.root,
            "-C",
            build,
        )
        if done.returncode != 0:
            raise AssertionError(f"meson install --destdir failed: {done.stdout}{done.stderr}")
        found = [path for path in cls.root.rglob("teald.service")]
        assert len(found) == 1, found
        cls.prefix = found[0].parents[3]  # of lib/systemd/system/teald.service, with cls.root before it
        cls.units = {name: (found[0].parent / name).read_text() for name in UNITS}

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def staged(self, path):
        """Where a path of the host is in the temporary directory."""
        return self.root / path.lstrip("/")

    def staged_units(self):
        """Copies of the units with the paths of the programs in the temporary directory."""
        directory = pathlib.Path(self.directory.name) / "units"
        directory.mkdir(exist_ok=True)
        host_prefix = "/" + str(self.prefix.relative_to(self.root))
        for name, text in self.units.items():
            (directory / name).write_text(
                re.sub(rf"(?m)^(Exec\w+=){host_prefix}/", rf"\1{self.prefix}/", text)
            )
        return [directory / name for name in UNITS]

    def commands(self, name):
        for key in ("ExecStart", "ExecReload"):
            for value in settings(self.units[name]).get(key, []):
                yield shlex.split(value)

    def test_install_puts_down_programs_units_users_directories_and_an_example(self):
        for path, mode in {
            self.prefix / "sbin/teald": 0o755,
            self.prefix / "sbin/teal-dataplane": 0o755,
            self.prefix / "sbin/teal-health": 0o755,
            self.prefix / "bin/teal": 0o755,
            self.prefix / "lib/systemd/system/teald.service": 0o644,
            self.prefix / "lib/systemd/system/teal-dataplane.service": 0o644,
            self.prefix / "lib/systemd/system/teal-health.service": 0o644,
            self.prefix / "lib/sysusers.d/teal.conf": 0o644,
            self.prefix / "lib/tmpfiles.d/teal.conf": 0o644,
            self.staged("/etc/teal/teal.toml.example"): 0o644,
        }.items():
            with self.subTest(path=str(path)):
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), mode)
        self.assertFalse(self.staged("/etc/teal/teal.toml").exists(), "it is the operator's")
        for name, text in self.units.items():
            self.assertNotRegex(text, r"@(sbindir|bindir)@", name)

    def test_systemd_finds_nothing_to_complain_of(self):
        analyze = need(self, "systemd-analyze")
        pages = pathlib.Path(self.directory.name) / "man/man8"
        pages.mkdir(parents=True)
        for page in (source / "docs/man").glob("*.8"):
            shutil.copy(page, pages)
        man = [] if shutil.which("man") else ["--man=no"]
        done = run(
            analyze, "verify", *man, *self.staged_units(), env={**os.environ, "MANPATH": str(pages.parent)}
        )
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_exposure_is_low(self):
        analyze = need(self, "systemd-analyze")
        for unit in self.staged_units():
            done = run(analyze, "security", "--offline=yes", "--no-pager", unit)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            level = re.search(rf"exposure level for {unit.name}: ([0-9.]+)", done.stdout)
            self.assertIsNotNone(level, done.stdout)
            print(f"exposure of {unit.name}: {level[1]}, at most {MOST_EXPOSED[unit.name]}")
            self.assertLess(float(level[1]), MOST_EXPOSED[unit.name])

    def test_programs_know_the_options_that_units_give_them(self):
        for name in UNITS:
            for program, *arguments in self.commands(name):
                verb = [arguments[0]] if not arguments[0].startswith("-") else []
                help_text = run(self.staged(program), *verb, "--help")
                self.assertEqual(help_text.returncode, 0, help_text.stderr)
                options = [word for word in arguments if word.startswith("--")]
                self.assertTrue(options, name)
                for option in options:
                    self.assertRegex(help_text.stdout, rf"(?m){option}\b(?!-)", f"{name}: {program}")

    def test_example_config_is_accepted(self):
        done = run(self.prefix / "bin/teal", "check", self.staged("/etc/teal/teal.toml.example"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_capabilities_are_bounded_to_those_that_are_given(self):
        for name, text in self.units.items():
            of = settings(text)
            self.assertEqual(of["CapabilityBoundingSet"], of["AmbientCapabilities"], name)
            self.assertNotEqual(of["User"], ["root"], name)
        self.assertEqual(settings(self.units["teald.service"])["AmbientCapabilities"], ["CAP_NET_ADMIN"])
        self.assertEqual(settings(self.units["teal-health.service"])["AmbientCapabilities"], [])

    def test_only_teal_health_talks_to_backends(self):
        of = {name: settings(text) for name, text in self.units.items()}
        self.assertNotIn("IPAddressDeny", of["teal-health.service"])
        for name in ("teald.service", "teal-dataplane.service"):
            self.assertEqual(of[name]["IPAddressDeny"], ["any"], name)

    def test_teald_sees_the_process_of_the_dataplane(self):
        """teald reads in /proc whether a dataplane that holds its lock is being killed."""
        teald = settings(self.units["teald.service"])
        dataplane = settings(self.units["teal-dataplane.service"])
        self.assertNotEqual(teald["User"], dataplane["User"], "so the setting matters")
        self.assertEqual(teald.get("ProtectProc", ["default"]), ["default"])

    def test_users_of_units_and_directories_are_declared(self):
        users = {words[1] for words in records(self.prefix / "lib/sysusers.d/teal.conf") if words[0] == "u"}
        directories = records(self.prefix / "lib/tmpfiles.d/teal.conf")
        named = {word for words in directories for word in words[3:5]} - {"root", "-"}
        teald, dataplane, health = (
            settings(self.units[name])
            for name in ("teald.service", "teal-dataplane.service", "teal-health.service")
        )
        for unit in (teald, dataplane, health):
            groups = " ".join(unit.get("SupplementaryGroups", [])).split()
            named.update(unit["User"] + unit["Group"] + groups)
        self.assertEqual(users, named)
        # teald uses files of the dataplane, and gives a socket to teal-health. Neither uses a file of teald.
        self.assertEqual(teald["SupplementaryGroups"][0].split(), dataplane["Group"] + health["Group"])
        self.assertNotIn("SupplementaryGroups", dataplane)
        self.assertNotIn("SupplementaryGroups", health)
        self.assertNotIn("m", {words[0] for words in records(self.prefix / "lib/sysusers.d/teal.conf")})

    def test_neither_service_stops_with_the_other_nor_gives_up(self):
        for name, text in self.units.items():
            of = settings(text)
            for binding in ("Requires", "Requisite", "BindsTo", "PartOf", "Conflicts"):
                self.assertNotIn(binding, of, name)
            self.assertEqual((of["Restart"], of["StartLimitIntervalSec"]), (["on-failure"], ["0"]), name)
            self.assertIn("WatchdogSec", of, name)
            # systemd would give the directory and its files to the user of the unit that starts.
            self.assertNotIn("teal", of.get("RuntimeDirectory", []), name)

    def test_users_are_made_as_declared(self):
        sysusers = need(self, "systemd-sysusers")
        etc = pathlib.Path(self.directory.name) / "host/etc"
        etc.mkdir(parents=True)
        done = run(sysusers, f"--root={etc.parent}", self.prefix / "lib/sysusers.d/teal.conf")
        self.assertEqual(done.returncode, 0, done.stderr)
        groups = {line.split(":")[0]: line.split(":")[3] for line in (etc / "group").read_text().splitlines()}
        self.assertEqual(groups, {"teal": "", "teal-dataplane": "", "teal-health": ""})
        shells = [line.split(":")[6] for line in (etc / "passwd").read_text().splitlines()]
        self.assertEqual(len(shells), 3)
        self.assertTrue(all(shell.endswith("nologin") for shell in shells), shells)


if __name__ == "__main__":
    passed = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result.wasSuccessful()
    if not passed:
        sys.exit(1)
    if missing:
        print(f"skip: parts of this test, for want of {', '.join(sorted(set(missing)))} (package systemd)")
        sys.exit(77)
