#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/release makes a tag where everything is in order, and refuses it where one thing is not.

Each test makes a small repository in a temporary directory. Its scripts/test only leaves a file and exits.
"""
import pathlib
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "scripts" / "python"))
from repository import Repository, temporary  # noqa: E402
from teal.test_runner import expect, expect_equal, run  # noqa: E402

VERSION = "1.2.3"
CHANGELOG = ("# Changes", "", f"## {VERSION} (2026-11-28)", "", "- A change.", "", "## 1.2.2", "", "- Older.")


class Released(Repository):
    """A repository that is ready for the release of VERSION."""

    def __init__(self, directory):
        super().__init__(directory, ("scripts/release", "scripts/shell"))
        self.ran = pathlib.Path(directory) / "tests-ran"
        self.set_test_exit_code(0)
        self.write(
            "meson.build", "project('teal', ['cpp'],", f"  version: '{VERSION}',", "  license: 'Apache-2.0')"
        )
        self.write("CHANGELOG.md", *CHANGELOG)
        self.commit()

    def set_test_exit_code(self, code):
        self.write("scripts/test", "#!/bin/sh", f"touch {self.ran}", f"exit {code}", mode=0o755)

    def release(self, *words):
        return self.script("scripts/release", *words)

    def expect_refused(self, reason, *words, code=1):
        got, said = self.release(*(words or (VERSION,)))
        expect_equal(f"exit code ({said})", got, code)
        expect(reason in said, f"expected the reason {reason!r} in: {said}")
        expect_equal("tags", self.git("tag"), "")


def repository():
    return temporary(Released)


def test_a_release_makes_an_annotated_tag_with_the_changes():
    with repository() as repo:
        code, said = repo.release(VERSION)
        expect_equal(f"exit code ({said})", code, 0)
        expect(repo.ran.exists(), "the tests ran")
        expect_equal("type of the tag", repo.git("cat-file", "-t", f"v{VERSION}"), "tag")
        message = repo.git("tag", "-l", "--format=%(contents)", f"v{VERSION}")
        expect_equal("message of the tag", message.strip(), f"Teal {VERSION}\n\n- A change.")
        expect_equal(
            "commit of the tag", repo.git("rev-parse", f"v{VERSION}^{{}}"), repo.git("rev-parse", "HEAD")
        )


def test_without_tests():
    with repository() as repo:
        code, said = repo.release(VERSION, "--no-tests")
        expect_equal(f"exit code ({said})", code, 0)
        expect(not repo.ran.exists(), "no test ran")


def test_a_failed_test():
    with repository() as repo:
        repo.set_test_exit_code(1)
        repo.commit()
        repo.expect_refused("scripts/test failed")


def test_a_work_tree_with_changes():
    with repository() as repo:
        repo.write("new")
        repo.expect_refused("the work tree has changes")


def test_another_branch():
    with repository() as repo:
        repo.git("checkout", "-q", "-b", "topic")
        repo.expect_refused("the branch is topic, expected main")


def test_another_version_in_meson():
    with repository() as repo:
        repo.write("CHANGELOG.md", *(line.replace(VERSION, "2.0.0") for line in CHANGELOG))
        repo.commit()
        repo.expect_refused(f"the version is {VERSION}, expected 2.0.0", "2.0.0")


def test_no_changes_of_the_version():
    unreleased = [line.replace(VERSION, "Unreleased") for line in CHANGELOG]
    empty = ["# Changes", "", f"## {VERSION}", "", "## 1.2.2", "", "- Old."]
    for lines in (unreleased, empty):
        with repository() as repo:
            repo.write("CHANGELOG.md", *lines)
            repo.commit()
            repo.expect_refused("CHANGELOG.md: no text below a heading")


def test_no_changelog():
    with repository() as repo:
        repo.remove("CHANGELOG.md")
        repo.commit()
        repo.expect_refused("CHANGELOG.md: no text below a heading")


def test_a_tag_that_exists():
    with repository() as repo:
        repo.git("tag", "-a", "-m", "old", f"v{VERSION}")
        code, said = repo.release(VERSION)
        expect_equal(f"exit code ({said})", code, 1)
        expect(f"the tag v{VERSION} exists" in said, said)


def test_usage():
    with repository() as repo:
        for words in (["1.2"], ["v1.2.3"], ["--nothing"], [VERSION, "more"], ["--no-tests"]):
            repo.expect_refused("usage: scripts/release", *words, code=2)
        repo.expect_refused("expected three numbers", "", code=2)


if __name__ == "__main__":
    run()
