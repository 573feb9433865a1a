#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# lab: --workers 2
"""Teal goes back by itself from a bad green, in time, for all three services as one.

    client1 (500 new connections a second, half of them for service-a and half for service-b, and 100 UDP
    flows for service-c) == edge == blue1, blue2 | green1, green2
"""
import os
import signal
import time

import lab
import rollouts
from rollouts import black_hole, hangs, refuses, resets_5_percent, udp_black_hole


def test_a_green_that_refuses_is_rolled_back_within_1_s():
    rollouts.expect_rollback_after_a_flip(refuses, 1)


def test_a_black_hole_is_rolled_back_within_3_s():
    rollouts.expect_rollback_after_a_flip(black_hole, 3)


def test_a_udp_service_that_does_not_reply_is_rolled_back_within_3_s():
    rollouts.expect_rollback_after_a_flip(udp_black_hole, 3)


def test_a_green_that_accepts_and_hangs_is_rolled_back_within_3_s():
    rollouts.expect_rollback_after_a_flip(hangs, 3)


def test_a_green_that_resets_5_percent_is_rolled_back_within_3_s_of_a_flip():
    rollouts.expect_rollback_after_a_flip(resets_5_percent, 3)


def test_a_green_that_resets_5_percent_is_rolled_back_within_10_s_at_25_percent():
    rollouts.expect_rollback_in_a_ramp(resets_5_percent, 25, 10)


def test_a_green_that_resets_5_percent_is_rolled_back_within_60_s_at_1_percent():
    rollouts.expect_rollback_in_a_ramp(resets_5_percent, 1, 60)


def test_a_good_rollout_fails_no_flow():
    with rollouts.load() as flows:
        time.sleep(1)
        lab.flip("green")
        time.sleep(2)
        lab.teal("rollback", "--group", "shop")
        time.sleep(1)
    lab.expect(flows["begun"] > 2000, f"{flows}")
    lab.expect_equal(f"flows that failed, of {flows['begun']}", flows["failed"], 0)


def test_a_good_green_stays_and_a_killed_teald_goes_on_with_the_bake():
    with rollouts.load():
        time.sleep(rollouts.SECONDS_OF_GOOD_FLOWS)
        lab.flip("green")
        time.sleep(3)
        lab.expect_equal("active", lab.status("service-a")["active"], "green")
        lab.expect_equal("phase", lab.status("service-a")["phase"], "baking")
        told = lab.teal("status", "service-a").stdout
        lab.expect("green: 0 of" in told, f"status shows the verdict: {told}")
        lab.scripts_lab("kill", "daemon")
        lab.scripts_lab("start", "daemon")
        lab.expect_equal("phase of the new teald", lab.status("service-a")["phase"], "baking")
        with refuses():
            rollouts.expect_rollback(time.time(), 1)


def test_a_waiting_command_ends_with_6_and_the_verdict():
    wait = ("flip", "--group", "shop", "--to", "green", "--wait", "--timeout", "20s")
    with rollouts.load():
        time.sleep(rollouts.SECONDS_OF_GOOD_FLOWS)
        with refuses():
            waited = lab.teal(*wait, check=False)
    lab.expect_equal(f"exit code of {waited.stderr}", waited.returncode, 6)
    lab.expect("green is bad:" in waited.stderr, f"the verdict is told: {waited.stderr}")


def check_the_tcp_services():
    config = lab.RUN_DIR / "teal.toml"
    text = config.read_text()
    for name in ("service-a", "service-b"):
        text = text.replace(f'name = "{name}"\n', f'name = "{name}"\ncheck = {{ kind = "tcp" }}\n', 1)
    config.write_text(text)
    lab.teal("reload")
    lab.scripts_lab("start", "health")
    lab.teal("wait", "service-a", "service-b", "--for", "healthy", "--timeout", "10s")


def test_a_prober_that_hangs_delays_no_rollback():
    check_the_tcp_services()
    with rollouts.load():
        time.sleep(rollouts.SECONDS_OF_GOOD_FLOWS)
        os.kill(lab.pid_of("health"), signal.SIGSTOP)
        try:
            lab.flip("green")
            with refuses():
                rollouts.expect_rollback(time.time(), 1)
        finally:
            os.kill(lab.pid_of("health"), signal.SIGCONT)


def test_a_green_that_refuses_is_rolled_back_after_a_check_of_blue():
    with rollouts.load():
        time.sleep(rollouts.SECONDS_OF_GOOD_FLOWS)
        lab.flip("green")
        with refuses():
            rollouts.expect_rollback(time.time(), 2)


lab.run()
