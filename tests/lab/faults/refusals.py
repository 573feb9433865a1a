#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input and faults: each has a clear error and its exit code, and nothing changes.

edge: teal, teald, teal-dataplane
"""
import json
import subprocess

import lab

CONFIG = lab.RUN_DIR / "teal.toml"


def targets():
    whole = lab.status()
    return whole["generation"], [
        (service["name"], service["active"], service["previous"]) for service in whole["services"]
    ]


def refused(exit_code, *arguments, says=""):
    before = targets()
    done = lab.teal(*arguments, check=False)
    text = f"teal {' '.join(arguments)}"
    lab.expect_equal(f"exit code of {text} ({done.stderr.strip()})", done.returncode, exit_code)
    lab.expect(says in done.stderr, f"{text} says {done.stderr!r}, expected {says!r} in it")
    lab.expect(len(done.stderr.strip()) > 10, f"{text} gives no reason")
    lab.expect_equal(f"targets after {text}", targets(), before)


def test_unknown_words():
    refused(1, "flip", "service-x", "--to", "green", says="service-x")
    refused(1, "flip", "--group", "nogroup", "--to", "green", says="nogroup")
    refused(1, "rollback", "service-x", says="service-x")
    refused(2, "flip", "service-a", "--to", "purple", says="purple")
    refused(2, "flip", "service-a", says="--to")
    refused(2, "flip", "--to", "green")
    refused(2, "flip", "service-a", "--to", "green", "--sideways", says="sideways")
    refused(2, "frobnicate", says="frobnicate")


def test_nothing_to_roll_back():
    before = targets()
    said = lab.teal("rollback", "service-b").stdout
    lab.expect("service-b: nothing to undo" in said, f"teal rollback says {said!r}")
    lab.expect_equal("targets after a rollback of nothing", targets(), before)


def test_racing_flips():
    for round_number in range(10):
        generation = lab.status()["generation"]
        to = lab.COLOURS[(round_number + 1) % 2]
        racers = [
            subprocess.Popen(
                lab.command(
                    "edge",
                    lab.BUILD / "control" / "teal",
                    "--socket",
                    lab.RUN_DIR / "control.sock",
                    "flip",
                    "--group",
                    "shop",
                    "--to",
                    to,
                    "--if-generation",
                    generation,
                ),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(8)
        ]
        codes = sorted(racer.wait() for racer in racers)
        lab.expect_equal("exit codes of eight racing flips", codes, [0] + [5] * 7)
        lab.expect_equal("generation after the race", lab.status()["generation"], generation + 1)


def test_api_errors():
    api = lab.api()
    before = targets()
    for method, path, body, wanted in (
        ("GET", "/v1/nothing", None, (404, "unknown_path")),
        ("GET", "/v1/services/service-x", None, (404, "unknown_service")),
        ("DELETE", "/v1/services", None, (405, "method_not_allowed")),
        ("POST", "/v1/flip", {"services": ["service-a"], "to": "purple"}, (400, "bad_request")),
        ("POST", "/v1/flip", {"services": ["service-a"]}, (400, "bad_request")),
        ("POST", "/v1/flip", ["service-a"], (400, "bad_request")),
        (
            "POST",
            "/v1/flip",
            {"services": ["service-a", "service-x"], "to": "green"},
            (404, "unknown_service"),
        ),
        ("POST", "/v1/flip", {"group": "nogroup", "to": "green"}, (404, "unknown_group")),
        ("POST", "/v1/flip", {"group": "shop", "to": "green", "if_generation": 1 << 40}, (409, "conflict")),
    ):
        code, answer = api.call(method, path, body)
        lab.expect_equal(
            f"answer to {method} {path} {json.dumps(body)}", (code, answer["error"]["code"]), wanted
        )
        lab.expect(answer["error"]["message"], "an error has a message")
    lab.expect_equal("traffic splits after all these", targets(), before)


def program(name, *arguments):
    path = {"teald": "control/teald", "teal-dataplane": "dataplane/teal-dataplane"}[name]
    return subprocess.run(
        lab.command("edge", lab.BUILD / path, *arguments), capture_output=True, text=True, timeout=20
    )


def test_a_second_process_is_refused():
    before = targets()
    for name, more in (("teald", ("--state-dir", lab.RUN_DIR / "state")), ("teal-dataplane", ())):
        done = program(name, "--config", CONFIG, "--run-dir", lab.RUN_DIR, *more)
        lab.expect_equal(f"exit code of a second {name} ({done.stderr.strip()})", done.returncode, 3)
    lab.expect_equal("traffic splits", targets(), before)
    lab.expect(lab.ask_once("service-a"), "the switch works")


def test_the_socket_of_a_dead_daemon():
    before = targets()
    lab.scripts_lab("kill", "daemon")
    lab.expect((lab.RUN_DIR / "control.sock").exists(), "a killed daemon leaves its socket")
    lab.expect_equal("exit code without a daemon", lab.teal("list", check=False).returncode, 7)
    lab.scripts_lab("start", "daemon")
    lab.expect_equal("traffic splits", targets(), before)


# Mistake: the text of the lab's config, the text in its place, and the field that the error must name.
BAD_CONFIGS = {
    "a duplicate VIP": (
        'vip = "198.18.0.10:5300"\npreview = "198.18.0.110:5300"\nprotocol = "udp"',
        'vip = "198.18.0.10:80"\nprotocol = "tcp"',
        "vip",
    ),
    "a shared backend socket": (
        'blue = ["198.18.2.11:5300", "198.18.2.12:5300"]',
        'blue = ["198.18.2.11:8080"]',
        "",
    ),
    "mixed address families": (
        'blue = ["[fd18:2::11]:8080", "[fd18:2::12]:8080"]',
        'blue = ["198.18.2.99:8080"]',
        "blue",
    ),
    "port 0": ('vip = "198.18.0.10:80"', 'vip = "198.18.0.10:0"', "vip"),
    "port 70000": ('vip = "198.18.0.10:80"', 'vip = "198.18.0.10:70000"', "vip"),
    "an unknown field": ('protocol = "udp"', 'protocol = "udp"\ncolor = "red"', "color"),
    "an unknown service in a group": (
        'services = ["service-a", "service-b", "service-c"]',
        'services = ["service-d"]',
        "service-d",
    ),
    "bad TOML": ('name = "service-b"', 'name = "service-b', ""),
}


def test_bad_configs():
    good = CONFIG.read_text()
    bad_file = lab.RUN_DIR / "bad.toml"
    for what, (old, new, field) in BAD_CONFIGS.items():
        lab.expect(old in good, f"the lab's config has {old!r}")
        # A shared socket needs the same protocol in both services.
        text = good.replace(old, new, 1)
        if what == "a shared backend socket":
            text = text.replace('protocol = "udp"', 'protocol = "tcp"')
        bad_file.write_text(text)
        done = lab.teal("check", bad_file, check=False)
        said = done.stdout + done.stderr
        lab.expect(done.returncode != 0, f"teal check accepts {what}")
        lab.expect(
            f"{bad_file}:" in said and field in said,
            f"teal check about {what} names file, line and field; it says: {said}",
        )
        done = program(
            "teald",
            "--config",
            bad_file,
            "--run-dir",
            lab.RUN_DIR / "other",
            "--state-dir",
            lab.RUN_DIR / "other-state",
        )
        lab.expect_equal(f"exit code of teald with {what} ({done.stderr.strip()})", done.returncode, 2)
    lab.expect_equal(
        "exit code of teal check of the lab's own config", lab.teal("check", CONFIG).returncode, 0
    )


lab.run()
