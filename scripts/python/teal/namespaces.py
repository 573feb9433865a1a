# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: commands and sockets inside them."""
import contextlib
import ctypes
import os

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def in_namespace(name, *command):
    """The words of a command that runs in the namespace. nsenter executes the command in its own process, so
    the pid is the command's. `ip netns exec` would hide the mounts below /sys."""
    return ["nsenter", f"--net=/run/netns/{name}", *map(str, command)]


@contextlib.contextmanager
def inside(name):
    """Moves the calling thread into the namespace for the block. A socket that the block makes stays
    there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if _libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {name}")
        yield
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)
