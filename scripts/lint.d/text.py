#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks text files: white space, line length, licence line, execute permission, links between documents.

usage: text.py < LIST_OF_FILES      all paths; the current directory is the repository

Prints a line "FILE:LINE: what, expected" for each violation. Exit code 1 if there is one.
"""
import os
import pathlib
import re

from violations import report

MAX_COLUMNS = 110
CODE = (".cc", ".c", ".h", ".py", ".sh", ".lua")  # formatters leave long comments as they are
LICENSED = (*CODE, ".build")
UNCHECKED = ("tests/fuzz/corpus/", "docs/screens/")
LICENCE = "SPDX-License-Identifier: "
LICENCE_LINES = 4
RAW_STRING = re.compile(r'\bR"(\w*)\(.*?\)\1"', re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")
CONFLICT = ("<" * 7 + " ", ">" * 7 + " ", "|" * 7 + " ")


def is_code(path, first_line):
    return path.suffix in CODE or not path.suffix and first_line.startswith("#!")


def data_lines(text):
    """Numbers of the lines in C++ raw strings. They are data, such as SQL or JSON, and may be longer."""
    found = set()
    for literal in RAW_STRING.finditer(text):
        first = text.count("\n", 0, literal.start()) + 1
        found.update(range(first, first + literal[0].count("\n") + 1))
    return found


def check_line(path, number, line, code):
    where = f"{path}:{number}"
    if line != line.rstrip() and path.suffix != ".md":  # two blanks at the end are a line break of Markdown
        yield f"{where}: white space at the end of the line, expected none"
    if "\t" in line and code:
        yield f"{where}: a tab, expected blanks"
    if line.startswith(CONFLICT):
        yield f"{where}: a mark of a merge conflict, expected none"
    if code and len(line) > MAX_COLUMNS:
        yield f"{where}: {len(line)} columns, expected at most {MAX_COLUMNS}"


def check_links(path, number, line):
    for link, _ in LINK.findall(line):
        if "://" in link or link.startswith("mailto:"):
            continue
        if not (path.parent / link).exists():
            yield f"{path}:{number}: a link to {link}, expected a file that exists"


def check_file(path):
    if path.suffix == ".xz":  # a test's data
        return
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        yield f"{path}:{content.count(bytes([10]), 0, error.start) + 1}: not UTF-8, expected UTF-8"
        return
    if not text:
        return
    lines = text.split("\n")
    code = is_code(path, lines[0])
    if lines[-1]:
        yield f"{path}:{len(lines)}: no newline at the end of the file, expected one"
    if code and not any(LICENCE in line for line in lines[:LICENCE_LINES]):
        yield f'{path}:1: no licence line, expected "{LICENCE}" in the first {LICENCE_LINES} lines'
    # A script in a folder that others run has the permission; modules and sourced files have no "#!".
    if lines[0].startswith("#!") != os.access(path, os.X_OK):
        yield f'{path}:1: "#!" and the execute permission differ, expected both or neither'
    data = data_lines(text) if path.suffix in (".cc", ".h") else ()
    for number, line in enumerate(lines, 1):
        yield from check_line(path, number, line, code and number not in data)
        if path.suffix == ".md":
            yield from check_links(path, number, line)


def check(names):
    for name in names:
        path = pathlib.Path(name)
        if not name.startswith(UNCHECKED) and path.suffix not in (".png", ".svg"):
            yield from check_file(path)


if __name__ == "__main__":
    report(check)
