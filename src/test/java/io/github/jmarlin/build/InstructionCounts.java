package io.github.jmarlin.build;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * What a kernel's machine code for sm_80 or sm_90a consists of, read from the bytes of the ELF file: an instruction has 16, its lowest nine
 * bits say the operation and the three above them the form of its operands.
 *
 * @param tensor HMMA, HGMMA
 * @param half2 HFMA2: dequantization
 * @param ldsm matrix loads
 * @param bar barriers of the thread block
 * @param loop instructions from the first to the last of the main loop: the shortest backward branch over the most tensor instructions
 * @param lds loads from shared memory
 * @param copies LDGSTS, UBLKCP
 * @param brx indirect branches
 * @param head instructions before the first copy, as they lie in memory
 */
record InstructionCounts(int tensor, int half2, int ldsm, int bar, int loop, int lds, int copies, int brx, int head) {
    private static final int BYTES = 16;
    private static final int OPERATION = 0x1ff;
    private static final int HMMA = 0x03c;
    private static final int HGMMA = 0x1f0;
    private static final int HFMA2 = 0x031;
    private static final int LDSM = 0x03b;
    private static final int BAR = 0x11d;
    private static final int LDS = 0x184;
    private static final Set<Integer> COPIES = Set.of(0x1ae, 0x1ba);
    private static final int BRX = 0x149;
    private static final int BRA = 0x147;

    private static final int PROGRAM = 1;       // SHT_PROGBITS
    private static final String TEXT = ".text.";

    /** Kernel names to counts. */
    static SortedMap<String, InstructionCounts> of(Path cubin) throws IOException {
        ByteBuffer elf = ByteBuffer.wrap(Files.readAllBytes(cubin)).order(ByteOrder.LITTLE_ENDIAN);
        boolean hopper = cubin.getFileName().toString().contains(".sm_90");
        int sections = (int) elf.getLong(0x28);
        int size = elf.getShort(0x3a);
        int number = elf.getShort(0x3c) & 0xffff;
        int names = (int) elf.getLong(sections + size * elf.getShort(0x3e) + 0x18);
        SortedMap<String, InstructionCounts> kernels = new TreeMap<>();
        for (int i = 0; i < number; i++) {
            int section = sections + i * size;
            String name = text(elf, names + elf.getInt(section));
            if (name.startsWith(TEXT) && elf.getInt(section + 4) == PROGRAM) {
                ByteBuffer code = elf.slice((int) elf.getLong(section + 0x18), (int) elf.getLong(section + 0x20)).order(elf.order());
                kernels.put(name.substring(TEXT.length()), of(code, hopper));
            }
        }
        return kernels;
    }

    private static String text(ByteBuffer elf, int at) {
        int end = at;
        while (elf.get(end) != 0) {
            end++;
        }
        return new String(elf.array(), at, end - at, StandardCharsets.US_ASCII);
    }

    /** @param hopper whether a branch's lowest byte stands apart, as it does on sm_90a */
    static InstructionCounts of(ByteBuffer code, boolean hopper) {
        int[] operations = IntStream.range(0, code.limit() / BYTES).map(i -> code.getShort(BYTES * i) & OPERATION).toArray();
        int[] tensorsBefore = new int[operations.length + 1];
        for (int i = 0; i < operations.length; i++) {
            tensorsBefore[i + 1] = tensorsBefore[i] + (operations[i] == HMMA || operations[i] == HGMMA ? 1 : 0);
        }
        int most = 0;
        int loop = 0;
        for (int i = 0; i < operations.length; i++) {
            int target = operations[i] == BRA ? i + 1 + branch(code, i, hopper) : i + 1;
            if (target < 0 || target > i) {
                continue;
            }
            int tensors = tensorsBefore[i + 1] - tensorsBefore[target];
            int span = i + 1 - target;
            if (tensors > most || tensors == most && tensors > 0 && span < loop) {
                most = tensors;
                loop = span;
            }
        }
        int head = IntStream.range(0, operations.length).filter(i -> COPIES.contains(operations[i])).findFirst().orElse(operations.length);
        return new InstructionCounts(tensorsBefore[operations.length], count(operations, HFMA2), count(operations, LDSM),
                count(operations, BAR), loop, count(operations, LDS),
                (int) IntStream.of(operations).filter(COPIES::contains).count(), count(operations, BRX), head);
    }

    /** Instructions from the next one to a branch's target: a signed number of words of 4 bytes from bit 34 up. */
    private static int branch(ByteBuffer code, int instruction, boolean hopper) {
        long low = code.getLong(BYTES * instruction);
        long high = code.getLong(BYTES * instruction + 8);
        long words = ((low >>> 34 | (high & 0x3ffff) << 30) << 16) >> 16;
        return (int) ((hopper ? words << 8 | low >>> 16 & 0xff : words) / 4);
    }

    private static int count(int[] operations, int operation) {
        return (int) IntStream.of(operations).filter(o -> o == operation).count();
    }
}
