package io.github.jmarlin.layout;

import io.github.jmarlin.QuantizedMatrix;

/**
 * The striped layout a second time, written from the instruction's side: which element of a 16 x 16 tile each register of each
 * lane of {@code mma.m16n8k16} holds (PTX manual, "Matrix Fragments for mma.m16n8k16"), and which bits of a word become which
 * register. Nothing is shared with {@link StripedLayout}.
 */
final class SlowPacker {
    /** Where a half of a word has the sign of the code of registers a0 to a3; see {@link #floatWord}. */
    private static final int[] SIGN_OF_REGISTER = {13, 12, 14, 15};

    private SlowPacker() {
    }

    /** The code that element {@code half} of register a0 to a3 of a lane is, by the manual; 0 in the padding. */
    private static int code(QuantizedMatrix matrix, int strip, int block, int subBlock, int lane, int step, int register, int half) {
        int tileRow = lane / 4 + (register % 2 == 1 ? 8 : 0);
        int tileColumn = lane % 4 * 2 + half + (register >= 2 ? 8 : 0);
        int n = 64 * strip + 8 * (tileRow % 8) + 2 * subBlock + tileRow / 8;
        int k = 64 * block + 16 * step + tileColumn;
        return n < matrix.n() && k < matrix.k() ? matrix.code(k, n) : 0;
    }

    /**
     * Word {@code [strip][block][subBlock][piece][lane][word]} of packed 8-bit codes: of step 2 piece + word / 2 the registers a0 and a1
     * (w & 0x00ff00ff and the same of w >> 8), or a2 and a3 if the word is odd.
     */
    static int byteWord(QuantizedMatrix matrix, int strip, int block, int subBlock, int piece, int lane, int word) {
        int bits = 0;
        for (int half = 0; half < 2; half++) {
            for (int odd = 0; odd < 2; odd++) {
                int code = code(matrix, strip, block, subBlock, lane, 2 * piece + word / 2, word % 2 * 2 + odd, half);
                bits |= code << Integer.numberOfTrailingZeros(0x00ff << 16 * half) << 8 * odd;
            }
        }
        return bits;
    }

    /**
     * Word {@code [strip][block][subBlock][lane][word]} of packed 4-bit floats, built from what a kernel does with it: register a_i is
     * w << 9 - 3 i at the mask 0x0e000e00, and the bit of the sign brought to the top.
     */
    static int floatWord(QuantizedMatrix matrix, int strip, int block, int subBlock, int lane, int word) {
        int bits = 0;
        for (int register = 0; register < 4; register++) {
            for (int half = 0; half < 2; half++) {
                int code = code(matrix, strip, block, subBlock, lane, word, register, half);
                // Registers a0 to a3 are (h, p) = (0, 0), (1, 0), (0, 1), (1, 1).
                bits |= (code & 7) << 9 >> 9 - 3 * register << 16 * half;
                bits |= code >> 3 << SIGN_OF_REGISTER[register] + 16 * half;
            }
        }
        return bits;
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
