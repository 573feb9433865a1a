#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the ninja targets that the tests of some suites need, one a line.

usage: test_targets.py BUILD_DIRECTORY SUITE...      -SUITE leaves the tests of a suite out
"""
import json
import os
import pathlib
import sys


def main():
    build, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
    wanted = {word for word in words if not word.startswith("-")}
    unwanted = {word[1:] for word in words if word.startswith("-")}
    tests = json.loads((build / "meson-info/intro-tests.json").read_text())
    targets = {one["id"]: one for one in json.loads((build / "meson-info/intro-targets.json").read_text())}
    needed = set()
    for test in tests:
        suites = {suite.split(":")[-1] for suite in test["suite"]}
        if suites & wanted and not suites & unwanted:
            needed.update(test["depends"])
    for identifier in sorted(needed):
        for file in targets[identifier]["filename"]:
            print(os.path.relpath(file, build.resolve()))


if __name__ == "__main__":
    main()
