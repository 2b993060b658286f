#!/usr/bin/env python3
"""
Replays the main loops of the kernels' machine code on a model of an SM's scheduler. README.md says how to run it and what it assumes.

    replay.py [REGEX]     clocks per SM and block of 64 x 64 codes, instructions, busy pipes, of the kernels whose names match
    replay.py --write     rewrites the table that the planner counts with, and the one in docs/kernel-costs.md
"""
import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kernels
import sass
import scheduler

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "src/main/resources/io/github/jmarlin/plan/loop-clocks.txt"
# Capability and m16n8k16 per clock and SM name a column of the table.
COLUMNS = [("8.0", "sm_80"), ("8.6", "sm_86"), ("8.6 GeForce", "sm_86"), ("9.0", "sm_90a")]
DOCUMENT = ROOT / "docs/kernel-costs.md"
BLOCK = re.compile(r"(?s)(<!-- replay.py --write: (\w+) -->\n).*?(<!-- end of replay.py --write -->\n)")
HEADER = """\
# Clocks that an SM takes for a block of 64 x 64 codes and a batch tile inside a tile, if memory keeps up; "-" where a family does not run.
# Replayed from machine code, not measured. Written by src/replay/replay.py --write, which its README.md explains, on {date}
# from {compiler}'s code for {targets}. fp16 and bf16 have the same.
#
# A column: compute capability, and m16n8k16 with fp32 sums per clock and SM (half of it on GeForce).
"""


def listing(image):
    """Kernel names to instructions, of a cubin."""
    program = os.environ.get("CUOBJDUMP") or shutil.which("cuobjdump")
    if not program:
        sys.exit("no cuobjdump in the path, and CUOBJDUMP does not name one: README.md says where it is from")
    text = subprocess.run([program, "-sass", image], check=True, capture_output=True, text=True).stdout
    return sass.functions(text)


def images(folder, target):
    found = sorted(p for p in folder.glob(f"*.{target}.cubin") if p.name.startswith(("striped_", "hopper_")))
    if not found:
        sys.exit(f"no {target} machine code in {folder}: mvn -q compile -Djmarlin.targets={','.join(sorted({t for _, t in COLUMNS}))}")
    return found


def replays(folder, wanted):
    """(kernel, machine, steady state, clocks per block, busy pipes) of every kernel that `wanted` accepts, column by column."""
    for machine, target in COLUMNS:
        for image in images(folder, target):
            for name, code in sorted(listing(image).items()):
                if wanted(name):
                    steady = kernels.steady(name, code)
                    clocks, busy = scheduler.replay(steady.warps, scheduler.MACHINES[machine])
                    yield name, machine, steady, clocks / steady.blocks, busy


def column(machine):
    return f"{machine.split()[0]}@{4 / scheduler.MACHINES[machine].mma:g}"


