#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The file is edited, and what it says is not in force: flips, reloads and status say so until it is.

edge: teal, teald, teal-dataplane
"""
import json

import lab

CONFIG = lab.RUN_DIR / "teal.toml"


def replace(old, new):
    text = CONFIG.read_text()
    lab.expect(old in text, f"the lab's config has {old!r}")
    CONFIG.write_text(text.replace(old, new, 1))


def restart(program):
    lab.scripts_lab("kill", program)
    lab.scripts_lab("start", program)


def test_a_setting_waits_for_the_dataplane():
    lab.expect_equal("pending at first", lab.status()["config"]["restart"], [])
    replace("[dataplane]\n", "[dataplane]\nmemory_mb = 256\n")
    warned = lab.teal("flip", "service-a", "--to", "green").stderr
    lab.expect("was edited and not reloaded" in warned, f"a flip says {warned!r}")
    plan = json.loads(lab.teal("reload", "-o", "json").stdout)["plan"]
    keys = [line.split(":")[0] for line in plan["restart"]]
    lab.expect_equal("keys in the plan", keys, ["[dataplane] memory_mb"])
    warned = lab.teal("flip", "service-a", "--to", "blue").stderr
    lab.expect("edited" not in warned, f"a flip after the reload says {warned!r}")
    restart("daemon")
    lab.expect_equal("pending", lab.status()["config"]["restart"], plan["restart"])
    restart("dataplane")
    lab.wait_for("the notice to go", lambda: not lab.status()["config"]["restart"])


def test_a_new_backend_without_a_next_hop_is_warned_of():
    replace('green = ["198.18.2.21:8080"', 'green = ["198.18.2.99:8080", "198.18.2.21:8080"')
    warned = lab.teal("reload").stderr
    expected = "service-a/green/198.18.2.99:8080 is new and has no next hop"
    lab.expect(expected in warned, f"reload says {warned!r}")


def test_a_locked_start_keeps_what_is_in_force():
    lab.teal("lock", "--reason", "audit")
    replace('"198.18.2.99:8080", ', "")
    restart("daemon")
    config = lab.status()["config"]
    lab.expect("audit" in (config["held_back"] or ""), f"status says {config}")
    addresses = [one["address"] for one in lab.status("service-a")["colours"]["green"]["backends"]]
    lab.expect("198.18.2.99:8080" in addresses, f"the backend stays: {addresses}")
    lab.expect("audit" in lab.teal("status").stdout, "teal status tells the operator")
    lab.teal("unlock")
    lab.teal("reload")
    lab.expect_equal("held back after the reload", lab.status()["config"]["held_back"], None)
    lab.expect(lab.ask_once("service-a"), "the switch works")


lab.run()
