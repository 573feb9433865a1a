#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares a running teald with docs/openapi.yaml: every operation, every answer, every documented error.

usage: openapi_test.py TEALD STAND_IN_DATAPLANE OPENAPI_YAML

The test also fails for a documented answer that does not occur here, unless NOT_HERE has it with a reason.
"""
import http.client
import json
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

import ramp_requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "python"))
try:
    from document import Client, Document, check, failures
except ImportError as error:
    print(f"skipped: {error}; install Debian's python3-yaml and python3-jsonschema")
    sys.exit(77)
from teal.control_socket import UnixConnection  # noqa: E402
from teal.waiting import wait_until  # noqa: E402

CONFIG = """
[dataplane]
workers = 1

[api]
listen = "127.0.0.1:{port}"

[[port]]
name = "front"
device = "af_packet:none0"
side = "both"

[[service]]
name = "service-a"
vip = "198.18.0.10:80"
protocol = "tcp"
blue = ["198.18.2.11:8080", "198.18.2.12:8080"]
green = [{{ address = "198.18.2.21:8080", weight = 2 }}]
drain = {{ timeout = "5m", then = "reset" }}

[service.check]
kind = "http"

[[service]]
name = "service-b"
vip = "[fd18:0::10]:53"
protocol = "udp"
blue = ["[fd18:2::11]:53"]
green = ["[fd18:2::21]:53"]
rollout = {{ hooks = {{ pre_flip = {{ command = ["/bin/true"] }} }} }}

