"""
A model of one of the four schedulers of an SM: the clocks that warps take for their turns if memory keeps up.

What an instruction's encoding says is taken from there: the stall count to the next one, the scoreboard barriers. Parameters are the
rates of the pipes and the latencies that vary. All four schedulers are assumed to do the same, so a pass of shared memory takes four
clocks of a scheduler's share of the port.
"""
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from sass import NO_BARRIER

_ALU = ("LOP3", "SHF", "IADD3", "ISETP", "SEL", "IMNMX", "PRMT", "LEA", "MOV", "VIADD", "VIMNMX", "PLOP3", "IABS", "BMSK", "SGXT", "P2R",
        "R2P", "FSETP")
_KINDS = (("HGMMA", "wgmma"), ("HMMA", "mma"), ("WARPGROUP.DEPBAR", "wgmma wait"), (("LDSM", "LDS"), "shared load"),
          ("LDGSTS", "copy"), ("LDC", "constant"), ("SYNCS", "mbarrier"), ("BAR", "barrier"), (("HFMA2", "HADD2", "HMUL2"), "half2"),
          ("IMAD", "imad"), ("BRX", "indirect branch"), (("BRA", "CALL", "BSYNC"), "branch"), (_ALU, "alu"))
_PIPES = {"mma": "tensor", "alu": "alu", "imad": "imad", "half2": "half2", "shared load": "memory", "copy": "memory",
          "constant": "memory", "mbarrier": "memory", "barrier": "memory"}


@dataclass(frozen=True)
class Machine:
    """Clocks of one scheduler. The rates are the architecture's, the latencies those of public microbenchmarks."""
    name: str
    mma: float                      # an m16n8k16 with fp32 sums
    half2: int
    mma_latency: int = 33
    shared_latency: int = 22
    constant_latency: int = 34
    barrier_latency: int = 24
    mbarrier_latency: int = 20      # a try_wait that finds the phase over
    branch: int = 8                 # taken
    indirect_branch: int = 20
    wgmma_per_column: float = 0.5   # of 64 x N x 16, a warpgroup's four quarters at a time
    least_wgmma: int = 16
    wgmma_latency: int = 32


# mma.sync of 9.0 runs at 62 % of wgmma's rate.
MACHINES = {
    "8.0": Machine("A100", mma=8, half2=1),
    "8.6": Machine("A10, L40S", mma=16, half2=2),
    "8.6 GeForce": Machine("RTX 3090, 4090", mma=32, half2=2),
    "9.0": Machine("H100, H200", mma=6.4, half2=1, mma_latency=32),
}


@dataclass(frozen=True)
class Step:
    """An instruction as the model sees it."""
    kind: str
    stall: int
    sets_when_written: int
    sets_when_read: int
    waits_for: tuple
    taken: bool
    passes: int             # of shared memory
    registers: tuple        # of an mma: the first of its result and of what it adds to
    columns: int            # of a wgmma
    commits: bool           # a wgmma that ends a group
    groups_left: int        # of a wgmma wait

    @staticmethod
    def of(instruction, taken):
        operation, text = instruction.operation, instruction.text
        kind = next((kind for names, kind in _KINDS if operation.startswith(names)), "other")
        if instruction.never and kind != "mma":
            kind = "other"
        operands = re.findall(r"\bR(\d+|Z)", text)
        return Step(kind, instruction.stall, instruction.sets_when_written, instruction.sets_when_read,
                    tuple(b for b in range(6) if instruction.waits_for >> b & 1), taken,
                    4 if "128" in operation or ".4" in operation else 2 if "64" in operation else 1,
                    (operands[0], operands[-1]) if kind == "mma" else (),
                    int(operation.split("x")[1]) if kind == "wgmma" else 0, "gsb0" in text,
                    int(text.rsplit(",", 1)[1], 16) if kind == "wgmma wait" else 0)


@dataclass
class Warp:
    """A warp that takes turns."""
    program: list                   # of Step
    block: int = 0                  # whose barriers it meets
    behind: list = field(default_factory=list)      # (warp, turns): may begin a turn when that one has ended so many more, or fewer
    at: int = 0                     # in the program
    done: int = 0                   # turns
    ready: float = 0
    parked: bool = False            # at a barrier
    barriers: list = field(default_factory=lambda: [0] * 6)
    sums: dict = field(default_factory=dict)
    groups: list = field(default_factory=list)      # when each wgmma group is over

    def may_begin(self):
        return self.at > 0 or all(other.done >= self.done + more for other, more in self.behind)


