# SPDX-License-Identifier: Apache-2.0
"""The common part of the checks in this folder: a list of files on stdin, a line for each violation on
stdout.
"""
import sys


def report(check):
    """Prints what check(paths) yields, "FILE:LINE: what, expected". Exits with code 1 if there is a
    violation. The paths on stdin are relative to the current directory, which is the repository."""
    found = list(check(sorted(sys.stdin.read().split())))
    for violation in found:
        print(violation)
    sys.exit(1 if found else 0)
