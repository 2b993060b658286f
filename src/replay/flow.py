"""The loops of a kernel and the path that it takes through one turn after turn."""
import re
import sys

TENSOR = ("HMMA", "HGMMA")
# What a turn inside a portion does not do: sums across warps and blocks, results, divisions.
_RARE = ("FADD", "STS", "STG", "ATOM", "MEMBAR.SC", "MEMBAR.ALL.GPU", "RED", "MUFU", "I2F", "F2I")
_BRANCHES = ("BRA", "BRX", "JMP", "EXIT", "RET", "CALL")
# How far behind an indirect branch its targets lie.
_NEAR = 60
sys.setrecursionlimit(100_000)


class Flow:
    """Basic blocks by their first instruction's index, and natural loops: header to body."""

    def __init__(self, code):
        self.code = code
        self._cut()
        self._dominate()
        self.loops = self._find_loops()

    # ---- blocks ----

    def _cut(self):
        index = {instruction.address: i for i, instruction in enumerate(self.code)}
        leaders, after = {0}, {}
        for i, instruction in enumerate(self.code):
            operation = instruction.operation
            if not operation.startswith(_BRANCHES):
                continue
            conditional = bool(instruction.predicate)
            targets = []
            if operation.startswith("BRA"):
                address = re.search(r"0x([0-9a-f]+)", instruction.text.split("BRA", 1)[1])
                targets = [index[int(address.group(1), 16)]]
                # A second predicate is an operand: "BRA P0, 0x...".
                conditional |= ".DIV" in operation or re.search(r"BRA\S*\s+!?U?P\d", instruction.text) is not None
            elif operation.startswith("CALL"):
                conditional = True
            elif operation.startswith("BRX"):
                targets, conditional = ["anywhere near"], False
            leaders.update(t for t in targets if t != "anywhere near")
            if i + 1 < len(self.code):
                leaders.add(i + 1)
            after[i] = targets + ([i + 1] if conditional and i + 1 < len(self.code) else [])
        starts = sorted(leaders)
        ends = starts[1:] + [len(self.code)]
        reached = {t for targets in after.values() for t in targets}
        self.blocks, self.after = {}, {}
        for start, end in zip(starts, ends):
            self.blocks[start] = range(start, end)
            last = end - 1
            successors = after.get(last, [end] if end < len(self.code) else [])
            if "anywhere near" in successors:       # an indirect branch: the blocks behind it that nothing else leads to
                successors = [s for s in starts if last < s <= last + _NEAR and s not in reached and s - 1 in after]
            self.after[start] = successors

    # ---- loops ----

    def _dominate(self):
        postorder, seen, stack = [], {0}, [(0, iter(self.after[0]))]
        while stack:
            block, rest = stack[-1]
            for successor in rest:
                if successor not in seen:
                    seen.add(successor)
                    stack.append((successor, iter(self.after[successor])))
                    break
            else:
                postorder.append(block)
                stack.pop()
        order = postorder[::-1]
        self.rank = {block: i for i, block in enumerate(order)}
        self.before = {block: [] for block in order}
        for block in order:
            for successor in self.after[block]:
                self.before[successor].append(block)
        self.dominator, changed = {0: 0}, True
        while changed:
            changed = False
            for block in order[1:]:
                known = [b for b in self.before[block] if b in self.dominator]
                nearest = known[0]
                for other in known[1:]:
                    while nearest != other:
                        if self.rank[nearest] > self.rank[other]:
                            nearest = self.dominator[nearest]
                        else:
                            other = self.dominator[other]
                if self.dominator.get(block) != nearest:
                    self.dominator[block] = nearest
                    changed = True

    def _dominates(self, one, other):
        while other != one and other != self.dominator[other]:
            other = self.dominator[other]
        return other == one

    def _find_loops(self):
        loops = {}
        for block in self.rank:
            for header in self.after[block]:
                if not self._dominates(header, block):
                    continue
                body, stack = loops.setdefault(header, {header}), [block]
                while stack:
                    inner = stack.pop()
                    if inner not in body:
                        body.add(inner)
                        stack += self.before[inner]
        return loops

    def children(self, header):
        """Loops directly inside a loop, or inside the kernel for None."""
        inside = [h for h in self.loops if h != header and (header is None or h in self.loops[header])]
        return [h for h in inside if not any(o != h and h in self.loops[o] for o in inside)]

    def count(self, blocks, operations):
        return sum(self.code[i].operation.startswith(operations) for block in blocks for i in self.blocks[block])

    # ---- paths ----

    def _weight(self, block, most):
        def count(operations):
            return self.count([block], operations)
        return count(TENSOR), -count(_RARE), count(most), -len(self.blocks[block])

    def turn(self, header, most=(), without=()):
        """
        One turn of a loop, inner loops once: of all ways from its header back to it the one with the most tensor instructions, then the
        fewest rare ones, then the most of the operations `most`, then the fewest instructions. `without`: blocks that it avoids. Empty if
        there is none.
        """
        body, known = self.loops[header], {}

        def best_from(block):
            if block not in known:
                best = None
                for successor in self.after[block]:
                    if successor == header:
                        rest = ((0, 0, 0, 0), [])
                    elif successor in body and self.rank[successor] > self.rank[block] and successor not in without:
                        rest = best_from(successor)
                    else:
                        rest = None
                    if rest is not None and (best is None or rest[0] > best[0]):
                        best = rest
                known[block] = best and (tuple(a + b for a, b in zip(self._weight(block, most), best[0])), [block] + best[1])
            return known[block]

        best = best_from(header)
        return best[1] if best else []

    def repeated(self, path, header, times, most):
        """A path with further turns of the inner loop that it enters at `header`, so that there are `times` of them."""
        at = path.index(header)
        return path[:at] + self.turn(header, most) * (times - 1) + path[at:]

    def instructions(self, path):
        """(instruction, whether it is a branch that is taken) along a path that begins anew at its end."""
        listed = []
        for block, following in zip(path, path[1:] + path[:1]):
            indices = self.blocks[block]
            listed += [(self.code[i], i == indices[-1] and following != i + 1) for i in indices]
        return listed
