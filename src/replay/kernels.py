"""Our two kernel families: which warps share a scheduler, and what each does turn after turn."""
import re

from flow import Flow, TENSOR
from scheduler import Step, Warp

_STRIPED = re.compile(r"striped_(?P<instance>\w+)_m(?P<m>\d+)_n(?P<n>\d+)(_h2)?")
_HOPPER = re.compile(r"hopper_(?P<instance>\w+)_m(?P<m>\d+)_n(?P<n>\d+)_p(?P<p>\d)_s(?P<s>\d)")
_WAIT = ("SYNCS.PHASECHK",)
_COPIES = ("LDGSTS", "UBLKCP")
# What hands a slot over: on the path though the way around it is shorter.
_PUBLISH = ("SYNCS.ARRIVE",)
_UNPACKING = ("HFMA2", "HADD2", "HMUL2", "LOP3", "PRMT", "SHF", "IMAD.SHL")
_BRANCHES = ("ISETP", "PLOP", "FSETP", "P2R", "R2P", "VOTE", "BRA", "BRX", "BSSY", "BSYNC", "BREAK", "EXIT", "WARPSYNC", "NOP")
# A thread's share of eight blocks of codes, 16 bytes at a time.
_CODE_COPIES = 4
# Slots of the ring in the replay of the Hopper kernel: enough, whatever a tile has.
_SLOTS = 6


class Steady:
    """
    What one scheduler does while a kernel is inside a tile.

    warps: those of the scheduler
    blocks: blocks of 64 x 64 codes that the SM is through with when the first warp has ended a turn
    paths: by role, (instruction, taken) of a turn; how many of them a block of codes has, for all warps that work on it
    """

    def __init__(self, warps, blocks, paths):
        self.warps, self.blocks, self.paths = warps, blocks, paths

    @property
    def warp_instructions(self):
        return sum(share * len(listed) for listed, share in self.paths.values())

    def count(self, operations):
        """Instructions per block whose names begin so."""
        return sum(share * sum(i.operation.startswith(operations) and not i.never for i, _ in listed) for listed, share in self.paths.values())

    def classes(self):
        """Tensor instructions, half2, copies, predicates and branches per block."""
        return [self.count(kind) for kind in (TENSOR, ("HFMA2", "HADD2", "HMUL2"), _COPIES, _BRANCHES)]

    def unpacking(self):
        """
        What makes weights of codes, per 8 of them, of which a lane has 16 in a block: half2, logic, byte permutations, shifts. Some of the
        logic and shifts are of addresses.
        """
        return self.count(_UNPACKING) / 16


def steady(name, code):
    if match := _STRIPED.fullmatch(name):
        return _striped(name, Flow(code), int(match["m"]))
    if match := _HOPPER.fullmatch(name):
        return _hopper(name, Flow(code), match)
    raise ValueError(f"{name}: neither a striped nor a Hopper kernel")


def _steps(instructions):
    return [Step.of(instruction, taken) for instruction, taken in instructions]


def _striped(name, flow, rows):
    """Two of a block's eight warps; each multiplies blocks of 64 x 64 codes of its own. Of the paths the shortest, the inner stages'."""
    turns = [flow.turn(header) for header in flow.loops]
    path = min((t for t in turns if flow.count(t, TENSOR)), key=lambda t: (-flow.count(t, TENSOR), len(flow.instructions(t))))
    listed = flow.instructions(path)
    each = flow.count(path, TENSOR) / (2 * rows)            # m16n8k16 over 64 x 64 codes and 8 rows are 16
    if flow.count(path, ("LDGSTS",)) < _CODE_COPIES * each:
        raise ValueError(f"{name}: no copies of codes on the path, which is not the one that it takes turn after turn")
    return Steady([Warp(_steps(listed)) for _ in range(2)], 8 * each, {"loop": (listed, 1 / each)})


def _hopper(name, flow, match):
    """A warp of each of the two consumer warpgroups and one of the producer's four; a turn is a stage."""
    rows, columns, neighbours = int(match["m"]), int(match["n"]), int(match["p"])
    slices = 2 if "_sp24_" in name else 1       # of 64 k, of a block's activations
    if re.search("_(i8|i8zp|i8fz|sp24)_", name):        # longer blocks, narrower stages
        stage_columns = 256 if rows <= 64 else 128
    else:
        stage_columns = 512 if rows <= 32 else 256
    depth, strips = stage_columns // columns, columns // 64

    stage = _innermost(name, flow, ("HGMMA",))
    consumer = _with(name, flow, stage, flow.turn(stage, _PUBLISH), "HGMMA", 4 * depth * strips // 2)

    stage = _innermost(name, flow, ("LDGSTS",))
    # ptxas wraps every bulk copy in a loop; one around such a loop is that over the rows of small batches, which go by bulk copies.
    spread = [header for header in flow.children(stage)
              if any(flow.count(flow.loops[inner], ("UBLKCP.S.G",)) for inner in flow.children(header))]
    producer = flow.turn(stage, _COPIES + _PUBLISH, spread)
    # Codes, scales and, where they are loaded, offsets; of two strips a warp brings only some of them, on nearly the same path.
    requests = 3 if re.search(r"_(i8)?(zp|fz)_", name) else 2
    for operation, wanted in (("UBLKCP.S.G", requests), ("UBLKCP.S.S", depth * slices if neighbours == 2 else 0),
                              ("LDGSTS", rows * depth * slices // neighbours // 16)):        # 16 bytes, each of 128 threads
        producer = _with(name, flow, stage, producer, operation, wanted)

    consumed, produced = flow.instructions(consumer), flow.instructions(producer)
    consumers, producing = [Warp(_steps(consumed)), Warp(_steps(consumed))], Warp(_steps(produced))
    for warp in consumers:
        warp.behind.append((producing, 1))
        producing.behind.append((warp, 1 - _SLOTS))
    # A block of codes is the work of four warps, and of all of the producer's.
    share = 4 / (depth * strips)
    return Steady(consumers + [producing], depth * strips, {"consumer": (consumed, 2 * share), "producer": (produced, share)})


def _innermost(name, flow, operations):
    """The loop over stages: the smallest with these operations that waits for a stage's mbarrier."""
    found = [h for h, body in flow.loops.items() if flow.count(body, operations) and flow.count(body, _WAIT)]
    if not found:
        raise ValueError(f"{name}: no loop over stages with {operations}")
    return min(found, key=lambda h: len(flow.loops[h]))


def _with(name, flow, stage, path, operation, wanted):
    """The path with its inner loop repeated until it has as many of an operation as a stage needs."""
    missing = wanted - flow.count(path, (operation,))
    for header in flow.children(stage) if missing else []:
        each = flow.count(flow.turn(header, _COPIES), (operation,)) if header in path else 0
        if each and missing % each == 0 and missing > 0:
            path = flow.repeated(path, header, 1 + missing // each, _COPIES)
            missing = 0
    if missing:
        raise ValueError(f"{name}: a stage has {wanted} {operation}, its path {wanted - missing} and no loop for the others")
    return path
