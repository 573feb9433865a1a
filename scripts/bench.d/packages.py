# SPDX-License-Identifier: Apache-2.0
"""scripts/bench --setup: the Debian packages of the benchmark that scripts/setup does not install."""
import os
import pathlib
import shutil
import subprocess

PACKAGES = {
    "dpdk-testpmd": "dpdk-dev",
    "ovs-vsctl": "openvswitch-switch-dpdk",
    "gnuplot": "gnuplot-nox",
    "nft": "nftables",
    "ethtool": "ethtool",
}
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = """#!/bin/sh
# Made by scripts/bench of Teal for the time of one installation: no service starts.
exit 101
"""


def missing():
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=path)})


def install(repo):
    subprocess.run([repo / "scripts" / "setup"], check=True)
    wanted = missing()
    if not wanted:
        print("bench: all packages are here")
        return
    print(f"bench: installing {' '.join(wanted)}")
    ours = not POLICY.exists()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        if ours:
            POLICY.write_text(POLICY_TEXT)
            POLICY.chmod(0o755)
        subprocess.run(["apt-get", "update", "-q"], env=environment, check=False)
        subprocess.run(
            ["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted],
            env=environment,
            check=True,
        )
        if "openvswitch-switch-dpdk" in wanted and shutil.which("systemctl"):
            # The benchmark starts the daemons itself, with directories of its own.
            subprocess.run(["systemctl", "--quiet", "disable", "openvswitch-switch"], check=False)
    finally:
        if ours and POLICY.exists():
            POLICY.unlink()
