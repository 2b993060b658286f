package io.github.jmarlin.cpu;

import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * Splits the words of a tile into the codes they hold, as floats. Every kind of code is an integer here, counted from its middle: 4-bit
 * floats as twice their value, -12..12, so that their {@linkplain #unit unit} is a half.
 *
 * <p>NOTES: conversion from int to float stays scalar with the C2 of JDK 17, hence the detour: an integer's bits under the exponent of
 * 2^23 are the float 2^23 + q, and a bulk copy through a byte buffer turns an int's bits into a float.
 */
final class TileCodes {
    /** Codes of four rows of a pair of columns. */
    static final int CODES = 8;

    private static final int PAIRS = TileWords.PAIRS;
    /** The bits of the float 2^23, whose mantissa counts ones. */
    private static final int EXPONENT = 0x4b000000;
    /** Twice the largest 4-bit float. */
    private static final int FLOAT_MIDDLE = 12;

    private final WeightForm.Code code;
    private final int middle;
    private final int[] bits = new int[CODES * PAIRS];
    private final IntBuffer bitsOut;
    private final FloatBuffer floatsIn;

    /** @param middle see {@link TileScales#middle} */
    TileCodes(WeightForm.Code code, int middle) {
        this.code = code;
        this.middle = middle;
        ByteBuffer pun = ByteBuffer.allocate(bits.length * Integer.BYTES).order(ByteOrder.nativeOrder());
        bitsOut = pun.asIntBuffer();
        floatsIn = pun.asFloatBuffer();
    }

    /** What a decoded code has too much. */
    float zero() {
        return 0x1p23f + (code == WeightForm.Code.E2M1 ? FLOAT_MIDDLE : middle);
    }

    /** What a code one above the middle is worth before its scale. */
    static double unit(WeightForm.Code code) {
        return code == WeightForm.Code.E2M1 ? 0.5 : 1;
    }

    /**
     * Decodes the codes of a row of words.
     *
     * @param codes codes plus {@link #zero}, {@code [4 h + 2 e + p][pair]}
     */
    void decode(TileWords words, int wordRow, float[][] codes) {
        switch (code) {
            case INT4 -> splitNibbles(words.row(wordRow), bits);
            case E2M1 -> splitFloats(words.row(wordRow), bits);
            case INT8 -> {
                splitBytes(words.row(wordRow, 0), 0, bits);
                splitBytes(words.row(wordRow, 1), 1, bits);
            }
        }
        bitsOut.put(0, bits);
        for (int i = 0; i < CODES; i++) {
            floatsIn.get(i * PAIRS, codes[i]);
        }
    }

    /** Bits 16 e + 8 p + 4 h of the words go to part 4 h + 2 e + p. */
    private static void splitNibbles(int[] words, int[] bits) {
        for (int x = 0; x < PAIRS; x++) {
            int word = words[x];
            bits[x] = word & 15 | EXPONENT;
            bits[x + PAIRS] = word >>> 8 & 15 | EXPONENT;
            bits[x + 2 * PAIRS] = word >>> 16 & 15 | EXPONENT;
            bits[x + 3 * PAIRS] = word >>> 24 & 15 | EXPONENT;
            bits[x + 4 * PAIRS] = word >>> 4 & 15 | EXPONENT;
            bits[x + 5 * PAIRS] = word >>> 12 & 15 | EXPONENT;
            bits[x + 6 * PAIRS] = word >>> 20 & 15 | EXPONENT;
            bits[x + 7 * PAIRS] = word >>> 28 & 15 | EXPONENT;
        }
    }

    /** Byte 2 e + h of the words of p goes to part 4 h + 2 e + p. */
    private static void splitBytes(int[] words, int p, int[] bits) {
        int part = p * PAIRS;
        for (int x = 0; x < PAIRS; x++) {
            int word = words[x];
            bits[x + part] = word & 255 | EXPONENT;
            bits[x + part + 2 * PAIRS] = word >>> 16 & 255 | EXPONENT;
            bits[x + part + 4 * PAIRS] = word >>> 8 & 255 | EXPONENT;
            bits[x + part + 6 * PAIRS] = word >>> 24 | EXPONENT;
        }
    }

    /** Magnitude i = 2 p + h of half e at bit 16 e + 3 i, its sign at bit 13, 12, 14, 15 of the half. */
    private static void splitFloats(int[] words, int[] bits) {
        for (int x = 0; x < PAIRS; x++) {
            int word = words[x];
            bits[x] = twice(word, word >>> 13) | EXPONENT;
            bits[x + PAIRS] = twice(word >>> 6, word >>> 14) | EXPONENT;
            bits[x + 2 * PAIRS] = twice(word >>> 16, word >>> 29) | EXPONENT;
            bits[x + 3 * PAIRS] = twice(word >>> 22, word >>> 30) | EXPONENT;
            bits[x + 4 * PAIRS] = twice(word >>> 3, word >>> 12) | EXPONENT;
            bits[x + 5 * PAIRS] = twice(word >>> 9, word >>> 15) | EXPONENT;
            bits[x + 6 * PAIRS] = twice(word >>> 19, word >>> 28) | EXPONENT;
            bits[x + 7 * PAIRS] = twice(word >>> 25, word >>> 31) | EXPONENT;
        }
    }

    /**
     * Twice a 4-bit float, from its middle on: magnitudes 0 to 7 are 0, 1, 2, 3, 4, 6, 8, 12, a mantissa bit of which counts once more
     * with every exponent from 4 on.
     */
    private static int twice(int magnitude, int sign) {
        int m = magnitude & 7;
        int doubled = m + (m >>> 2) * ((m & 3) + 2 * (m & m >>> 1 & 1));
        return FLOAT_MIDDLE + doubled * (1 - 2 * (sign & 1));
    }
}
