package io.github.jmarlin.checkpoint.format;

/** Eight codes in the bytes of a word, code i in byte i. */
final class Octets {
    private static final long FOURS = 0x00000000ffffffffL;
    private static final long PAIRS = 0x0000ffff0000ffffL;
    private static final long BYTES = 0x00ff00ff00ff00ffL;

    private Octets() {
    }

    /**
     * Turns eight words over: byte i of word j becomes byte j of word i. Squares of 4 x 4 bytes change places, then of 2 x 2, then
     * bytes; each time the bits of one word above the mask's and those of another in it. Written out, so that all stays in registers.
     *
     * @param rows word i goes to {@code rows[i][column]}
     */
    static void transpose(long[] words, long[][] rows, int column) {
        long a = words[0];
        long b = words[1];
        long c = words[2];
        long d = words[3];
        long e = words[4];
        long f = words[5];
        long g = words[6];
        long h = words[7];
        long x;
        x = (a >>> 32 ^ e) & FOURS;
        a ^= x << 32;
        e ^= x;
        x = (b >>> 32 ^ f) & FOURS;
        b ^= x << 32;
        f ^= x;
        x = (c >>> 32 ^ g) & FOURS;
        c ^= x << 32;
        g ^= x;
        x = (d >>> 32 ^ h) & FOURS;
        d ^= x << 32;
        h ^= x;
        x = (a >>> 16 ^ c) & PAIRS;
        a ^= x << 16;
        c ^= x;
        x = (b >>> 16 ^ d) & PAIRS;
        b ^= x << 16;
        d ^= x;
        x = (e >>> 16 ^ g) & PAIRS;
        e ^= x << 16;
        g ^= x;
        x = (f >>> 16 ^ h) & PAIRS;
        f ^= x << 16;
        h ^= x;
        x = (a >>> 8 ^ b) & BYTES;
        a ^= x << 8;
        b ^= x;
        x = (c >>> 8 ^ d) & BYTES;
        c ^= x << 8;
        d ^= x;
        x = (e >>> 8 ^ f) & BYTES;
        e ^= x << 8;
        f ^= x;
        x = (g >>> 8 ^ h) & BYTES;
        g ^= x << 8;
        h ^= x;
        rows[0][column] = a;
        rows[1][column] = b;
        rows[2][column] = c;
        rows[3][column] = d;
        rows[4][column] = e;
        rows[5][column] = f;
        rows[6][column] = g;
        rows[7][column] = h;
    }

    /** Codes below 16 as nibbles, code i in nibble i. */
    static int nibbles(long octet) {
        long pairs = (octet | octet >>> 4) & BYTES;
        long fours = (pairs | pairs >>> 8) & PAIRS;
        return (int) (fours | fours >>> 16);
    }
}
