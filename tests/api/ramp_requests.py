# SPDX-License-Identifier: Apache-2.0
"""The requests about ramps and of verify, for openapi_test.py: each answer is checked by the document."""


def send(ask, check):
    c = {"services": ["service-b"]}
    ask("POST", "/v1/ramp", {**c, "to": "blue"}, expect=400, code="bad_request")
    ask("POST", "/v1/ramp", {**c, "to": "blue", "steps": ["5%"]}, expect=400, code="bad_request")
    refused = ask(
        "POST", "/v1/ramp", {**c, "to": "blue", "steps": ["5%", "100%"]}, expect=422, code="refused"
    )
    check(
        refused["error"]["details"][-1] == "service-b: pre_flip /bin/true: no teal-health answers",
        f"a hook that nobody runs: {refused}",
    )
    # With force: the stand-in for the dataplane has no port towards the backends.
    ramp = {**c, "to": "blue", "steps": ["5%", "12.5%", "100%"], "force": True}
    ask("POST", "/v1/ramp", {**ramp, "dry_run": True})
    begun = ask("POST", "/v1/ramp", {**ramp, "every": "1h"})["changed"][0]
    check("pre_flip" in begun["forced"], f"the gates that were forced: {begun}")
    ask("POST", "/v1/ramp", ramp, expect=409, code="conflict")
    ask("POST", "/v1/pause", {**c, "reason": "a look at the logs"})
    ask("POST", "/v1/resume", c)
    ask("POST", "/v1/next", {**c, "force": True})
    view = ask("GET", "/v1/services/{name}", url="/v1/services/service-b")["ramp"]
    check(view["share_percent"] == 12.5 and view["step"] == 2, f"ramp: {view}")
    ask("POST", "/v1/abort", {**c, "reason": "errors"})


def verify(ask, check):
    """No teal-health is connected, and the stand-in has no port towards the backends."""
    answer = ask("POST", "/v1/verify", {"group": "shop", "timeout": "100ms"})
    check(answer["verdict"] == "refused" and answer["reasons"], f"verify of a group: {answer}")
    checks = {backend["check"] for service in answer["services"] for backend in service["backends"]}
    check(checks == {"no_answer", None}, f"the checks of a group: {answer}")
    ask("POST", "/v1/verify", {"services": ["service-b"], "to": "blue"})
    ask("POST", "/v1/verify", {"services": ["nope"]}, expect=404, code="unknown_service")
    ask("POST", "/v1/verify", {"services": ["service-b"], "to": "red"}, expect=400, code="bad_request")
    ask("POST", "/v1/verify", {"services": ["service-b"]}, name="status.sock", expect=403, code="read_only")
