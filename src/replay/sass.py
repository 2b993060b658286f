"""Machine code as `cuobjdump -sass` prints it: instructions with what their encoding says about waiting."""
import re
from dataclasses import dataclass

_FUNCTION = re.compile(r"Function : (\S+)")
_INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;(?:\s*/\* (0x[0-9a-f]{16}) \*/)?")
_SECOND_WORD = re.compile(r"^\s*/\* (0x[0-9a-f]{16}) \*/")
NO_BARRIER = 7


@dataclass(frozen=True)
class Instruction:
    """Bits 105 to 125 of the encoding: clocks to the warp's next instruction, the scoreboard barriers that it sets and waits for."""
    address: int
    text: str
    stall: int
    sets_when_written: int      # barrier 0 to 5, or NO_BARRIER
    sets_when_read: int
    waits_for: int              # a bit per barrier

    @property
    def predicate(self):
        first = self.text.split(None, 1)[0]
        return first if first.startswith("@") else ""

    @property
    def operation(self):
        words = self.text.split()
        return words[1 if self.predicate else 0].rstrip(",") if words else ""

    @property
    def never(self):
        """A predicate that is always false: fillers of the assembler's."""
        return self.predicate in ("@!PT", "@!UPT")


def functions(text):
    """Name to instructions, for every kernel in the text."""
    found, instructions, pending = {}, None, None
    for line in text.splitlines():
        if match := _FUNCTION.search(line):
            instructions = found.setdefault(match.group(1), [])
            pending = None
        elif instructions is not None and (match := _INSTRUCTION.match(line)):
            pending = (int(match.group(1), 16), match.group(2))
        elif pending and (match := _SECOND_WORD.match(line)):
            control = int(match.group(1), 16) >> 41
            instructions.append(Instruction(*pending, control & 15, control >> 5 & 7, control >> 8 & 7, control >> 11 & 63))
            pending = None
    return found
