#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server that accepts and never answers gets no new flow 4.5 s later, and it is back when it answers again.

    client1 == edge (teald, teal-health) == blue1 (its nginx is stopped), blue2 | green1, green2

service-a has an HTTP check with the defaults. kill -STOP leaves nginx' sockets open: the kernel accepts, and
nobody answers. A TCP check would not see it.
"""
import os
import signal
import time

import lab


def signal_nginx(host, what):
    for pid in lab.nginx_of(host):
        os.kill(pid, what)


def backend(address="198.18.2.11:8080"):
    backends = lab.status("service-a")["colours"]["blue"]["backends"]
    return next(one for one in backends if one["address"] == address)


def hosts_of_new_flows(count):
    return {lab.ask_once("service-a").split()[1] for _ in range(count)}


def check_service_a():
    lab.add_to_service_a('[service.check]\nkind = "http"')
    lab.teal("reload")
    lab.scripts_lab("start", "health")
    lab.teal("wait", "service-a", "--for", "healthy", "--timeout", "10s")


def test_a_stopped_server_gets_no_new_flow_after_4500_ms_and_comes_back():
    check_service_a()
    lab.expect_equal("hosts of new flows", hosts_of_new_flows(40), {"blue1", "blue2"})
    signal_nginx("blue1", signal.SIGSTOP)
    try:
        time.sleep(4.5)
        lab.expect_equal("health", backend()["health"], "down")
        lab.expect_equal("reason", backend()["health_reason"], "no answer within 1 s")
        lab.expect_equal("hosts of new flows", hosts_of_new_flows(40), {"blue2"})
        told = lab.teal("health", "service-a", "-o", "json").stdout
        lab.expect("no answer within 1 s" in told, f"teal health says why: {told}")
    finally:
        signal_nginx("blue1", signal.SIGCONT)
    lab.wait_for("blue1 up", lambda: backend()["health"] == "up", seconds=5)
    lab.wait_for("a new flow on blue1", lambda: "blue1" in hosts_of_new_flows(20), seconds=2)


def test_the_last_known_health_stays_without_the_prober():
    signal_nginx("blue1", signal.SIGSTOP)
    try:
        lab.wait_for("blue1 down", lambda: backend()["health"] == "down")
        lab.scripts_lab("kill", "health")
        lab.wait_for("health unknown", lambda: "health_unknown_since" in backend(), seconds=5)
        lab.expect_equal("health", backend()["health"], "down")
        lab.scripts_lab("kill", "daemon")
        lab.scripts_lab("start", "daemon")
        lab.expect_equal("health that the new teald knows", backend()["health"], "down")
        lab.expect_equal("hosts of new flows", hosts_of_new_flows(40), {"blue2"})
        told = lab.teal("health").stdout
        lab.expect("health is unknown since" in told, f"teal health says that it is unknown: {told}")
    finally:
        signal_nginx("blue1", signal.SIGCONT)
    lab.scripts_lab("start", "health")
    lab.wait_for("blue1 up", lambda: backend()["health"] == "up", seconds=20)


lab.run()
