# SPDX-License-Identifier: Apache-2.0
"""The build directory from which measurements take Teal's programs."""
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
    """Returns TEAL_BUILD_DIR if it is set, otherwise build-bench after building it."""
    given = os.environ.get("TEAL_BUILD_DIR")
    if given:
        for target in TARGETS:
            expect((pathlib.Path(given) / target).exists(), f"TEAL_BUILD_DIR: {given}/{target} is missing")
        return pathlib.Path(given).resolve()
    return release_build(repo, "build-bench")


def release_build(repo, name, *options):
    """Makes a release build with these meson options."""
    directory = repo / name
    if not (directory / "build.ninja").exists():
        # GCC 12 warns wrongly about fmt's code at -O3, so warnings are not errors in this build.
        run("meson", "setup", directory, repo, "--buildtype=release", "-Dwerror=false", *options, seconds=120)
    run("ninja", "-C", directory, *TARGETS, seconds=1800)
    return directory