def replay(warps, machine, turns=48):
    """
    Clocks of a turn of all warps in the long run, and what share of them each pipe is busy. Between two turns of the first warp; what all
    have issued meanwhile says how many turns that were, for one may have gained on another.
    """
    pipes, busy, waiting, marks = defaultdict(float), Counter(), defaultdict(list), []
    clock, last, first = 0, 0, warps[0]
    for i, warp in enumerate(warps):
        warp.ready = i
    while first.done < turns:
        warp, soonest = None, math.inf
        for i in range(len(warps)):
            candidate = warps[(last + i) % len(warps)]
            if candidate.parked or not candidate.may_begin():
                continue
            earliest = _earliest(candidate, pipes)
            if earliest <= clock:
                warp, last = candidate, (last + i) % len(warps)
                break
            soonest = min(soonest, earliest)
        if warp is None:
            if soonest == math.inf:
                raise ValueError("the warps wait for one another")
            clock = math.ceil(soonest)
            continue
        step = warp.program[warp.at]
        busy["issue"] += 1
        _issue(warp, step, clock, machine, pipes, busy)
        if step.kind == "barrier":
            warp.parked = True
            waiting[warp.block].append(warp)
            if len(waiting[warp.block]) == sum(w.block == warp.block for w in warps):
                for other in waiting.pop(warp.block):
                    other.parked = False
                    other.ready = max(other.ready, clock + machine.barrier_latency)
        warp.at += 1
        if warp.at == len(warp.program):
            warp.at, warp.done = 0, warp.done + 1
            if warp is first:
                marks.append((clock, Counter(busy)))
        clock += 1
    (begin, before), (end, after) = marks[len(marks) // 3], marks[-1]
    steps = sum(len(warp.program) for warp in warps)
    clocks = (end - begin) * steps / (after["issue"] - before["issue"])
    return clocks, {pipe: (after[pipe] - before[pipe]) / (end - begin) for pipe in after}


def _earliest(warp, pipes):
    step = warp.program[warp.at]
    earliest = max([warp.ready] + [warp.barriers[b] for b in step.waits_for])
    if step.kind in _PIPES:
        earliest = max(earliest, pipes[_PIPES[step.kind]])
    if step.kind == "mma":
        earliest = max(earliest, warp.sums.get(step.registers[1], 0))
    if step.kind == "wgmma wait" and len(warp.groups) > step.groups_left:
        earliest = max(earliest, warp.groups[-1 - step.groups_left])
    return earliest


def _issue(warp, step, clock, machine, pipes, busy):
    def occupy(pipe, clocks):
        pipes[pipe] = max(pipes[pipe], clock) + clocks
        busy[pipe] += clocks
        return pipes[pipe]

    written, pause = clock + 6, max(1, step.stall)
    if step.kind == "mma":
        occupy("tensor", machine.mma)
        written = clock + machine.mma_latency
        warp.sums[step.registers[0]] = written
    elif step.kind == "wgmma":
        over = occupy("tensor", max(machine.least_wgmma, machine.wgmma_per_column * step.columns)) + machine.wgmma_latency
        if step.commits:
            warp.groups = warp.groups[-3:] + [over]
    elif step.kind in ("alu", "imad"):
        occupy(step.kind, 2)
    elif step.kind == "half2":
        occupy("half2", machine.half2)
    elif step.kind == "shared load":
        occupy("memory", 2)
        written = occupy("shared", 4 * step.passes) + machine.shared_latency
    elif step.kind == "copy":       # its pass over the addresses now; the bytes arrive some time later
        occupy("memory", 4)
        occupy("shared", 4)
        busy["shared"] += 4 * (step.passes - 1)
    elif step.kind == "constant":
        occupy("memory", 2)
        written = clock + machine.constant_latency
    elif step.kind == "mbarrier":
        occupy("memory", 2)
        written = clock + machine.mbarrier_latency
    elif step.kind == "indirect branch":
        pause = max(pause, machine.indirect_branch)
    elif step.kind == "branch" and step.taken:
        pause = max(pause, machine.branch)
    if step.sets_when_written != NO_BARRIER:
        warp.barriers[step.sets_when_written] = max(warp.barriers[step.sets_when_written], written)
    if step.sets_when_read != NO_BARRIER:
        warp.barriers[step.sets_when_read] = max(warp.barriers[step.sets_when_read], clock + 14)
    warp.ready = clock + pause
