package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.layout.HalfFloats;
import java.util.Random;

/**
 * The same numbers a second time: one element at a time, every field of a block by the place of its bits, as the format's description
 * lists them. Slow, and with nothing of {@link GgufBlocks}.
 */
public final class SlowBlocks {
    private SlowBlocks() {
    }

    /** Element i of a block: its code as the file has it, the scale, and what is added to {@code (code - middle) * scale}. */
    public record Element(int code, int middle, float scale, float minimum) {
        public double value() {
            return (code - middle) * (double) scale + minimum;
        }
    }

    private static int bits(byte[] block, int firstBit, int count) {
        int value = 0;
        for (int i = 0; i < count; i++) {
            int bit = firstBit + i;
            value |= (block[bit / 8] >> bit % 8 & 1) << i;
        }
        return value;
    }

    private static float half(byte[] block, int at) {
        return HalfFloats.fromFp16((short) bits(block, 8 * at, 16));
    }

    private static Element element(GgufType type, byte[] block, int i) {
        switch (type) {
            case Q4_0:
                return new Element(bits(block, 8 * (2 + i % 16) + (i < 16 ? 0 : 4), 4), 8, half(block, 0), 0);
            case Q4_1:
                return new Element(bits(block, 8 * (4 + i % 16) + (i < 16 ? 0 : 4), 4), 0, half(block, 0), half(block, 2));
            case Q5_0:
                return new Element(bits(block, 8 * (6 + i % 16) + (i < 16 ? 0 : 4), 4) + 16 * bits(block, 8 * 2 + i, 1), 16,
                        half(block, 0), 0);
            case Q5_1:
                return new Element(bits(block, 8 * (8 + i % 16) + (i < 16 ? 0 : 4), 4) + 16 * bits(block, 8 * 4 + i, 1), 0,
                        half(block, 0), half(block, 2));
            case Q8_0:
                return new Element(block[2 + i], 0, half(block, 0), 0);
            case Q4_K, Q5_K: {
                int group = i / 32;
                int scale = group < 4 ? bits(block, 8 * (4 + group), 6)
                        : bits(block, 8 * (8 + group), 4) + 16 * bits(block, 8 * group + 6, 2);
                int least = group < 4 ? bits(block, 8 * (8 + group), 6)
                        : bits(block, 8 * (8 + group) + 4, 4) + 16 * bits(block, 8 * (4 + group) + 6, 2);
                int start = type == GgufType.Q4_K ? 16 : 48;
                int code = bits(block, 8 * (start + 32 * (group / 2) + i % 32) + 4 * (group % 2), 4)
                        + (type == GgufType.Q5_K ? 16 * bits(block, 8 * (16 + i % 32) + group, 1) : 0);
                return new Element(code, 0, half(block, 0) * scale, -(half(block, 2) * least));
            }
            case Q6_K: {
                int inHalf = i % 128;
                int low = bits(block, 8 * (64 * (i / 128) + inHalf % 64) + (inHalf < 64 ? 0 : 4), 4);
                int high = bits(block, 8 * (128 + 32 * (i / 128) + inHalf % 32) + 2 * (inHalf / 32), 2);
                return new Element(low + 16 * high, 32, half(block, 208) * block[192 + i / 16], 0);
            }
            default:
                throw new IllegalArgumentException("" + type);
        }
    }

    /** Element i of a row of blocks. */
    public static Element ofRow(GgufType type, byte[] row, long i) {
        byte[] block = new byte[type.blockBytes()];
        System.arraycopy(row, (int) (i / type.blockElements()) * block.length, block, 0, block.length);
        return element(type, block, (int) (i % type.blockElements()));
    }

    /** Blocks of any bits, but for their fp16 numbers: scales around {@code size}, half of them negative, minima below. */
    public static byte[] random(GgufType type, long elements, float size, Random random) {
        byte[] bytes = new byte[(int) (elements / type.blockElements() * type.blockBytes())];
        random.nextBytes(bytes);
        for (int at = 0; at < bytes.length; at += type.blockBytes()) {
            float sign = random.nextBoolean() ? 1 : -1;
            float scale = sign * size * (0.5f + random.nextFloat());
            switch (type) {
                case Q4_0, Q5_0, Q8_0 -> put(bytes, at, scale);
                case Q4_1, Q5_1 -> {
                    put(bytes, at, scale);
                    put(bytes, at + 2, -8 * scale * random.nextFloat());
                }
                case Q4_K, Q5_K -> {
                    put(bytes, at, Math.abs(scale) / 32);
                    put(bytes, at + 2, Math.abs(scale) / 4);
                }
                case Q6_K -> put(bytes, at + 208, scale / 64);
                default -> throw new IllegalArgumentException("" + type);
            }
        }
        return bytes;
    }

    private static void put(byte[] bytes, int at, float value) {
        short bits = HalfFloats.toFp16(value);
        bytes[at] = (byte) bits;
        bytes[at + 1] = (byte) (bits >> 8);
    }
}
