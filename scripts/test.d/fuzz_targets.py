#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the fuzzers that "meson introspect --targets" lists on stdin: the executables fuzz_* of tests/fuzz.

usage: fuzz_targets.py BUILD_DIRECTORY      paths are printed relative to it
"""
import json
import os
import sys

for target in json.load(sys.stdin):
    if (
        target["type"] == "executable"
        and "/tests/fuzz/" in target["defined_in"]
        and target["name"].startswith("fuzz_")
    ):
        print(os.path.relpath(target["filename"][0], sys.argv[1]))
