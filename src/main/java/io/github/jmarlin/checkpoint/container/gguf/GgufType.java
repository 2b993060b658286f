package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.TensorType;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The element types of the GGUF format by their numbers: so many elements of a row to a block of so many bytes. Types that are not
 * here, numbers of the past among them, are unknown sizes, and so are the places of the tensors behind them.
 */
public enum GgufType {
    F32(0, TensorType.F32), F16(1, TensorType.F16),
    Q4_0(2, 32, 18), Q4_1(3, 32, 20), Q5_0(6, 32, 22), Q5_1(7, 32, 24), Q8_0(8, 32, 34), Q8_1(9, 32, 36),
    Q2_K(10, 256, 84), Q3_K(11, 256, 110), Q4_K(12, 256, 144), Q5_K(13, 256, 176), Q6_K(14, 256, 210), Q8_K(15, 256, 292),
    IQ2_XXS(16, 256, 66), IQ2_XS(17, 256, 74), IQ3_XXS(18, 256, 98), IQ1_S(19, 256, 50), IQ4_NL(20, 32, 18), IQ3_S(21, 256, 110),
    IQ2_S(22, 256, 82), IQ4_XS(23, 256, 136),
    I8(24, TensorType.I8), I16(25, TensorType.I16), I32(26, TensorType.I32), I64(27, TensorType.I64), F64(28, TensorType.F64),
    IQ1_M(29, 256, 56), BF16(30, TensorType.BF16), TQ1_0(34, 256, 54), TQ2_0(35, 256, 66), MXFP4(39, 32, 17), NVFP4(40, 64, 36),
    Q1_0(41, 128, 18);

    private static final Map<Integer, GgufType> BY_NUMBER =
            Stream.of(values()).collect(Collectors.toUnmodifiableMap(type -> type.number, Function.identity()));

    private final int number;
    private final int blockElements;
    private final int blockBytes;
    private final TensorType plain;

    GgufType(int number, int blockElements, int blockBytes) {
        this(number, blockElements, blockBytes, null);
    }

    GgufType(int number, TensorType plain) {
        this(number, 1, plain.bits() / Byte.SIZE, plain);
    }

    GgufType(int number, int blockElements, int blockBytes, TensorType plain) {
        this.number = number;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
        this.plain = plain;
    }

    /** The number that stands for it in a file. */
    public int number() {
        return number;
    }

    /** Neighbours of a row that share a block; 1 if every element stands by itself. */
    public int blockElements() {
        return blockElements;
    }

    /** Bytes of a block. */
    public int blockBytes() {
        return blockBytes;
    }

    /** The type that safetensors files have for such elements; null for blocks. */
    public TensorType plain() {
        return plain;
    }

    /** The type of that number, or null. */
    static GgufType of(int number) {
        return BY_NUMBER.get(number);
    }
}
