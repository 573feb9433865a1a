# SPDX-License-Identifier: Apache-2.0
"""The build directory that measurements take Teal's programs from."""
import os
import pathlib

from machine import expect, run

TARGETS = ("dataplane/teal-dataplane", "control/teald", "control/teal", "tests/bench/make_pcap")


def build_directory(repo):
    """TEAL_BUILD_DIR if it is set, else build-bench: a release build, made here."""
    given = os.environ.get("TEAL_BUILD_DIR")
    if given:
        for target in TARGETS:
            expect((pathlib.Path(given) / target).exists(), f"TEAL_BUILD_DIR: {given}/{target} is missing")
        return pathlib.Path(given).resolve()
    directory = repo / "build-bench"
    if not (directory / "build.ninja").exists():
        # GCC 12 takes fmt's code for wrong at -O3: its warnings are no errors here.
        run("meson", "setup", directory, repo, "--buildtype=release", "-Dwerror=false", seconds=120)
    run("ninja", "-C", directory, *TARGETS, seconds=1800)
    return directory
