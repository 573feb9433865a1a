# SPDX-License-Identifier: Apache-2.0
"""Servers of the lab that are bad on purpose, by rules in the firewall of their hosts. For scripts/demo and
tests/lab."""
import contextlib
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from teal import namespaces  # noqa: E402


def nft(host, *words):
    subprocess.run(namespaces.in_namespace(f"teal-{host}", "nft", *words), check=True)


@contextlib.contextmanager
def firewall(hosts, *rules, at="tcp dport 8080"):
    """These rules for what arrives there on the hosts."""
    for host in hosts:
        nft(host, "add", "table", "inet", "bad")
        nft(host, "add", "chain", "inet", "bad", "in", "{ type filter hook input priority 0; }")
        for rule in rules:
            nft(host, *f"add rule inet bad in {at} {rule}".split())
    try:
        yield
    finally:
        for host in hosts:
            nft(host, "delete", "table", "inet", "bad")
