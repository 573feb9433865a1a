# SPDX-License-Identifier: Apache-2.0
"""A result as text."""

LABELS = {
    "generator": "generator",
    "flips": "flips",
    "offered": "offered",
    "received": "received",
    "lost": "lost",
    "wrong_colour_flows": "flows of the wrong colour",
    "new_flows": "flows that began",
    "new_flows_per_second": "new flows a second",
    "seconds": "seconds",
    "offered_mpps": "offered Mpps",
    "blocked_us": "effective blocked time, us",
    "blocked_us_per_flip": "blocked time a flip, us",
    "adopted_us": "adopted after, us",
    "answer_ms": "answered after, ms",
}


def text_of(value):
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def trial_lines(trials):
    yield f"{'bytes':>6} {'rate %':>8} {'Mpps':>8} {'Gbit/s':>8} {'offered':>14} {'lost':>8}"
    for trial in trials:
        gbits = trial["offered_mpps"] * trial["frame_bytes"] * 8 / 1e3
        yield (
            f"{trial['frame_bytes']:>6} {trial.get('rate_percent', ''):>8}"
            f" {trial['offered_mpps']:>8.3f} {gbits:>8.3f} {trial['offered']:>14,} {trial['lost']:>8,}"
        )


def latency_lines(trials):
    times = f"{'min us':>9} {'median':>9} {'p99':>9} {'max':>9}"
    yield f"{'rate %':>8} {'Mpps':>8} {'samples':>8} {times} {'lost':>8}"
    for trial in trials:
        cells = " ".join(f"{trial['latency_us'][name]:>9.1f}" for name in ("min", "median", "p99", "max"))
        head = f"{trial['rate_percent']:>8} {trial['offered_mpps']:>8.3f} {trial['samples']:>8}"
        yield f"{head} {cells} {trial['lost']:>8,}"


def best_lines(trials):
    for trial in trials:
        if not trial["found"]:
            yield f"{trial['frame_bytes']} bytes: packets are lost even at {trial['rate_percent']} %"
            continue
        limited = "; the generator could not offer more" if trial["generator_limited"] else ""
        yield (
            f"{trial['frame_bytes']} bytes: {trial['offered_mpps']:.3f} Mpps without loss at "
            f"{trial['rate_percent']} %{limited}"
        )


def lines(result):
    yield f"{result['scenario']}: {result['title']}"
    for name, label in LABELS.items():
        if name in result:
            yield f"  {label:<28}{text_of(result[name])}"
    if "established_flows_after" in result:
        after = result["established_flows_after"]
        yield f"  {'established flows alone':<28}offered {after['offered']:,}, lost {after['lost']:,}"
    if "trials" in result:
        yield from (latency_lines if "samples" in result["trials"][0] else trial_lines)(result["trials"])
    yield from best_lines(result.get("best", []))
    for sentence in result["violations"]:
        yield f"VIOLATED: {sentence}"
    if not result["violations"]:
        yield "held: no packet was lost, and no unexpected counter moved"