[[group]]
name = "shop"
services = ["service-a", "service-b"]
"""

# Documented answers that do not occur in this test.
NOT_HERE = {
    ("code", "internal"): "a bug",
    ("code", "not_ready"): "teald opens its sockets when it is ready",
    ("code", "no_free_slot"): "takes 64 flips with a stalled worker, 2 s each",
    ("code", "segment_refused"): "daemon_faults_test has it",
    ("code", "queued_too_long"): "takes 30 s of other changes",
    ("code", "request_timeout"): "takes 30 s; server_test has it",
    ("status", "show_history", "503"): "a database that cannot be read",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what):
    try:
        wait_until(what, condition, 20, every=0.02)
    except TimeoutError as error:
        check(False, str(error))


def check_routes(ask, document):
    listed = ask("GET", "/v1")["resources"]
    check(
        {(r["method"], r["path"]) for r in listed} == set(document.operations),
        "the router and the document have the same resources: "
        f"{ {(r['method'], r['path']) for r in listed} ^ set(document.operations) }",
    )
    for resource in listed:
        documented = document.query_of(document.operations[resource["method"], resource["path"]])
        check(
            sorted(resource["query"]) == documented,
            f"{resource['path']}: {resource['query']}, documented {documented}",
        )


def check_reads(ask):
    ask("GET", "/v1/version")
    ask("GET", "/v1/services")
    ask("GET", "/v1/services", url="/v1/services?view=summary")
    ask("GET", "/v1/services", url="/v1/services?view=all", expect=400, code="bad_request")
    ask("GET", "/v1/services/{name}", url="/v1/services/service-b")
    ask("GET", "/v1/services/{name}", url="/v1/services/nope", expect=404, code="unknown_service")
    ask("GET", "/v1/services/{name}/drain", url="/v1/services/service-a/drain")
    ask("GET", "/v1/services/{name}/drain", url="/v1/services/nope/drain", expect=404, code="unknown_service")
    ask("GET", "/v1/health")
    ask("GET", "/v1/health", url="/v1/health?service=service-a")
    ask("GET", "/v1/health", url="/v1/health?service=nope", expect=404, code="unknown_service")
    ask("GET", "/v1/counters")
    ask("GET", "/v1/flows", url="/v1/flows?service=nope", expect=404, code="unknown_service")
    check("teal_build_info" in ask("GET", "/metrics"), "/metrics has teal_build_info")


def check_changes(ask, flows):
    a, shop = {"services": ["service-a"]}, {"group": "shop"}
    flip, back = ("POST", "/v1/flip"), ("POST", "/v1/rollback")
    check(ask(*back, a)["nothing_to_undo"], "a rollback of nothing says so")
    check(ask("POST", "/v1/drain", {**a, "timeout": "2m"})["nothing_drains"], "a drain of nothing says so")
    to_green = {"to": "green", "force": True}  # the stand-in has no port towards the backends
    ask(*flip, {**a, **to_green, "dry_run": True})
    begun = ask("GET", "/v1/services")["generation"]
    flows()
    drains = ask(*flip, {**shop, **to_green, "if_generation": begun, "reason": "release 42"})["drains"]
    check([(d["flows"], d["resets"]) for d in drains] == [(200, 200)], f"the drain that begins: {drains}")
    ask(*flip, {**a, "to": "green"})
    ask(*flip, {**a, "to": "green", "if_generation": 0}, expect=409, code="conflict")
    ask(*flip, {**a, "to": "green", "if_revision": 0}, expect=409, code="conflict")
    check(not ask(*flip, {**a, "to": "green", "request_id": "deploy-42"})["repeated"], "a first request")
    check(ask(*flip, {**a, "to": "green", "request_id": "deploy-42"})["repeated"], "a repeated request")
    ask(*flip, {**a, "to": "red"}, expect=400, code="bad_request")
    ask(*flip, {"services": ["nope"], "to": "blue"}, expect=404, code="unknown_service")
    ask(*flip, {"group": "nope", "to": "blue"}, expect=404, code="unknown_group")
    ask(*flip, {**a, "to": "blue"}, name="status.sock", expect=403, code="read_only")

    ramp_requests.send(ask, check)
    ramp_requests.verify(ask, check)
    drain = ask("GET", "/v1/services/{name}/drain", url="/v1/services/service-a/drain")["draining"]
    check(
        drain["flows"] == 200 and drain["clients"][0] == {"address": "10.0.0.0", "flows": 100},
        f"the client with most flows comes first: {drain}",
    )
    check(
        len(drain["clients"]) == 10 and drain["oldest"]["born_before"],
        f"the drain has clients and an oldest flow: {drain}",
    )
    shown = ask("GET", "/v1/services/{name}", url="/v1/services/service-a")
    check(shown["draining"]["flows"] == 200, f"draining: {shown['draining']}")
    ask("GET", "/v1/flows", url="/v1/flows?service=service-a&colour=blue&limit=5")
    ask("POST", "/v1/drain", {**a, "timeout": "2m", "then": "wait"})
    ask("POST", "/v1/drain", {**a, "timeout": "2m"})
    ask("POST", "/v1/drain", {**a, "timeout": "2m", "from_now": True, "dry_run": True})
    ask("POST", "/v1/drain", {**a, "timeout": "3m", "if_generation": 0}, expect=409, code="conflict")
    ask("POST", "/v1/drain", {**a, "timeout": "soon"}, expect=400, code="bad_request")

    one = {"service": "service-a", "colour": "blue", "address": "198.18.2.11:8080"}
    ask("POST", "/v1/backend", {**one, "weight": 7, "state": "drain"})
    ask("POST", "/v1/backend", {**one, "weight": "file", "state": "ready"})
    unknown = {**one, "address": "198.18.2.99:1", "weight": 1}
    ask("POST", "/v1/backend", unknown, expect=404, code="unknown_backend")
    ask(
        "POST",
        "/v1/backend",
        {"service": "service-a", "colour": "green", "address": "198.18.2.21:8080", "state": "maint"},
        expect=422,
        code="refused",
    )
    ask("POST", "/v1/backend", one, expect=400, code="bad_request")

    preview = {"service": "service-a", "clients": ["198.18.1.102", "198.18.7.0/24"]}
    ask("POST", "/v1/preview", {**preview, "dry_run": True})
    ask("POST", "/v1/preview", {**preview, "reason": "release 42"})
    shown = ask("GET", "/v1/services/{name}", url="/v1/services/service-a")
    check(shown["preview"]["clients"] == ["198.18.1.102/32", "198.18.7.0/24"], f"{shown['preview']}")
    ask("POST", "/v1/preview", {**preview, "clients": ["198.18.1.1/24"]}, expect=400, code="bad_request")
    ask("POST", "/v1/preview", {**preview, "service": "z"}, expect=404, code="unknown_service")
    ask("POST", "/v1/preview", {**preview, "clients": []})

    ask(*back, {**a, "seen_generation": begun}, expect=409, code="conflict")
    ask(*back, {**a, "reason": "too many errors"})
    only_green = {"service": "service-a", "colour": "green", "address": "198.18.2.21:8080"}
    ask("POST", "/v1/backend", {**only_green, "state": "drain"})
    ask(*flip, {**a, "to": "green"}, expect=422, code="refused")
    ask("POST", "/v1/backend", {**only_green, "state": "ready"})
    ask(*back, {"to_generation": begun, "all": True, "dry_run": True})
    ask(*back, {"to_generation": begun}, expect=400, code="bad_request")
    ask(*back, {"to_generation": 10**9, "all": True}, expect=404, code="unknown_generation")

    ask("POST", "/v1/lock", {"reason": "audit"})
    ask("GET", "/v1/services")
    ask(*flip, {**a, "to": "green", "force": True}, expect=423, code="locked")
    ask("POST", "/v1/lock", {"reason": "again"}, expect=423, code="locked")
    ask("POST", "/v1/unlock", {})


def check_reload(ask, config):
    text = config.read_text()
    config.write_text(text + '\n[[service]]\nname = "X"\n')
    refused = ask("POST", "/v1/reload", {}, expect=422, code="bad_config")
    check(len(refused["error"]["details"]) > 1, f"a bad config lists its errors: {refused}")
    shown = ask("GET", "/v1/services")["config"]["refused"]
    check(shown["errors"] == refused["error"]["details"], f"a refused file is shown: {shown}")
    changed = text.replace(
        '["198.18.2.11:8080", "198.18.2.12:8080"]', '["198.18.2.12:8080", "198.18.2.13:8080"]'
    )
    changed = changed.replace("weight = 2", "weight = 3")
    changed += (
        '\n[[service]]\nname = "service-c"\nvip = "198.18.0.12:80"\nprotocol = "tcp"\n'
        'blue = ["198.18.2.31:80"]\ngreen = ["198.18.2.41:80"]\n'
    )
    config.write_text(changed)
    wait_for(lambda: ask("GET", "/v1/services")["config"]["file_differs"], "teald sees that the file differs")
    plan = ask("POST", "/v1/reload", {"dry_run": True})["plan"]
    check(plan["added"] and plan["changed"] and plan["retired"], f"the plan of a reload: {plan}")
    drains = ask("POST", "/v1/reload", {"reason": "another backend", "force": True})["drains"]
    check(drains == [], f"nothing drains after the rollback: {drains}")
    retired = ask("GET", "/v1/services/{name}", url="/v1/services/service-a")["colours"]["blue"]["backends"]
    check(
        any(backend.get("retired") for backend in retired),
        f"a retired backend with flows is shown: {retired}",
    )
    config.write_text(text.replace('"service-b"', '"service-d"').replace("[fd18:0::10]", "[fd18:0::11]"))
    ask("POST", "/v1/reload")


def check_history(ask):
    verbs = {change["verb"] for change in ask("GET", "/v1/history")["changes"]}
    check(
        {"flip", "rollback", "drain", "backend", "reload", "lock", "unlock"} <= verbs,
        f"the history has {verbs}",
    )
    page = ask("GET", "/v1/history", url="/v1/history?limit=2&service=service-a")
    check(page["truncated"] and len(page["changes"]) == 2, "a page of the history")
    ask("GET", "/v1/history", url=f"/v1/history?before={page['changes'][-1]['id']}")
    ask("GET", "/v1/history", url="/v1/history?limit=many", expect=400, code="bad_request")


def check_events(ask, document, run_dir):
    """Each event has the form and a type of the document; of 33 streams the last one is refused."""
    streams = []
    for i in range(33):
        connection = UnixConnection(run_dir / "control.sock")
        if i < 32:
            connection.request("GET", "/v1/events?since=0")
            answer = connection.getresponse()
            streams.append((connection, answer))  # an answer without a reference is closed
            check(
                answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream",
                "an event stream",
            )
        else:
            ask("GET", "/v1/events", expect=503, code="too_many_connections", connection=connection)
    document.seen_status.add(("follow_events", "200"))
    told = document.operations["GET", "/v1/events"]["description"].split("Types:")[1]
    types = {name.strip(" .\n") for name in told.split(",")}
    seen, event = set(), {}
    deadline = time.monotonic() + 20
    while "reloaded" not in seen and time.monotonic() < deadline:
        line = answer.readline()
        if not line:
            break
        line = line.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            key, _, value = line.partition(": ")
            event[key] = value
            continue
        if "data" in event:  # a greeting has an id only
            check(
                set(event) == {"id", "event", "data"} and event["id"].isdigit(), f"an event's form: {event}"
            )
            check(event.get("event") in types, f"the event {event.get('event')} is documented")
            check("at" in json.loads(event["data"]), f"an event says when: {event}")
            seen.add(event["event"])
        event = {}
    check(
        {"intended", "published", "adopted", "done", "hook_failed", "locked", "unlocked", "reloaded"} <= seen,
        f"events seen: {seen}",
    )
    for connection, _ in streams:
        connection.close()
    ask("GET", "/v1/events", url="/v1/events?since=x", expect=400, code="bad_request")


def check_faults(ask, document, state_dir, dataplane, port):
    a = {"services": ["service-a"]}
    database = sqlite3.connect(state_dir / "teal.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")  # blocks other writers
    ask("POST", "/v1/flip", {**a, "to": "green", "force": True}, expect=503, code="storage")
    database.execute("ROLLBACK")
    dataplane("hold")
    ask("POST", "/v1/flip", {**a, "to": "green", "force": True}, expect=504, code="adoption_timeout")
    dataplane("go on")

    def raw(method, url, **more):
        connection = more.pop("connection", None) or UnixConnection(ask.run_dir / "control.sock")
        connection.request(method, url, **more)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        document.validate(body, {"$ref": "#/components/schemas/Error"}, f"{method} {url}")
        document.seen_codes.add(body["error"]["code"])
        return answer.status, body["error"]["code"]

    check(raw("GET", "/v2") == (404, "unknown_path"), "an unknown path")
    check(raw("POST", "/v1/unlock", body="{}") == (415, "unsupported_media_type"), "a POST without its type")
    check(raw("GET", "/v1", headers={"Origin": "http://evil.example"}) == (403, "cross_origin"), "a web page")
    check(raw("PUT", "/v1/flip") == (405, "method_not_allowed"), "a method that is not taken")
    check(raw("POST", "/v1/flip", body="x" * 200_000) == (413, "bad_request"), "a body that is too large")
    loopback = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    ask("GET", "/v1/services", connection=loopback)
    check(
        raw("GET", "/v1", headers={"Host": "evil.example"}, connection=loopback) == (421, "wrong_host"),
        "DNS rebinding",
    )


def check_all_seen(document):
    for operation in document.operations.values():
        for status in operation["responses"]:
            key = (operation["operationId"], status)
            if status != "default" and key not in document.seen_status and ("status", *key) not in NOT_HERE:
                check(False, f"documented, and did not occur: {key}")
    codes = set(
        document.doc["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"]
    )
    for code in codes - document.seen_codes:
        check(("code", code) in NOT_HERE, f"documented, and did not occur: the error {code}")


def main():
    teald, stand_in, openapi = sys.argv[1:]
    document = Document(openapi)
    document.check_itself()
    home = pathlib.Path(tempfile.mkdtemp(prefix="teal-api-"))
    port = free_port()
    config, run_dir, state_dir = home / "teal.toml", home / "run", home / "state"
    config.write_text(CONFIG.format(port=port))
    run_dir.mkdir()
    started = []
    try:
        dataplane_process = subprocess.Popen(
            [stand_in, run_dir, "100"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(dataplane_process)
        check(dataplane_process.stdout.readline() == "ready\n", "the stand-in for a dataplane is ready")
        started.append(
            subprocess.Popen(
                [
                    teald,
                    "--config",
                    config,
                    "--run-dir",
                    run_dir,
                    "--state-dir",
                    state_dir,
                    "--log-level",
                    "warning",
                ]
            )
        )
        wait_for((run_dir / "control.sock").exists, "control.sock")

        def dataplane(line):
            dataplane_process.stdin.write(line + "\n")
            dataplane_process.stdin.flush()
            dataplane_process.stdout.readline()

        ask = Client(document, run_dir)
        check_routes(ask, document)
        check_reads(ask)
        check_changes(ask, lambda: dataplane("flows"))
        check_reload(ask, config)
        check_history(ask)
        check_events(ask, document, run_dir)
        check_faults(ask, document, state_dir, dataplane, port)
        check_all_seen(document)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=20)
        shutil.rmtree(home)
    print(
        f"{len(document.operations)} operations, {len(document.seen_codes)} errors, {len(failures)} failures"
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
