#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks how many source files a folder has, and how many lines a file.

usage: sizes.py < LIST_OF_FILES      all paths; the current directory is the repository

Headers do not count for a folder; documents and data count for neither. Prints a line "FILE:LINE: what,
expected" for each violation. Exit code 1 if there is one.
"""
import collections
import pathlib

from violations import report

MAX_FILES, MAX_LINES = 25, 400
SOURCES = (".cc", ".c", ".py", ".sh", ".lua")
HEADERS = (".h",)


def is_script(path):
    """A file without a suffix that begins with #!"""
    if path.suffix or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def check(names):
    folders = collections.defaultdict(list)
    for path in map(pathlib.Path, names):
        source = path.suffix in SOURCES or is_script(path)
        if source:
            folders[path.parent].append(path)
        if source or path.suffix in HEADERS:
            lines = path.read_bytes().count(b"\n")
            if lines > MAX_LINES:
                yield f"{path}:{MAX_LINES + 1}: the file has {lines} lines, expected at most {MAX_LINES}"
    for folder, files in folders.items():
        if len(files) > MAX_FILES:
            where = f"{files[MAX_FILES]}:1"
            yield f"{where}: its folder has {len(files)} source files, expected at most {MAX_FILES}"


if __name__ == "__main__":
    report(check)
