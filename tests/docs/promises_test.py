#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/promises.md has all 19 promises, and each test that it or docs/operations.md names exists.

usage: promises_test.py [REPOSITORY]
"""

import pathlib
import re
import sys
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROMISES = 19
SUBJECTS = {
    "Trust",
    "Rollouts",
    "No stranger's packet harms a flow",
    "Scale",
    "Seen and shipped",
    "The whole packet path",
}


def promises():
    """{number: text of the promise's section}"""
    parts = re.split(r"^## (\d+)\. ", (REPOSITORY / "docs/promises.md").read_text(), flags=re.M)
    numbers = [int(number) for number in parts[1::2]]
    assert len(numbers) == len(set(numbers)), f"a number occurs twice: {numbers}"
    return dict(zip(numbers, parts[2::2]))


def named_tests(section):
    return re.findall(r"^- `([^`]+)`", section, re.M)


def subjects(section):
    waits = section.partition("Waits for:")[2].replace("\n  ", " ")
    return re.findall(r'^- "([^"]+)":', waits, re.M)


def gtests():
    found = set()
    for path in (REPOSITORY / "tests").rglob("*_test.cc"):
        for suite, name in re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", path.read_text(), re.M):
            found.add(f"{suite}.{name}")
    return found


def lab_tests():
    """The tests of the lab and of the NIC lab."""
    return {
        f"{lab}: {path.stem}" for lab in ("lab", "nic") for path in (REPOSITORY / "tests" / lab).rglob("*.py")
    }


class PromisesTest(unittest.TestCase):
    def test_all_are_there_in_order(self):
        self.assertEqual(list(promises()), list(range(1, PROMISES + 1)))

    def test_each_is_held_by_a_test_or_waits_for_planned_work(self):
        for number, section in promises().items():
            with self.subTest(promise=number):
                self.assertTrue(named_tests(section) or subjects(section))

    def test_each_named_test_exists(self):
        known = gtests() | lab_tests()
        for number, section in promises().items():
            for name in named_tests(section):
                with self.subTest(promise=number, test=name):
                    self.assertTrue(name in known, f"expected a test {name} in tests/")

    def test_each_test_that_the_faults_name_exists(self):
        words = {word for name in gtests() for word in name.split(".")}
        words |= {path.stem for path in (REPOSITORY / "tests").rglob("*_test.cc")}
        words |= {name.split(": ")[1] for name in lab_tests()}
        text = (REPOSITORY / "docs/operations.md").read_text()
        lists = re.findall(r"\[([\w, ]+)\] \|$", text, re.M)
        self.assertTrue(lists)
        for name in ", ".join(lists).split(", "):
            with self.subTest(test=name):
                self.assertTrue(name in words, f"expected a test {name} in tests/")

    def test_each_subject_is_a_known_one(self):
        for number, section in promises().items():
            for subject in subjects(section):
                with self.subTest(promise=number):
                    self.assertIn(subject, SUBJECTS)

    def test_tests_cite_promises_that_exist(self):
        for path in (REPOSITORY / "tests").rglob("*"):
            if path.suffix not in (".cc", ".h", ".py") or "corpus" in path.parts:
                continue
            for number in re.findall(r"\bPromise(\d+)\w* = |\b[Pp]romise (\d+)\b", path.read_text()):
                with self.subTest(file=str(path)):
                    self.assertIn(int(number[0] or number[1]), range(1, PROMISES + 1))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
