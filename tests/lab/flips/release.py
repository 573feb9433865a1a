#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""A whole release by hand, under load: edit the idle pool, check, reload, flip, drain, remove the old
backends.

    client1 (wrk, a connection a request, IPv4) --+
    client2 (wrk, a connection a request, IPv6) --+== edge == blue1, blue2 | green1, green2
    client3 (50 slow downloads, 20 idle flows) ---+

No request of wrk fails. Downloads that began on blue go on while blue's backends are removed from the
config. These backends are retired until the downloads end; only then other backends may get their ids.
"""
import json
import re
import select
import socket
import subprocess
import threading
import time

import lab

CONFIG = lab.RUN_DIR / "teal.toml"
DOWNLOADS = 50


def set_pool(colour, *hosts):
    """Changes a pool of service-a in the file; `hosts` are the last parts of the addresses."""
    pool = ", ".join(f'"198.18.2.{host}:8080"' for host in hosts)
    text = CONFIG.read_text()
    begin = text.index('name = "service-a"')
    CONFIG.write_text(
        text[:begin] + re.sub(rf"^{colour} = .*", f"{colour} = [{pool}]", text[begin:], count=1, flags=re.M)
    )


def reload(*options):
    lab.teal("check", CONFIG)
    return json.loads(lab.teal("reload", *options, "-o", "json").stdout)


def entries(plan, what):
    return {(entry["kind"], entry.get("colour"), entry.get("address")) for entry in plan[what]}


def backends(colour):
    """The backends of service-a: address to status."""
    return {one["address"]: one for one in lab.status("service-a")["colours"][colour]["backends"]}


class Downloads:
    """Many slow readers of a large file, in one thread; stop() ends them."""

    def __init__(self, count):
        self.sockets, self.bytes, self.broken = [], [0] * count, []
        self.ended = False
        for _ in range(count):
            with lab.on_host("client3"):
                one = socket.socket()
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                one.connect((lab.VIP4, 80))
            one.sendall(b"GET /big HTTP/1.1\r\nHost: lab\r\n\r\n")
            self.sockets.append(one)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.ended:
            readable, _, _ = select.select(self.sockets, [], [], 0.1)
            for one in readable:
                index = self.sockets.index(one)
                try:
                    data = one.recv(4096)
                except OSError as error:
                    data, reason = b"", str(error)
                else:
                    reason = "closed"
                if not data and not self.ended:
                    self.broken.append(f"download {index} after {self.bytes[index]} bytes: {reason}")
                    self.ended = True
                self.bytes[index] += len(data)
            time.sleep(0.05)

    def progress(self, seconds):
        """The bytes that the slowest download reads in this time."""
        before = list(self.bytes)
        time.sleep(seconds)
        return min(now - then for now, then in zip(self.bytes, before))

    def stop(self):
        self.ended = True
        self.thread.join()
        for one in self.sockets:
            one.close()


def edit_check_and_reload():
    set_pool("green", "21")
    reload()
    set_pool("green", "21", "22")
    before = lab.status()["revision"]  # teald may release retired ids meanwhile, under a generation
    dry_run = reload("--dry-run")
    lab.expect_equal(
        "what a dry run would add",
        entries(dry_run["plan"], "added"),
        {("backend", "green", "198.18.2.22:8080")},
    )
    lab.expect_equal("revision after a dry run", lab.status()["revision"], before)
    done = reload()
    lab.expect_equal("what the reload did", done["plan"], dry_run["plan"])
    lab.expect_equal("a second reload", entries(reload()["plan"], "added"), set())


def flip_wait_and_reset_the_rest():
    """flip --wait returns when the deadline has reset the idle flows. The deadline is set while it waits."""
    idle = [lab.open_flow("service-a", "client3") for _ in range(20)]
    for flow in idle:
        lab.expect(flow.ask().startswith("blue"), "the idle flows are on blue")
    words = lab.command("edge", lab.BUILD / "control" / "teal", "--socket", lab.RUN_DIR / "control.sock")
    flip = subprocess.Popen(
        [*words, "flip", "service-a", "--to", "green", "--wait", "--timeout", "30s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lab.wait_for("the flip", lambda: lab.status("service-a")["active"] == "green")
    lab.expect_equal("colour of a new flow", lab.colour_of_new_flow("service-a"), "green")
    lab.teal("drain", "service-a", "--timeout", "3s", "--then", "reset")
    output = flip.communicate(timeout=30)[0].decode()
    lab.expect_equal(f"exit code of flip --wait ({output})", flip.returncode, 0)
    lab.expect_equal("flows left on blue", lab.flows("service-a", "blue"), 0)
    for flow in idle:
        try:
            flow.ask()
            raise AssertionError("an idle flow outlived the deadline")
        except OSError:
            pass
        flow.close()


def take_the_old_away():
    lab.teal("rollback", "service-a")
    downloads = Downloads(DOWNLOADS)
    try:
        lab.wait_for("50 downloads on blue", lambda: lab.flows("service-a", "blue") >= DOWNLOADS)
        lab.teal("flip", "service-a", "--to", "green")
        old = backends("blue")
        set_pool("blue", "22")
        plan = reload()["plan"]
        gone = {("backend", None, "198.18.2.11:8080"), ("backend", None, "198.18.2.12:8080")}
        lab.expect_equal("what was retired", entries(plan, "retired"), gone)
        lab.expect(
            sum(entry["flows"] for entry in plan["retired"]) >= DOWNLOADS,
            f"the plan tells their flows: {plan}",
        )
        lab.expect(downloads.progress(4) > 0, f"each download goes on: {downloads.broken}")
        retired = {address: one for address, one in backends("blue").items() if one.get("retired")}
        lab.expect_equal("retired backends", set(retired), set(old))
        lab.expect_equal("their flows", sum(one["flows"] for one in retired.values()), DOWNLOADS)
        lab.expect_equal("broken downloads", downloads.broken, [])
    finally:
        downloads.stop()
    lab.wait_for(
        "the retired go", lambda: not any(one.get("retired") for one in backends("blue").values()), 15
    )
    return {one["id"] for one in old.values()}


def test_a_release_under_load():
    lab.set_rollout_rules('bake = "2s"')
    options = ("-c4", "-H", "Connection: close")
    with lab.wrk(
        ("client1", *options, f"http://{lab.VIP4}/"), ("client2", *options, f"http://[{lab.VIP6}]/")
    ):
        edit_check_and_reload()
        flip_wait_and_reset_the_rest()
        free_ids = take_the_old_away()
        set_pool("blue", "22", "11")
        lab.wait_for("the freed ids are saved", lambda: reload() is not None)
        lab.expect(backends("blue")["198.18.2.11:8080"]["id"] in free_ids, "a free id is used again")
    lab.expect_equal("wrong_colour_flows", lab.api().totals()["wrong_colour_flows"], 0)


lab.run()
