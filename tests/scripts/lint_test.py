#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each check of scripts/lint passes on a good file and fails on a deliberate mistake, with its file and line.

Each test makes a small repository in a temporary directory, with the lint and the settings of this one.
"""
import json
import pathlib
import re
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "scripts" / "python"))
from repository import Repository, temporary  # noqa: E402
from teal.test_runner import expect, expect_equal, run  # noqa: E402

LICENCE = "SPDX-License-Identifier: Apache-2.0"
SETTINGS = (
    ".clang-format",
    ".clang-tidy",
    "pyproject.toml",
    "scripts/lint",
    "scripts/lint.d",
    "scripts/shell",
)


class Linted(Repository):
    def __init__(self, directory):
        super().__init__(directory, SETTINGS)
        self.write(".gitignore", "/build*/", "__pycache__/")

    def lint(self, *words):
        return self.script("scripts/lint", *words)

    def expect_good(self, check, *options):
        code, said = self.lint(*options, check)
        expect_equal(f"exit code of {check} on a good repository ({said})", code, 0)
        expect(said.splitlines()[-1].startswith(f"ok {check}"), f"{check} says: {said}")
        return said

    def expect_bad(self, check, place, *options):
        code, said = self.lint(*options, check)
        expect_equal(f"exit code of {check} on a mistake ({said})", code, 1)
        expect(f"not ok {check}" in said, f"{check} says: {said}")
        named = any(line.startswith(f"{place}:") for line in said.splitlines())
        expect(named, f"expected {place} in: {said}")


def repository():
    return temporary(Linted)


def test_format():
    with repository() as repo:
        repo.write("dataplane/one.cc", f"// {LICENCE}", "int one();")
        repo.expect_good("format")
        repo.write("dataplane/two.cc", f"// {LICENCE}", "int two( ) {return 2;}")
        repo.expect_bad("format", "dataplane/two.cc:2")


def test_format_leaves_a_table_in_a_comment():
    with repository() as repo:
        table = (f"//   {name:<8} {'a table whose lines the formatter must not join':<85}|" for name in "ab")
        repo.write("dataplane/one.cc", f"// {LICENCE}", *table, "int one();")
        repo.expect_good("format")


def with_compile_commands(repo, *files):
    """clang-tidy's compilation database, as meson would make it."""
    build = repo.root / "build-lint"
    build.mkdir()
    entries = [
        {"directory": str(build), "file": f"../{file}", "command": f"clang++ -std=c++20 -I.. -c ../{file}"}
        for file in files
    ]
    (build / "compile_commands.json").write_text(json.dumps(entries))


def test_tidy():
    with repository() as repo:
        with_compile_commands(repo, "control/good.cc", "control/bad.cc")
        repo.write("control/good.cc", f"// {LICENCE}", "int* nothing() { return nullptr; }")
        repo.commit()
        repo.expect_good("tidy")
        repo.write("control/bad.cc", f"// {LICENCE}", "int* nothing() { return 0; }")
        repo.expect_bad("tidy", "control/bad.cc:2")
        repo.commit()
        repo.expect_bad("tidy", "control/bad.cc:2")  # a clean clone: the last commit is checked
        repo.commit()
        expect("no changed file" in repo.expect_good("tidy"), "an unchanged file is not checked")
        repo.expect_bad("tidy", "control/bad.cc:2", "--base", "HEAD~2")
        repo.expect_bad("tidy", "control/bad.cc:2", "--long")


def test_tidy_checks_headers():
    with repository() as repo:
        with_compile_commands(repo, "control/user.cc")
        repo.write("control/user.cc", f"// {LICENCE}", '#include "control/only.h"')
        repo.commit()
        repo.write("control/only.h", f"// {LICENCE}", "inline int* nothing() { return 0; }")
        repo.expect_bad("tidy", "control/only.h:2")


def test_shell():
    with repository() as repo:
        repo.write("scripts/good", "#!/bin/bash", f"# {LICENCE}", 'echo "$1"', mode=0o755)
        repo.expect_good("shell")
        repo.write("scripts/without_suffix", "#!/bin/bash", f"# {LICENCE}", "rm $1", mode=0o755)
        repo.expect_bad("shell", "scripts/without_suffix:3")


def test_shell_checks_sourced_files():
    with repository() as repo:
        repo.write("scripts/part.sh", "# shellcheck shell=bash", f"# {LICENCE}", "remove() { rm $1; }")
        repo.expect_bad("shell", "scripts/part.sh:3")


def test_python():
    with repository() as repo:
        repo.write("scripts/good.py", f"# {LICENCE}", "import os", "", "print(os.getpid())")
        repo.expect_good("python")
        repo.write("scripts/bad.py", f"# {LICENCE}", "import os")  # an import that is not used
        repo.expect_bad("python", "scripts/bad.py:2")


def test_python_format():
    with repository() as repo:
        repo.write("scripts/bad", "#!/usr/bin/python3", f"# {LICENCE}", "print( 'one' )", mode=0o755)
        code, said = repo.lint("python")
        expect_equal(f"exit code on a file of another format ({said})", code, 1)
        expect("scripts/bad" in said, f"the file is not named: {said}")


