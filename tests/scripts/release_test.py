#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/release makes a tag where everything is in order, and refuses it where one thing is not.

Each test makes a small repository in a temporary directory. Its scripts/test only leaves a file and exits.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "scripts" / "python"))
from teal.test_runner import expect, expect_equal, run  # noqa: E402

VERSION = "1.2.3"
CHANGELOG = f"# Changes\n\n## {VERSION} (2026-11-28)\n\n- A change.\n\n## 1.2.2\n\n- An older change.\n"


class Repository:
    def __init__(self, directory):
        self.root = pathlib.Path(directory) / "repo"
        self.ran = pathlib.Path(directory) / "tests-ran"
        (self.root / "scripts").mkdir(parents=True)
        shutil.copy2(REPO / "scripts/release", self.root / "scripts/release")
        self.set_test_exit_code(0)
        self.write(
            "meson.build", f"project('teal', ['cpp'],\n  version: '{VERSION}',\n  license: 'Apache-2.0')\n"
        )
        self.write("CHANGELOG.md", CHANGELOG)
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *words):
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True)
        expect_equal(f"exit code of git {words} ({done.stderr})", done.returncode, 0)
        return done.stdout.strip()

    def write(self, name, text):
        (self.root / name).write_text(text)

    def set_test_exit_code(self, code):
        self.write("scripts/test", f"#!/bin/sh\ntouch {self.ran}\nexit {code}\n")
        (self.root / "scripts/test").chmod(0o755)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "all")

    def release(self, *words):
        done = subprocess.run([self.root / "scripts/release", *words], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def expect_refused(self, reason, *words, code=1):
        got, said = self.release(*(words or (VERSION,)))
        expect_equal(f"exit code ({said})", got, code)
        expect(reason in said, f"expected the reason {reason!r} in: {said}")
        expect_equal("tags", self.git("tag"), "")


@contextlib.contextmanager
def repository():
    with tempfile.TemporaryDirectory(prefix="teal-release-") as directory:
        yield Repository(directory)


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
        repo.write("new", "")
        repo.expect_refused("the work tree has changes")


def test_another_branch():
    with repository() as repo:
        repo.git("checkout", "-q", "-b", "topic")
        repo.expect_refused("the branch is topic, expected main")


def test_another_version_in_meson():
    with repository() as repo:
        repo.write("CHANGELOG.md", CHANGELOG.replace(VERSION, "2.0.0"))
        repo.commit()
        repo.expect_refused(f"the version is {VERSION}, expected 2.0.0", "2.0.0")


def test_no_changes_of_the_version():
    for text in (
        CHANGELOG.replace(VERSION, "Unreleased"),
        f"# Changes\n\n## {VERSION}\n\n## 1.2.2\n\n- Old.\n",
    ):
        with repository() as repo:
            repo.write("CHANGELOG.md", text)
            repo.commit()
            repo.expect_refused("CHANGELOG.md: no text below a heading")


def test_no_changelog():
    with repository() as repo:
        (repo.root / "CHANGELOG.md").unlink()
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
    os.environ.pop("GIT_DIR", None)  # the repository of a hook that runs this
    for who in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{who}_NAME": "release test", f"GIT_{who}_EMAIL": "release@example.org"}
    run()
