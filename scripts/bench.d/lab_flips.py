# SPDX-License-Identifier: Apache-2.0
"""scripts/bench flip: measures in the lab how fast a flip is adopted, and whether the size of the pools
matters.

One worker spins on its own core (CPU 1); clients, servers and teald share the other cores. wrk keeps the
worker busy while two services are flipped in turn, one with 2 backends a pool and one with 1,000.
"adoption" is the time from the store of the publication word to the worker's first burst with it, as `teal
flip` reports it. "answer" is the time of the whole request, with its two commits to disk.
"""
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tests" / "lab"))
import lab  # noqa: E402
from compare import percentile  # noqa: E402

WORKER_CPU = 1
BIG_POOL = 1000


def big_service():
    """A service without clients, with large pools."""

    def pool(first_net):
        sockets = (f'"198.18.{first_net + n // 200}.{1 + n % 200}:8080"' for n in range(BIG_POOL))
        return "[" + ", ".join(sockets) + "]"

    return f"""
[[service]]
name = "big"
vip = "198.18.0.11:80"
protocol = "tcp"
blue = {pool(100)}
green = {pool(120)}
"""


def flip_rows(flips):
    api = lab.api()
    adoption = {"service-a": [], "big": []}
    answer_ms = {"service-a": [], "big": []}
    for number in range(flips):
        colour = lab.COLOURS[(number + 1) % 2]
        for service, times in adoption.items():
            began = time.monotonic()
            code, answer = api.call("POST", "/v1/flip", {"services": [service], "to": colour})
            answer_ms[service].append((time.monotonic() - began) * 1e3)
            if code != 200 or not answer["changed"]:
                sys.exit(f"bench: flip {number} of {service}: {code} {answer}")
            times.append(answer["slowest_us"] or 0.0)  # null: all workers sleep
            time.sleep(0.01)
    for service, backends in (("service-a", 2), ("big", BIG_POOL)):
        times = sorted(adoption[service])
        yield backends, times, statistics.median(answer_ms[service])


def bench_flip(flips):
    subprocess.run([REPO / "scripts" / "setup"], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as extra:
        extra.write(big_service())
        extra.flush()
        lab.scripts_lab("down")
        lab.scripts_lab("up", "--idle", "spin", "--cpu", str(WORKER_CPU), "--extra", extra.name)
    wrk = subprocess.Popen(
        [
            "taskset",
            "-c",
            "0",
            *lab.command("client1", "wrk", "-t1", "-c32", "-d600s", f"http://{lab.VIP4}/"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(1)
        print(
            f"{'backends a pool':>15} {'flips':>6} {'median us':>10} {'p99 us':>8} {'max us':>8}"
            f" {'answer ms':>10}"
        )
        for backends, times, answer in flip_rows(flips):
            print(
                f"{backends:>15} {len(times):>6} {statistics.median(times):>10.1f}"
                f" {percentile(times, 0.99):>8.1f} {times[-1]:>8.1f} {answer:>10.1f}"
            )
    finally:
        wrk.send_signal(signal.SIGINT)
        report = wrk.communicate(timeout=30)[0]
        wrong = lab.api().totals()["wrong_colour_flows"]
        lab.scripts_lab("down")
    print(
        f"load: {re.search('Requests/sec: *(.*)', report)[1]} requests a second; wrong_colour_flows {wrong}"
    )
    if "Socket errors" in report or "Non-2xx" in report or wrong:
        sys.exit(f"bench: the load saw errors:\n{report}")