def test_rooms_refuse_an_include_against_the_order():
    with repository() as repo:
        repo.write("dataplane/packet/parse.h", f"// {LICENCE}", "#pragma once")
        repo.write("dataplane/pipeline/track.h", f"// {LICENCE}", '#include "dataplane/packet/parse.h"')
        repo.write("dataplane/worker.cc", f"// {LICENCE}", '#include "dataplane/pipeline/track.h"')
        repo.write("tests/unit/track_test.cc", f"// {LICENCE}", '#include "dataplane/pipeline/track.h"')
        repo.expect_good("rooms")
        for name, include in {
            "control/drain.cc": "dataplane/pipeline/track.h",
            "dataplane/packet/rewrite.h": "dataplane/pipeline/track.h",
            "bpf/steer.c": "dataplane/packet/parse.h",
            "control/daemon.h": "dataplane/worker.cc",
        }.items():
            repo.write(name, f"// {LICENCE}", "", f'#include "{include}"')
            repo.expect_bad("rooms", f"{name}:3")
            repo.remove(name)


def test_rooms_refuse_a_test_in_the_product():
    with repository() as repo:
        repo.write("tests/support/fake.h", f"// {LICENCE}")
        repo.write("control/daemon.cc", f"// {LICENCE}", '#include "tests/support/fake.h"')
        repo.expect_bad("rooms", "control/daemon.cc:2")


def test_rooms_refuse_a_circle_of_folders():
    with repository() as repo:
        repo.write("tests/a/one.h", f"// {LICENCE}", '#include "tests/b/two.h"')
        repo.write("tests/b/two.h", f"// {LICENCE}")
        repo.expect_good("rooms")
        repo.write("tests/b/three.h", f"// {LICENCE}", '#include "tests/a/one.h"')
        code, said = repo.lint("rooms")
        expect_equal(f"exit code with a circle ({said})", code, 1)
        expect("tests/a -> tests/b -> tests/a" in said, f"the circle is not named: {said}")


def test_rooms_refuse_a_folder_without_a_row():
    with repository() as repo:
        repo.write("control/utils/misc.h", f"// {LICENCE}")
        repo.expect_bad("rooms", "control/utils/misc.h:1")


def test_sizes_of_folders():
    with repository() as repo:
        for number in range(25):
            repo.write(f"control/file{number:02}.cc", f"// {LICENCE}")
            repo.write(f"control/file{number:02}.h", f"// {LICENCE}")  # headers do not count
        repo.expect_good("sizes")
        repo.write("control/file99.cc", f"// {LICENCE}")
        repo.expect_bad("sizes", "control/file99.cc:1")


def test_sizes_of_files():
    with repository() as repo:
        repo.write("control/long.h", *["// line"] * 400)
        repo.write("docs/long.md", *["line"] * 500)
        repo.expect_good("sizes")
        repo.write("scripts/long", "#!/bin/bash", *["# line"] * 400, mode=0o755)
        repo.expect_bad("sizes", "scripts/long:401")


def test_text():
    with repository() as repo:
        repo.write("docs/good.md", "[good](good.md) and [elsewhere](https://example.org/)")
        repo.expect_good("text")
        for name, line, place in (
            ("control/blank.cc", "int i; ", 2),
            ("control/tab.cc", "\tint i;", 2),
            ("control/long.cc", "// " + "x" * 120, 2),
            ("docs/conflict.md", "<" * 7 + " HEAD", 2),
            ("docs/link.md", "[gone](gone.md)", 2),
        ):
            repo.write(name, f"// {LICENCE}", line)
            repo.expect_bad("text", f"{name}:{place}")
            repo.remove(name)


def test_text_takes_long_lines_of_data():
    with repository() as repo:
        repo.write("control/data.cc", f"// {LICENCE}", 'const char* sql = R"(', "x" * 120, ')";')
        repo.expect_good("text")
        repo.write("control/data.cc", f"// {LICENCE}", 'const char* sql = R"(', ')";', "// " + "x" * 120)
        repo.expect_bad("text", "control/data.cc:4")


def test_text_of_whole_files():
    with repository() as repo:
        repo.write("control/licence.cc", "int i;")
        repo.expect_bad("text", "control/licence.cc:1")
        repo.write("control/licence.cc", f"// {LICENCE}")
        repo.expect_good("text")
        repo.write("scripts/run", "#!/bin/bash", f"# {LICENCE}")  # without the execute permission
        repo.expect_bad("text", "scripts/run:1")
        repo.remove("scripts/run")
        (repo.root / "docs.md").write_text("no newline")
        repo.expect_bad("text", "docs.md:1")


def test_man():
    with repository() as repo:
        head = (f'.\\" {LICENCE}', ".Dd November 1, 2026", ".Dt ONE 8", ".Os")
        head += (".Sh NAME", ".Nm one", ".Nd one thing")
        repo.write("docs/man/one.8", *head)
        repo.expect_good("man")
        repo.write("docs/man/one.8", *head, ".Sh DESCRIPTION", ".Zz unknown")
        repo.expect_bad("man", "docs/man/one.8:9")


def test_every_check_has_a_test():
    checks = re.search(r"readonly checks=\(([^)]*)\)", (REPO / "scripts/lint").read_text())[1]
    for check in checks.split():
        expect(f"test_{check}" in globals() or f"test_{check}_" in " ".join(globals()), f"no test of {check}")


def test_usage():
    with repository() as repo:
        repo.commit()
        for words in (["nothing"], ["--nothing"], ["--base", "nothing"], ["--base"]):
            expect_equal(f"exit code of scripts/lint {words}", repo.lint(*words)[0], 2)


if __name__ == "__main__":
    run()
