package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.layout.HalfFloats;
import java.util.Arrays;
import java.util.Random;
import java.util.function.IntUnaryOperator;

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

    /** The place of bit b of code i of a block. */
    private static int codeBit(GgufType type, int i, int b) {
        int nibble = i % 16 * 8 + (i < 16 ? 0 : 4);
        return switch (type) {
            case Q4_0 -> 8 * 2 + nibble + b;
            case Q4_1 -> 8 * 4 + nibble + b;
            case Q5_0 -> b == 4 ? 8 * 2 + i : 8 * 6 + nibble + b;
            case Q5_1 -> b == 4 ? 8 * 4 + i : 8 * 8 + nibble + b;
            case Q8_0 -> 8 * (2 + i) + b;
            case Q4_K -> 8 * (16 + 32 * (i / 64) + i % 32) + 4 * (i / 32 % 2) + b;
            case Q5_K -> b == 4 ? 8 * (16 + i % 32) + i / 32 : 8 * (48 + 32 * (i / 64) + i % 32) + 4 * (i / 32 % 2) + b;
            case Q6_K -> b < 4 ? 8 * (64 * (i / 128) + i % 64) + 4 * (i % 128 / 64) + b
                    : 8 * (128 + 32 * (i / 128) + i % 32) + 2 * (i % 128 / 32) + b - 4;
            default -> throw new IllegalArgumentException("" + type);
        };
    }

    private static int codeBits(GgufType type) {
        return switch (type) {
            case Q8_0 -> 8;
            case Q6_K -> 6;
            case Q5_0, Q5_1, Q5_K -> 5;
            default -> 4;
        };
    }

    /** The place of bit b of the six of a group's scale, or of its minimum, in Q4_K and Q5_K. */
    private static int factorBit(int group, boolean minimum, int b) {
        if (group < 4) {
            return 8 * (4 + group + (minimum ? 4 : 0)) + b;
        }
        return b < 4 ? 8 * (8 + group) + (minimum ? 4 : 0) + b : 8 * (group + (minimum ? 4 : 0)) + 2 + b;
    }

    private static int bits(byte[] block, int count, IntUnaryOperator place) {
        int value = 0;
        for (int b = 0; b < count; b++) {
            int bit = place.applyAsInt(b);
            value |= (block[bit / 8] >> bit % 8 & 1) << b;
        }
        return value;
    }

    private static void set(byte[] block, int value, int count, IntUnaryOperator place) {
        for (int b = 0; b < count; b++) {
            int bit = place.applyAsInt(b);
            block[bit / 8] = (byte) (block[bit / 8] & ~(1 << bit % 8) | (value >> b & 1) << bit % 8);
        }
    }

    private static float half(byte[] block, int at) {
        return HalfFloats.fromFp16((short) bits(block, 16, b -> 8 * at + b));
    }

    private static Element element(GgufType type, byte[] block, int i) {
        int code = bits(block, codeBits(type), b -> codeBit(type, i, b));
        return switch (type) {
            case Q4_0 -> new Element(code, 8, half(block, 0), 0);
            case Q5_0 -> new Element(code, 16, half(block, 0), 0);
            case Q4_1, Q5_1 -> new Element(code, 0, half(block, 0), half(block, 2));
            case Q8_0 -> new Element((byte) code, 0, half(block, 0), 0);
            case Q4_K, Q5_K -> new Element(code, 0, half(block, 0) * bits(block, 6, b -> factorBit(i / 32, false, b)),
                    -(half(block, 2) * bits(block, 6, b -> factorBit(i / 32, true, b))));
            case Q6_K -> new Element(code, 32, half(block, 208) * block[192 + i / 16], 0);
            default -> throw new IllegalArgumentException("" + type);
        };
    }

    /** Element i of a row of blocks. */
    public static Element ofRow(GgufType type, byte[] row, long i) {
        byte[] block = new byte[type.blockBytes()];
        System.arraycopy(row, (int) (i / type.blockElements()) * block.length, block, 0, block.length);
        return element(type, block, (int) (i % type.blockElements()));
    }

    /** The numbers of rows of blocks. */
    public static float[] values(GgufType type, byte[] rows) {
        float[] values = new float[rows.length / type.blockBytes() * type.blockElements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) ofRow(type, rows, i).value();
        }
        return values;
    }

    /** Blocks that stand for these numbers, to about the nearest. */
    public static byte[] quantized(GgufType type, float[] values) {
        byte[] rows = new byte[values.length / type.blockElements() * type.blockBytes()];
        for (int at = 0; at < values.length; at += type.blockElements()) {
            byte[] block = new byte[type.blockBytes()];
            float[] numbers = Arrays.copyOfRange(values, at, at + type.blockElements());
            parameters(type, block, numbers);
            for (int i = 0; i < numbers.length; i++) {
                Element element = element(type, block, i);
                int bits = codeBits(type);
                long code = element.middle + (element.scale == 0 ? 0 : Math.round((numbers[i] - element.minimum) / element.scale));
                int least = type == GgufType.Q8_0 ? -128 : 0;
                int value = (int) Math.max(least, Math.min(least + (1 << bits) - 1, code));
                int place = i;
                set(block, value, bits, b -> codeBit(type, place, b));
            }
            System.arraycopy(block, 0, rows, at / type.blockElements() * block.length, block.length);
        }
        return rows;
    }

    private static void parameters(GgufType type, byte[] block, float[] numbers) {
        int most = (1 << codeBits(type)) - 1;
        switch (type) {
            case Q4_0, Q5_0 -> put(block, 0, extreme(numbers, 0, 32) / -(most / 2 + 1));
            case Q8_0 -> put(block, 0, Math.abs(extreme(numbers, 0, 32)) / 127);
            case Q4_1, Q5_1 -> {
                put(block, 0, (most(numbers, 0, 32) - least(numbers, 0, 32)) / most);
                put(block, 2, least(numbers, 0, 32));
            }
            case Q6_K -> {
                float[] scales = new float[16];
                for (int group = 0; group < 16; group++) {
                    scales[group] = extreme(numbers, 16 * group, 16) / -32;
                }
                put(block, 208, Math.abs(extreme(scales, 0, 16)) / 127);
                for (int group = 0; group < 16; group++) {
                    block[192 + group] = (byte) Math.round(scales[group] / half(block, 208));
                }
            }
            default -> {
                float[] scales = new float[8];
                float[] minima = new float[8];
                for (int group = 0; group < 8; group++) {
                    minima[group] = -Math.min(0, least(numbers, 32 * group, 32));
                    scales[group] = (most(numbers, 32 * group, 32) + minima[group]) / most;
                }
                put(block, 0, most(scales, 0, 8) / 63);
                put(block, 2, most(minima, 0, 8) / 63);
                for (int group = 0; group < 8; group++) {
                    int place = group;
                    set(block, Math.round(scales[group] / half(block, 0)), 6, b -> factorBit(place, false, b));
                    set(block, Math.round(minima[group] / half(block, 2)), 6, b -> factorBit(place, true, b));
                }
            }
        }
    }

    private static float most(float[] numbers, int from, int count) {
        float most = numbers[from];
        for (int i = from; i < from + count; i++) {
            most = Math.max(most, numbers[i]);
        }
        return most;
    }

    private static float least(float[] numbers, int from, int count) {
        float least = numbers[from];
        for (int i = from; i < from + count; i++) {
            least = Math.min(least, numbers[i]);
        }
        return least;
    }

    /** The number farthest from 0, with its sign. */
    private static float extreme(float[] numbers, int from, int count) {
        float most = most(numbers, from, count);
        float least = least(numbers, from, count);
        return most > -least ? most : least;
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
