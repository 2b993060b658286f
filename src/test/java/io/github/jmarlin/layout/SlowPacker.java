package io.github.jmarlin.layout;

import io.github.jmarlin.QuantizedMatrix;

/**
 * The striped layout a second time, written from the instruction's side: which element of a 16 x 16 tile each register of each
 * lane of {@code mma.m16n8k16} holds (PTX manual, "Matrix Fragments for mma.m16n8k16"), and which bits of a word become which
 * register. Nothing is shared with {@link StripedLayout}.
 */
final class SlowPacker {
    private SlowPacker() {
    }

    /** Word {@code [strip][block][subBlock][lane][word]} of the packed codes. */
    static int word(QuantizedMatrix matrix, int strip, int block, int subBlock, int lane, int word) {
        int bits = 0;
        for (int register = 0; register < 4; register++) {
            for (int half = 0; half < 2; half++) {
                // a0, a1: columns 0-7 of the tile, a2, a3: columns 8-15; a0, a2: rows 0-7, a1, a3: rows 8-15.
                int tileRow = lane / 4 + (register % 2 == 1 ? 8 : 0);
                int tileColumn = lane % 4 * 2 + half + (register >= 2 ? 8 : 0);
                int n = 64 * strip + 8 * (tileRow % 8) + 2 * subBlock + tileRow / 8;
                int k = 64 * block + 16 * word + tileColumn;
                int code = n < matrix.n() && k < matrix.k() ? matrix.code(k, n) : 0;
                // Registers 0..3 are w & 0x000f000f, w & 0x00f000f0, and the same of w >> 8; `half` picks the 16-bit half.
                int mask = (register % 2 == 0 ? 0x000f000f : 0x00f000f0) & (half == 0 ? 0x0000ffff : 0xffff0000);
                bits |= code << Integer.numberOfTrailingZeros(mask) << (register >= 2 ? 8 : 0);
            }
        }
        return bits;
    }
}
