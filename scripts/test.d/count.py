#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the test cases of the last "meson test" in a build directory. Prints a line "SUITE PASSED FAILED
SKIPPED SECONDS" per suite.

usage: count.py BUILD_DIRECTORY      exit code 1 if there is no report

A test with meson's protocol 'gtest' counts with each of its cases, any other test as one. A test that failed
although none of its cases did counts as one more failure: a sanitizer reported something at the end, or the
test crashed before it wrote its report.
"""
import collections
import json
import pathlib
import sys
import xml.etree.ElementTree as xml


def gtest_cases(report, test_name):
    """Returns [passed, failed, skipped] of one test. meson calls its suites PROJECT.TEST.SUITE_OF_GTEST."""
    counts = [0, 0, 0]
    for suite in report.iter("testsuite"):
        if f".{test_name}." not in suite.get("name", ""):
            continue
        for case in suite.iter("testcase"):
            failed = case.find("failure") is not None or case.find("error") is not None
            skipped = case.find("skipped") is not None or case.get("status") == "notrun"
            counts[1 if failed else 2 if skipped else 0] += 1
    return counts


def main():
    logs = pathlib.Path(sys.argv[1]) / "meson-logs"
    try:
        tests = [json.loads(line) for line in (logs / "testlog.json").read_text().splitlines()]
        report = xml.parse(logs / "testlog.junit.xml")
    except (OSError, xml.ParseError) as error:
        sys.exit(f"count.py: {error}")
    suites = collections.defaultdict(lambda: [0, 0, 0, 0.0])
    for test in tests:
        counts = gtest_cases(report, test["name"])
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        if not any(counts):
            counts = [1, 0, 0] if good else [0, 0, 1] if test["result"] == "SKIP" else [0, 1, 0]
        elif not good and test["result"] != "SKIP" and counts[1] == 0:
            counts[1] = 1
        suite = test["name"].split(" / ")[0].split(":")[-1]  # "teal:unit / packet"
        suites[suite] = [a + b for a, b in zip(suites[suite], [*counts, test["duration"]])]
    for suite, (passed, failed, skipped, seconds) in suites.items():
        print(suite, passed, failed, skipped, round(seconds))


if __name__ == "__main__":
    main()
