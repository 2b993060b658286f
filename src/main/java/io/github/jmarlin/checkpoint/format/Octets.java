package io.github.jmarlin.checkpoint.format;

/** Eight codes in the bytes of a word, code i in byte i. */
final class Octets {
    private Octets() {
    }

    /** Turns eight words over: byte i of word j becomes byte j of word i. Squares of 4 x 4 bytes change places, then of 2 x 2, then bytes. */
    static void transpose(long[] words) {
        for (int i = 0; i < 4; i++) {
            exchange(words, i, i + 4, 32, 0x00000000ffffffffL);
        }
        for (int i = 0; i < 8; i += i % 2 == 0 ? 1 : 3) {
            exchange(words, i, i + 2, 16, 0x0000ffff0000ffffL);
        }
        for (int i = 0; i < 8; i += 2) {
            exchange(words, i, i + 1, 8, 0x00ff00ff00ff00ffL);
        }
    }

    /** The bits of {@code a} above {@code mask}'s and those of {@code b} in it change places. */
    private static void exchange(long[] words, int a, int b, int shift, long mask) {
        long changed = (words[a] >>> shift ^ words[b]) & mask;
        words[a] ^= changed << shift;
        words[b] ^= changed;
    }

    /** Codes below 16 as nibbles, code i in nibble i. */
    static int nibbles(long octet) {
        long pairs = (octet | octet >>> 4) & 0x00ff00ff00ff00ffL;
        long fours = (pairs | pairs >>> 8) & 0x0000ffff0000ffffL;
        return (int) (fours | fours >>> 16);
    }
}