def order(name):
    return [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", name)]


def table(folder, found):
    rows, names = {}, [machine for machine, _ in COLUMNS]
    for name, machine, _, clocks, _ in found:
        rows.setdefault(name.replace("_f16_", "_"), {})[machine] = f"{clocks:.1f}"
    compilers = {path.read_text() for path in folder.glob("*.ptxas")}
    text = HEADER.format(date=datetime.date.today().isoformat(), compiler="ptxas " + " and ".join(sorted(compilers)),
                         targets=", ".join(sorted({target for _, target in COLUMNS})))
    def line(first, others):
        return f"{first:36}" + "".join(f"{other:>12}" for other in others) + "\n"
    return text + line("kernel", map(column, names)) + "".join(
        line(name, [rows[name].get(machine, "-") for machine in names]) for name in sorted(rows, key=order))


def document(found):
    """Of symmetric weights in groups of 64 and more: a row for each tile, in halves too, the first of the Hopper kernel's schedules."""
    rows, names = {}, [machine for machine, _ in COLUMNS]
    for name, machine, steady, clocks, _ in found:
        if match := re.fullmatch(r"(\w+?)_f16_sym_g64_m(\d+)_n(\d+)(_p\d_s\d|_h2)?", name):
            row = rows.setdefault((match[1], int(match[2]), int(match[3]), " in halves" if match[4] == "_h2" else ""), {})
            row.setdefault(machine, (match[4], steady, clocks))
    text = ("| kernel, tile m x n | instructions per block | tensor | half2 | copies | predicates, branches | "
            + " | ".join(scheduler.MACHINES[name].name for name in names) + " |\n" + "|---" * (6 + len(names)) + "|\n")
    for (family, m, n, halves), row in sorted(rows.items(), key=lambda item: (item[0][0] == "hopper", item[0])):
        _, steady, _ = next(iter(row.values()))
        counts = " | ".join(f"{value:.0f}" for value in (steady.warp_instructions, *steady.classes()))
        cells = " | ".join(f"{row[name][2]:.0f}" if name in row else "" for name in names)
        text += f"| {family} {m}x{n}{halves} | {counts} | {cells} |\n"
    return text


# How many rows of scales, or of scales and offsets, a block has; bytes of its codes.
SCALE_ROWS = {"g128": 1, "g64": 1, "g32": 2, "g16": 4}
CODE_BYTES = {"i8": 4096, "i8zp": 4096, "i8fz": 4096, "sp24": 3072}


def numbers(found):
    """A row for each kind of weights, in a tile that all have."""
    rows, names = {}, [machine for machine, _ in COLUMNS]
    for name, machine, steady, clocks, _ in found:
        if match := re.fullmatch(r"striped_f16_(\w+)_(g\d+)_m32_n256", name):
            rows.setdefault((match[1], match[2]), {})[machine] = (steady, clocks)
    text = ("| weights | bytes per block | instructions per block | half2 | all that unpacks, per 8 codes | "
            + " | ".join(scheduler.MACHINES[name].name for name in names) + " |\n" + "|---" * (5 + len(names)) + "|\n")
    for (tag, group), row in sorted(rows.items()):
        steady, _ = next(iter(row.values()))
        scale_rows = 2 if (tag, group) == ("sp24", "g64") else SCALE_ROWS[group]
        size = CODE_BYTES.get(tag, 2048) + 128 * scale_rows * (2 if tag.endswith(("zp", "fz")) else 1)
        cells = " | ".join(f"{row[name][1]:.0f}" if name in row else "" for name in names)
        text += (f"| {tag}_{group} | {size} | {steady.warp_instructions:.0f} | {steady.classes()[1]:.0f} | {steady.unpacking():.1f} | {cells} |\n")
    return text


def rewritten(text, found):
    tables = {"tiles": document, "numbers": numbers}
    return BLOCK.sub(lambda block: block[1] + tables[block[2]](found) + block[3], text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regex", nargs="?", default="_f16_sym_g64_")
    parser.add_argument("--images", type=Path, default=ROOT / "target/kernels", help="folder of the .cubin files: target/kernels")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--listing", action="store_true", help="also the instructions of each path")
    options = parser.parse_args()
    if options.write:
        found = list(replays(options.images, lambda name: "_f16_" in name))
        TABLE.write_text(table(options.images, found))
        DOCUMENT.write_text(rewritten(DOCUMENT.read_text(), found))
        print(f"{TABLE.relative_to(ROOT)}, {DOCUMENT.relative_to(ROOT)}: {len(found)} replays")
        return
    for name, machine, steady, clocks, busy in replays(options.images, re.compile(options.regex).search):
        pipes = " ".join(f"{pipe} {100 * share:.0f}%" for pipe, share in sorted(busy.items(), key=lambda pair: -pair[1]))
        print(f"{name:38} {machine:12} {clocks:7.1f} clocks, {steady.warp_instructions:5.0f} warp instructions; {pipes}")
        for role, (listed, _) in steady.paths.items() if options.listing else ():
            print(f"  {role}:")
            for instruction, taken in listed:
                print(f"    {instruction.address:#06x} {instruction.text}{'   <- taken' if taken else ''}")


if __name__ == "__main__":
    main()
