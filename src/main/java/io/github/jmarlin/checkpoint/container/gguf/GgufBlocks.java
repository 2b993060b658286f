package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.layout.HalfFloats;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * How each kind of block holds numbers. All of them are {@code (code - middle) * scale + minimum}, codes unsigned, with a scale, and
 * perhaps a minimum, for every group of neighbours. {@code d}, {@code m} and {@code dmin} are fp16:
 *
 * <pre>
 *   Q4_0   32  d | 16 bytes: byte j = codes j (low), j + 16 (high)                                       (code - 8) d
 *   Q4_1   32  d m | the same                                                                                 code d + m
 *   Q5_0   32  d | u32 of the codes' fifth bits, bit j of code j | as Q4_0                             (code - 16) d
 *   Q5_1   32  d m | u32 | the same                                                                           code d + m
 *   Q8_0   32  d | 32 signed bytes                                                                            byte d
 *   Q4_K  256  d dmin | 12 bytes: s[8], t[8] of 6 bits | 4 x 32 bytes: byte j = codes j, j + 32 of 64 neighbours
 *                                                             code (d s) - dmin t, a group is 32 neighbours
 *   Q5_K  256  d dmin | 12 bytes | 32 bytes: bit g of byte j = fifth bit of code j of group g | as Q4_K
 *   Q6_K  256  128 bytes, 64 bytes, s[16] signed | d          (code - 32) (d s), a group is 16 neighbours
 *              of 128 neighbours in four parts p of 32: low four bits of code j in byte 32 (p % 2) + j of 64, shifted by 4 (p / 2);
 *              high two bits in byte j of 32, shifted by 2 p
 *   s, t       s[i] is the low 6 bits of byte i, t[i] of byte i + 4, i below 4; then, i from 4 on: byte i + 4 has the low four bits of
 *              s[i] (low) and t[i] (high), the two high bits of bytes i - 4 and i theirs
 * </pre>
 * {@link #octet} gives eight codes at a time, a byte for each, as {@link io.github.jmarlin.layout.WeightForm.Code#INT8} wants those of more
 * than four bits: moved to the middle 128 where they have a middle. Q5_K's codes are given times 8, and the scales divided by it, which
 * changes no number: a product that counts codes from 128 would else subtract most of what it adds. (Q5_1's stay as they are: fp16 holds
 * its scales, and not their eighth.)
 */
public enum GgufBlocks {
    Q4_0(GgufType.Q4_0, 4, 32, false) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            return nibbles(bytes, at + 2, octet);
        }
    },
    Q4_1(GgufType.Q4_1, 4, 32, true) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            return nibbles(bytes, at + 4, octet);
        }
    },
    Q5_0(GgufType.Q5_0, 8, 32, false) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            return (nibbles(bytes, at + 6, octet) | spread(bytes[at + 2 + octet]) << 4) + (128 - 16) * ONES;
        }
    },
    Q5_1(GgufType.Q5_1, 8, 32, true) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            return nibbles(bytes, at + 8, octet) | spread(bytes[at + 4 + octet]) << 4;
        }
    },
    Q8_0(GgufType.Q8_0, 8, 32, false) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            return word(bytes, at + 2 + 8 * octet) ^ 128 * ONES;
        }
    },
    Q4_K(GgufType.Q4_K, 4, 32, true) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            return halves(bytes, at + 16, octet);
        }

        @Override
        public void octets(byte[] bytes, int at, long[] octets, int first) {
            for (int quarter = 0; quarter < 4; quarter++) {
                int from = at + 16 + 32 * quarter;
                int to = first + 8 * quarter;
                for (int i = 0; i < 4; i++) {
                    long both = word(bytes, from + 8 * i);
                    octets[to + i] = both & 15 * ONES;
                    octets[to + i + 4] = both >>> 4 & 15 * ONES;
                }
            }
        }

        @Override
        public void parameters(byte[] bytes, int at, float[] scales, float[] minima) {
            float scale = fp16(bytes, at);
            float minimum = fp16(bytes, at + 2);
            long low = word(bytes, at + 4);
            long high = low >>> 2 & 0x30 * ONES;
            int rest = (int) (word(bytes, at + 8) >>> 32);
            for (int group = 0; group < 4; group++) {
                int shift = 8 * group;
                scales[group] = scale * (low >>> shift & 63);
                minima[group] = -(minimum * (low >>> shift + 32 & 63));
                scales[group + 4] = scale * (rest >>> shift & 15 | high >>> shift & 0x30);
                minima[group + 4] = -(minimum * (rest >>> shift + 4 & 15 | high >>> shift + 32 & 0x30));
            }
        }
    },
    Q5_K(GgufType.Q5_K, 8, 32, true) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            long fifth = word(bytes, at + 16 + 8 * (octet % 4)) >>> octet / 4 & ONES;
            return EIGHTFOLD * (halves(bytes, at + 48, octet) | fifth << 4);
        }

        @Override
        public void parameters(byte[] bytes, int at, float[] scales, float[] minima) {
            Q4_K.parameters(bytes, at, scales, minima);
            for (int group = 0; group < 8; group++) {
                scales[group] /= EIGHTFOLD;
            }
        }
    },
    Q6_K(GgufType.Q6_K, 8, 16, false) {
        @Override
        public long octet(byte[] bytes, int at, int octet) {
            int half = octet / 16;
            int part = octet % 16 / 4;
            int j = 8 * (octet % 4);
            long low = word(bytes, at + 64 * half + 32 * (part % 2) + j) >>> 4 * (part / 2) & 15 * ONES;
            long high = word(bytes, at + 128 + 32 * half + j) >>> 2 * part & 3 * ONES;
            return (low | high << 4) + (128 - 32) * ONES;
        }

        @Override
        public void octets(byte[] bytes, int at, long[] octets, int first) {
            for (int half = 0; half < 2; half++) {
                for (int i = 0; i < 4; i++) {
                    long even = word(bytes, at + 64 * half + 8 * i);
                    long odd = word(bytes, at + 64 * half + 32 + 8 * i);
                    long high = word(bytes, at + 128 + 32 * half + 8 * i);
                    int to = first + 16 * half + i;
                    octets[to] = (even & 15 * ONES | (high & 3 * ONES) << 4) + (128 - 32) * ONES;
                    octets[to + 4] = (odd & 15 * ONES | (high >>> 2 & 3 * ONES) << 4) + (128 - 32) * ONES;
                    octets[to + 8] = (even >>> 4 & 15 * ONES | (high >>> 4 & 3 * ONES) << 4) + (128 - 32) * ONES;
                    octets[to + 12] = (odd >>> 4 & 15 * ONES | (high >>> 6 & 3 * ONES) << 4) + (128 - 32) * ONES;
                }
            }
        }

        @Override
        public void parameters(byte[] bytes, int at, float[] scales, float[] minima) {
            float scale = fp16(bytes, at + 208);
            for (int group = 0; group < 16; group++) {
                scales[group] = scale * bytes[at + 192 + group];
            }
        }
    };

    /** What five bits are multiplied with to fill eight, and their scales divided by. */
    private static final int EIGHTFOLD = 8;
    private static final long ONES = 0x0101010101010101L;
    private static final VarHandle WORDS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final GgufType type;
    private final int bits;
    private final int groupSize;
    private final boolean hasMinimum;

    GgufBlocks(GgufType type, int bits, int groupSize, boolean hasMinimum) {
        this.type = type;
        this.bits = bits;
        this.groupSize = groupSize;
        this.hasMinimum = hasMinimum;
    }

    /** How that type holds numbers; null if nobody here knows. */
    public static GgufBlocks of(GgufType type) {
        for (GgufBlocks blocks : values()) {
            if (blocks.type == type) {
                return blocks;
            }
        }
        return null;
    }

    /** The type of the file. */
    public GgufType type() {
        return type;
    }

    /** 4, or 8 for codes of more than 4 bits. */
    public int bits() {
        return bits;
    }

    /** Neighbours that share a scale, and a minimum if there is one. */
    public int groupSize() {
        return groupSize;
    }

    /** Whether numbers are counted from a minimum instead of a middle. */
    public boolean hasMinimum() {
        return hasMinimum;
    }

    /** Whether fp16 holds every scale: not the products of two numbers that K types have. */
    public boolean hasFp16Scales() {
        return type.blockElements() == 32;
    }

    /**
     * Codes {@code [8 octet, 8 octet + 8)} of a block, code i in byte i of the word.
     *
     * @param at the block's first byte
     */
    public abstract long octet(byte[] bytes, int at, int octet);

    /** All codes of a block, as {@link #octet} gives them, from {@code octets[first]} on. */
    public void octets(byte[] bytes, int at, long[] octets, int first) {
        for (int octet = 0; octet < type.blockElements() / 8; octet++) {
            octets[first + octet] = octet(bytes, at, octet);
        }
    }

    /**
     * The scales of a block's groups, and their minima if there are any, exact.
     *
     * @param scales filled, one for each group
     * @param minima filled if {@link #hasMinimum}
     */
    public void parameters(byte[] bytes, int at, float[] scales, float[] minima) {
        scales[0] = fp16(bytes, at);
        if (hasMinimum) {
            minima[0] = fp16(bytes, at + 2);
        }
    }

    /** Groups of a block. */
    public int groups() {
        return type.blockElements() / groupSize;
    }

    /** The numbers of a block, each operation rounded to fp32: {@code scale * (code - middle) + minimum}. */
    void decode(byte[] bytes, int at, float[] values) {
        int middle = hasMinimum ? 0 : bits == 4 ? 8 : 128;
        float[] scales = new float[groups()];
        float[] minima = new float[groups()];
        parameters(bytes, at, scales, minima);
        for (int group = 0; group < groups(); group++) {
            for (int i = group * groupSize; i < (group + 1) * groupSize; i += 8) {
                long codes = octet(bytes, at, i / 8);
                for (int j = 0; j < 8; j++) {
                    values[i + j] = scales[group] * ((int) (codes >>> 8 * j & 0xff) - middle) + minima[group];
                }
            }
        }
    }

    private static long word(byte[] bytes, int at) {
        return (long) WORDS.get(bytes, at);
    }

    private static float fp16(byte[] bytes, int at) {
        return HalfFloats.fromFp16((short) (bytes[at] & 0xff | bytes[at + 1] << 8));
    }

    /** Of 32 codes in 16 bytes. */
    private static long nibbles(byte[] bytes, int at, int octet) {
        return word(bytes, at + 8 * (octet % 2)) >>> 4 * (octet / 2) & 15 * ONES;
    }

    /** Of 256 codes in 128 bytes, 64 in each 32. */
    private static long halves(byte[] bytes, int at, int octet) {
        return word(bytes, at + 32 * (octet / 8) + 8 * (octet % 4)) >>> 4 * (octet % 8 / 4) & 15 * ONES;
    }

    /** Bit i of a byte as byte i of a word. */
    private static long spread(byte bits) {
        long chosen = (bits & 0xff) * ONES & 0x8040201008040201L;
        return ((chosen & 0x7f * ONES) + 0x7f * ONES | chosen) >>> 7 & ONES;
    }
}
