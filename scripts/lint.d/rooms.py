#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks which folder ("room") includes which, by the table ROOMS, and that there is no circle of folders.

usage: rooms.py < LIST_OF_FILES      all paths; the current directory is the repository

Prints a line "FILE:LINE: what, expected" for each violation. Exit code 1 if there is one.
"""
import pathlib
import re

from violations import report

# A room may include itself and the rooms of its row. docs/architecture.md has the picture.
# Both processes read the same config, share a segment and log alike, so they share these rooms.
PACKET, SHM, OPTIONS, LOG = "dataplane/packet", "dataplane/shm", "dataplane/config", "dataplane/log"
BOTH_PROCESSES = (PACKET, SHM, OPTIONS, LOG)
# The rooms of teald. Each may include the rooms before it.
CONTROL = (
    "control/judge",
    "control/loop",
    "control/config",
    "control/publish",
    "control/state",
    "control/health",
    "control/hooks",
    "control/kernel",
    "control/trial",
    "control/drain",
    "control/change",
    "control/metrics",
    "control/api/http",
    "control/api/resources",
    "control",
)
# The rooms of the command line. Each may include the rooms before it.
CLI = (
    "control/cli/terminal",
    "control/cli/invocation",
    "control/cli/completion",
    "control/cli/pages",
    "control/cli/verbs",
    "control/cli",
)
ROOMS = {
    "bpf": (),
    PACKET: (),
    SHM: (PACKET,),
    OPTIONS: (PACKET, SHM),
    LOG: (),
    "dataplane/pipeline": BOTH_PROCESSES,
    "dataplane": (*BOTH_PROCESSES, "dataplane/pipeline", "bpf"),
    **{room: (*BOTH_PROCESSES, "bpf", *CONTROL[:place]) for place, room in enumerate(CONTROL)},
    # teal-health, a process of its own.
    "control/prober": (PACKET, SHM, OPTIONS, LOG, "control/loop", "control/config", "control/health"),
    **{room: (*BOTH_PROCESSES, "control/config", *CLI[:place]) for place, room in enumerate(CLI)},
}
PRODUCT = ("bpf/", "control/", "dataplane/")
TESTS = "tests/"  # may include every room; no room includes a test
SOURCES = (".h", ".cc", ".c")

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def includes(file):
    """(line, path as written) of each include in quotes."""
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found[1]


def folder_of(path):
    return str(pathlib.PurePath(path).parent)


def target_of(file, written, files):
    """The file of the repository that an include names, by its path there or from the including file's
    folder."""
    for candidate in (written, f"{folder_of(file)}/{written}"):
        if candidate in files:
            return candidate
    return None


def check_include(file, line, target):
    """The violation of this include, if any."""
    room, other = folder_of(file), folder_of(target)
    where = f'{file}:{line}: includes "{target}"'
    if other.startswith(TESTS.rstrip("/")):
        return (
            None
            if room.startswith(TESTS.rstrip("/"))
            else f"{where}, expected no file of tests/ in the product"
        )
    if room.startswith(TESTS.rstrip("/")) or other == room or other in ROOMS.get(room, ()):
        return None
    return f"{where}, expected from {room} only: {', '.join(ROOMS.get(room, ())) or 'itself'}"


def circles(edges):
    """Circles of folders, each once, as lists that begin and end with the same folder. `edges` maps a folder
    to {folder: (file, line) of one include}."""
    done, found = set(), []

    def visit(folder, path):
        if folder in path:
            found.append(path[path.index(folder) :] + [folder])
            return
        if folder in done:
            return
        for following in sorted(edges.get(folder, {})):
            visit(following, path + [folder])
        done.add(folder)

    for folder in sorted(edges):
        visit(folder, [])
    return found


def check(files):
    files, edges = set(files), {}
    for file in sorted(files):
        if not file.endswith(SOURCES) or not file.startswith((*PRODUCT, TESTS)):
            continue
        room = folder_of(file)
        if file.startswith(PRODUCT) and room not in ROOMS:
            yield f"{file}:1: its folder has no row in scripts/lint.d/rooms.py, expected one"
            continue
        for line, written in includes(pathlib.Path(file)):
            target = target_of(file, written, files)
            if target is None:
                continue
            if violation := check_include(file, line, target):
                yield violation
            if folder_of(target) != room:
                edges.setdefault(room, {}).setdefault(folder_of(target), (file, line))
    for circle in circles(edges):
        file, line = edges[circle[0]][circle[1]]
        yield f"{file}:{line}: a circle of folders, {' -> '.join(circle)}, expected none"


if __name__ == "__main__":
    report(check)
