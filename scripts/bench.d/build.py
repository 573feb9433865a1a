# SPDX-License-Identifier: Apache-2.0
"""The build directory that measurements take Teal's programs from."""
import os
import pathlib

from machine import expect, run

TARGETS = (
    "dataplane/teal-dataplane",
    "control/teald",
    "control/teal",
    "tests/bench/make_pcap",
    "tests/bench/fill_table",
)


def build_directory(repo):
    """TEAL_BUILD_DIR if it is set, else build-bench."""
    given = os.environ.get("TEAL_BUILD_DIR")
    if given:
        for target in TARGETS:
            expect((pathlib.Path(given) / target).exists(), f"TEAL_BUILD_DIR: {given}/{target} is missing")
        return pathlib.Path(given).resolve()
    return release_build(repo, "build-bench")


def release_build(repo, name, *options):
    """A release build with these meson options, made here."""
    directory = repo / name
    if not (directory / "build.ninja").exists():
        # GCC 12 takes fmt's code for wrong at -O3: its warnings are no errors here.
        run("meson", "setup", directory, repo, "--buildtype=release", "-Dwerror=false", *options, seconds=120)
    run("ninja", "-C", directory, *TARGETS, seconds=1800)
    return directory
