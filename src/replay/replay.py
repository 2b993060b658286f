#!/usr/bin/env python3
"""
Replays the main loops of the kernels' machine code on a model of an SM's scheduler. README.md says how to run it and what it assumes.

    replay.py [REGEX]     clocks per SM and block of 64 x 64 codes, instructions, busy pipes, of the kernels whose names match
    replay.py --write     rewrites the table that the planner counts with
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


def table(folder):
    rows, names = {}, [machine for machine, _ in COLUMNS]
    for name, machine, _, clocks, _ in replays(folder, lambda name: "_f16_" in name):
        rows.setdefault(name.replace("_f16_", "_"), {})[machine] = f"{clocks:.1f}"
    compilers = {path.read_text() for path in folder.glob("*.ptxas")}
    text = HEADER.format(date=datetime.date.today().isoformat(), compiler="ptxas " + " and ".join(sorted(compilers)),
                         targets=", ".join(sorted({target for _, target in COLUMNS})))
    def line(first, others):
        return f"{first:36}" + "".join(f"{other:>12}" for other in others) + "\n"
    def order(name):
        return [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", name)]
    return text + line("kernel", map(column, names)) + "".join(
        line(name, [rows[name].get(machine, "-") for machine in names]) for name in sorted(rows, key=order))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regex", nargs="?", default="_f16_sym_g64_")
    parser.add_argument("--images", type=Path, default=ROOT / "target/kernels", help="folder of the .cubin files: target/kernels")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--listing", action="store_true", help="also the instructions of each path")
    options = parser.parse_args()
    if options.write:
        written = table(options.images)
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text(written)
        print(f"{TABLE.relative_to(ROOT)}: {len(written.splitlines())} lines")
        return
    for name, machine, steady, clocks, busy in replays(options.images, re.compile(options.regex).search):
        pipes = " ".join(f"{pipe} {100 * share:.0f}%" for pipe, share in sorted(busy.items(), key=lambda pair: -pair[1]))
        print(f"{name:38} {machine:12} {clocks:7.1f} clocks, {steady.instructions:5.1f} instructions; {pipes}")
        for role, listed in steady.paths.items() if options.listing else ():
            print(f"  {role}:")
            for instruction, taken in listed:
                print(f"    {instruction.address:#06x} {instruction.text}{'   <- taken' if taken else ''}")


if __name__ == "__main__":
    main()
