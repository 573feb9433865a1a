# SPDX-License-Identifier: Apache-2.0
"""Plots packets a second, and cycles a packet, over the number of flows: PNG files by gnuplot."""
import pathlib

from cases import CASES
from machine import run

COLOURS = {
    "teal": "#00897b",
    "macswap": "#9e9e9e",
    "5tswap": "#bdbdbd",
    "ovs": "#e65100",
    "ovs-no-emc": "#ffb74d",
}
COLOURS |= {"nftables": "#4a148c", "nftables-2": "#9575cd"}
NAMES = {"teal": "Teal", "macswap": "testpmd macswap (the limit)", "5tswap": "testpmd 5tswap"}

HEAD = """set terminal pngcairo size 1000,620 font "sans,12"
set output "{out}"
set title "{title}"
set xlabel "flows (1 Mi flows are replayed out of a table of 10 Mi at the last point)"
set ylabel "{ylabel}"
set logscale xy
set xtics ("1,000" 1000, "64 Ki" 65536, "1 Mi" 1048576, "10 Mi" 10485760)
set xrange [700:16e6]
set grid
set key outside right
"""


def series(results, titles):
    """Returns {who: (title, [(flows, packets a second)])}."""
    lines = {}
    points = [case for case in CASES if case.plotted and case.name in results["cases"]]
    for who in ("teal", "macswap", "5tswap"):
        rates = [(case.flows_held, results["cases"][case.name][who]["median"]) for case in points]
        lines[who] = (NAMES[who], rates)
    for peer, measured in results["peers"].items():
        rates = [(case.flows_held, measured[case.name]["median"]) for case in points if case.name in measured]
        lines[peer] = (titles[peer], rates)
    return {who: line for who, line in lines.items() if line[1]}


def plot(lines, scale, out, title, ylabel):
    script = HEAD.format(out=out, title=title, ylabel=ylabel)
    blocks, parts = [], []
    for number, (who, (name, rates)) in enumerate(lines.items()):
        rows = "\n".join(f"{flows} {scale(rate):.4f}" for flows, rate in rates)
        blocks.append(f"$line{number} << END\n{rows}\nEND\n")
        look = f'with linespoints lw 2 pt 7 lc rgb "{COLOURS[who]}" title "{name}"'
        parts.append(f"$line{number} using 1:2 {look}")
    run("gnuplot", stdin=script + "".join(blocks) + "plot " + ", ".join(parts) + "\n")


def draw(results, titles, directory):
    """Returns the files that were written."""
    lines = series(results, titles)
    if "teal" not in lines or len(lines["teal"][1]) < 2:
        return []
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    packets, cycles = directory / "packets-over-flows.png", directory / "cycles-over-flows.png"
    tsc_hz = results["machine"]["tsc_ghz"] * 1e9
    plot(
        lines,
        lambda rate: rate / 1e6,
        packets,
        "Established UDP, 64-byte frames, one core",
        "million packets a second",
    )
    plot(
        lines,
        lambda rate: tsc_hz / rate,
        cycles,
        "Established UDP, 64-byte frames, one core",
        "cycles a packet",
    )
    return [packets, cycles]
