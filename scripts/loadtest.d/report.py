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
    "blocked_us_per_flip": "the same, a flip, us",
    "adopted_us": "adopted after, us",
    "answer_ms": "answered after, ms",
}


def text_of(value):
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def trial_lines(trials):
    yield f"{'bytes':>6} {'Mpps':>8} {'Gbit/s':>8} {'offered':>14} {'lost':>8}"
    for trial in trials:
        gbits = trial["offered_mpps"] * trial["frame_bytes"] * 8 / 1e3
        yield (
            f"{trial['frame_bytes']:>6} {trial['offered_mpps']:>8.3f} {gbits:>8.3f} {trial['offered']:>14,}"
            f" {trial['lost']:>8,}"
        )


def lines(result):
    yield f"{result['scenario']}: {result['title']}"
    for name, label in LABELS.items():
        if name in result:
            yield f"  {label:<28}{text_of(result[name])}"
    if "established_flows_after" in result:
        after = result["established_flows_after"]
        yield f"  {'then established alone':<28}offered {after['offered']:,}, lost {after['lost']:,}"
    yield from trial_lines(result.get("trials", [])) if "trials" in result else ()
    for sentence in result["violations"]:
        yield f"VIOLATED: {sentence}"
    if not result["violations"]:
        yield "held: nothing lost, no counter moved that should not"
