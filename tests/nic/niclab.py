# SPDX-License-Identifier: Apache-2.0
"""Library of the tests with NICs that DPDK owns (scripts/niclab). It adds to lab.py what differs: the edge is
a virtual machine, and hosts have the prefix "nic-"."""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import lab

RUN_DIR = pathlib.Path("/run/teal-nic-lab")
NICS = {"front": "0000:00:10.0", "back": "0000:00:11.0"}
TAPS = ("front", "back")


def niclab(*arguments, check=True):
    done = subprocess.run(
        [lab.REPO / "scripts" / "niclab", *map(str, arguments)], capture_output=True, text=True, timeout=240
    )
    lab.expect(
        not check or done.returncode == 0,
        f"scripts/niclab {' '.join(map(str, arguments))}: exit code {done.returncode}: "
        f"{done.stdout}{done.stderr}",
    )
    return done


def edge(*command, check=True):
    """Runs a command in the machine."""
    return niclab("exec", "edge", "--", *command, check=check)


def edge_shell(script, check=True):
    return edge("sh", "-c", f". /init.functions; {script}", check=check)


def teal(*arguments, check=True):
    return edge("teal", *arguments, check=check)


def status():
    return json.loads(teal("status", "-o", "json").stdout)


def port(name):
    return next(one for one in counters()["ports"] if one["name"] == name)


def metrics():
    return edge("curl", "-s", "--unix-socket", "/run/teal/control.sock", "http://teal/metrics").stdout


def give_groups(owner="$(stat -c %u:%g /dev/hugepages/teal)"):
    """Gives the devices of the NICs to the user of teal-dataplane, or to another one."""
    edge_shell(f"chown {owner} /dev/vfio/[0-9]*")


def give_addresses(*taps):
    for tap in taps or TAPS:
        number = TAPS.index(tap) + 1
        edge("ip", "address", "replace", f"198.18.{number}.1/24", "dev", tap)
        edge("ip", "address", "replace", f"fd18:{number}::1/64", "dev", tap, "nodad")


def flip(colour):
    teal("flip", "--group", "shop", "--to", colour)


def counters():
    return json.loads(teal("stats", "-o", "json").stdout)


def unresolved():
    backends = json.loads(teal("backend", "list", "-o", "json").stdout)["backends"]
    return [one["address"] for one in backends if one["next_hop"] != "resolved"]


def wait_for(what, condition, seconds=60.0):
    """A machine whose CPU is emulated beside other work is slow, so the limits are generous."""
    return lab.wait_for(what, condition, seconds)


def wait_for_next_hops():
    wait_for("every next hop is resolved", lambda: not unresolved())


def log_of(program):
    return (RUN_DIR / "exchange" / "log" / f"{program}.log").read_text()


def open_flow(service, host="client1"):
    return lab.open_flow(service, f"nic-{host}", timeout=20.0)


def set_link(side, up):
    """Plugs the cable of a NIC in or out, by qemu's control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(RUN_DIR / "qmp"))
        with connection.makefile("rw") as lines:
            lines.readline()
            for command, arguments in (
                ("qmp_capabilities", {}),
                ("set_link", {"name": f"nic-{side}", "up": up}),
            ):
                lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
                lines.flush()
                while "return" not in (answer := json.loads(lines.readline())):
                    lab.expect("error" not in answer, f"qemu: {answer}")


def start_fails(*arguments):
    """Starts the dataplane, which must refuse, and returns the last line of its log."""
    done = niclab("start", "dataplane", *arguments, check=False)
    lab.expect(done.returncode == 1, f"the dataplane starts: {done.stdout}{done.stderr}")
    errors = re.findall(r"\[error\] (.*)", done.stderr)
    lab.expect(errors, f"no error in the log: {done.stderr}")
    return errors[-1]


def run():
    if not os.path.exists("/run/netns/teal-nic-edge"):
        sys.exit("no lab; scripts/niclab up builds one")
    lab.test_runner.run()
