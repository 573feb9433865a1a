# SPDX-License-Identifier: Apache-2.0
"""The results as text."""

QUIET = 0.97  # below this share of a core, other processes also disturbed the caches


def cell(mpps_summary, width):
    text = f"{mpps_summary['median'] / 1e6:.2f} ±{mpps_summary['spread'] * 50:.0f}%"
    return f"{text:>{width}}"


def case_row(name, case):
    share = case["core_share"]
    marks = [] if share >= QUIET else [f"core {share * 100:.0f} %"]
    if "new_flows" in case:
        marks.append(f"{case['new_flows']['median'] / 1e6:.2f} M flows/s")
    if "of_alone" in case:
        marks.append(f"{case['of_alone']['median']:.2f} x one worker")
    if "of_plain" in case:
        marks.append(f"{case['of_plain']['median']:.2f} x plain")
    return (
        f"{case['title']:<48}{cell(case['teal'], 12)}{case['cycles']:>8.0f}{cell(case['macswap'], 13)}"
        f"{case['of_macswap']['median']:>6.2f}{cell(case['5tswap'], 13)}{case['of_5tswap']['median']:>6.2f}"
        f"  {', '.join(marks)}"
    ).rstrip()


CASE_HEAD = f"{'Mpps':<48}{'Teal':>12}{'cycles':>8}{'macswap':>13}{'of it':>6}{'5tswap':>13}{'of it':>6}"


def peer_rows(results, titles):
    names = [
        name
        for name in ("udp-1k", "udp-64k", "udp-1m", "new")
        if any(name in r for r in results["peers"].values())
    ]
    head = f"{'Mpps; the last in M flows/s':<32}" + "".join(f"{name:>14}" for name in names)
    yield head
    if all(name in results["cases"] for name in names):
        yield f"{'Teal':<32}" + "".join(cell(results["cases"][name]["teal"], 14) for name in names)
    for peer, measured in results["peers"].items():
        cells = [cell(measured[name], 14) if name in measured else f"{'':>14}" for name in names]
        marks = [] if all(case["saturated"] for case in measured.values()) else ["the source was the limit"]
        least = min(case["core_share"] for case in measured.values())
        marks += [] if least >= QUIET else [f"core {least * 100:.0f} %"]
        yield f"{titles[peer]:<32}" + "".join(cells) + ("  " + ", ".join(marks) if marks else "")


def flip_rows(flips):
    yield (
        f"{flips['flips']} flips of 16 services at {flips['mpps']:.2f} Mpps: "
        f"adopted after {flips['median_us']:.1f} us "
        f"(median), {flips['p99_us']:.1f} (p99), {flips['max_us']:.1f} (most); {flips['lost']} packets lost, "
        f"{flips['wrong_colour']} flows of the wrong colour"
    )
    if flips["strange"]:
        yield f"counters that should not have moved: {flips['strange']}"
    if flips["core_share"] < QUIET:
        yield f"the worker had {flips['core_share'] * 100:.0f} % of its core: the tail is the machine's"


def status_row(status):
    return (
        f"1 Mi flows at full load with {status['answers']} status requests: "
        f"{status['of_alone']['median']:.3f} of the rate without them "
        f"(±{status['of_alone']['spread'] / 2 * 100:.1f}%); an answer took {status['answer_ms']:.1f} ms "
        f"(median), {status['slowest_ms']:.1f} (most)"
    )


def scale_row(scale):
    return (
        f"a table of {scale['flows'] / 1e6:.0f} million flows: "
        f"{scale['new_seconds']:.1f} s to the first poll with a new table, "
        f"{scale['kept_seconds']:.1f} s with a full one that is kept; "
        f"1 Mi of these flows at {scale['mpps']:.2f} Mpps"
    )


def stage_rows(stages):
    names = list(next(iter(stages.values()))["cycles"])
    yield f"{'cycles a packet, at full load':<32}" + "".join(f"{case:>10}" for case in stages)
    for name in names:
        yield f"{name:<32}" + "".join(f"{stage['cycles'][name]:>10.1f}" for stage in stages.values())
    yield f"{'all':<32}" + "".join(f"{sum(stage['cycles'].values()):>10.1f}" for stage in stages.values())
    for name in ("median", "p99", "p99.9", "most"):
        yield f"{'us from rx to tx, ' + name:<32}" + "".join(
            f"{stage['stay_us'][name]:>10.2f}" for stage in stages.values()
        )


def aim_rows(judged):
    yield f"{'aim':<60}{'must':>9}{'aim':>9}{'measured':>11}"
    for row in judged:
        value = "" if row["value"] is None else f"{row['value']:.2f}{row['unit']}"
        yield f"{row['text']:<60}{row['must']:>9g}{row['aim']:>9g}{value:>11}  {row['verdict']}"


def machine_row(machine):
    return (
        f"{machine['cpu']}, {machine['cores']} cores, TSC {machine['tsc_ghz']:.3f} GHz, "
        f"kernel {machine['kernel']}, DPDK {machine['dpdk']}; medians of {machine['rounds']}, ± is half "
        "of the spread; rates are for a second of one core's time"
    )
