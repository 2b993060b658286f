package io.github.jmarlin.checkpoint.container;

import java.util.List;

/**
 * One entry of a safetensors header.
 *
 * @param name the tensor's name, unique in its file
 * @param type element type
 * @param shape row-major, the last dimension contiguous; empty for a scalar
 * @param begin first byte, relative to the start of the file's data
 * @param end first byte behind it
 */
public record TensorInfo(String name, TensorType type, List<Long> shape, long begin, long end) {
    /** Copies the shape. */
    public TensorInfo {
        shape = List.copyOf(shape);
    }

    /** Size in bytes. */
    public long bytes() {
        return end - begin;
    }

    /** Bytes that {@code shape} elements of {@code type} take, or -1 if they fill no whole number of bytes or 2^63 of them. */
    public static long bytes(TensorType type, List<Long> shape) {
        try {
            long bits = type.bits();
            for (long dimension : shape) {
                bits = Math.multiplyExact(bits, dimension);
            }
            return bits % Byte.SIZE == 0 ? bits / Byte.SIZE : -1;
        } catch (ArithmeticException e) {
            return -1;
        }
    }
}
