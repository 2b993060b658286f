package io.github.jmarlin;

/** Element types of activations, outputs and scales. In buffers they are little-endian. */
public enum DataType {
    /** IEEE binary16: 5 exponent bits, 10 mantissa bits. */
    FP16(2),
    /** bfloat16: the upper half of an IEEE binary32. */
    BF16(2),
    /** IEEE binary32. */
    FP32(4);

    private final int bytes;

    DataType(int bytes) {
        this.bytes = bytes;
    }

    /** Size of one element in bytes. */
    public int bytes() {
        return bytes;
    }

    /** Whether an element takes 16 bits, as scales and the operands of the tensor cores do. */
    public boolean is16Bit() {
        return bytes == 2;
    }
}
