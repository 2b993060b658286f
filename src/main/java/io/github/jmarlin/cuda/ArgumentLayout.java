package io.github.jmarlin.cuda;

import java.nio.ByteBuffer;
import java.util.stream.IntStream;

/**
 * How a kernel's one argument, a struct, lies in memory: fields one behind the other, each at a multiple of its size, the whole a
 * multiple of 8 bytes.
 *
 * @param fields a letter each: p an address, l a number of 8 bytes, i one of 4, f a float
 */
record ArgumentLayout(String fields) {
    private static int bytes(char field) {
        return switch (field) {
            case 'p', 'l' -> Long.BYTES;
            case 'i', 'f' -> Integer.BYTES;
            default -> throw new IllegalArgumentException("a field of kind " + field);
        };
    }

    private int[] offsets() {
        int[] offsets = new int[fields.length()];
        int end = 0;
        for (int i = 0; i < offsets.length; i++) {
            int bytes = bytes(fields.charAt(i));
            offsets[i] = (end + bytes - 1) / bytes * bytes;
            end = offsets[i] + bytes;
        }
        return offsets;
    }

    int size() {
        int last = fields.length() - 1;
        return (offsets()[last] + bytes(fields.charAt(last)) + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
    }

    /** Size, then the offset of every field in order: as the images publish it. */
    IntStream words() {
        return IntStream.concat(IntStream.of(size()), IntStream.of(offsets()));
    }

    /** Writes the struct. */
    void write(ByteBuffer memory, int at, long[] values) {
        if (values.length != fields.length()) {
            throw new IllegalArgumentException(values.length + " values for the " + fields.length() + " fields " + fields);
        }
        int[] offsets = offsets();
        for (int i = 0; i < values.length; i++) {
            if (bytes(fields.charAt(i)) == Long.BYTES) {
                memory.putLong(at + offsets[i], values[i]);
            } else {
                memory.putInt(at + offsets[i], Math.toIntExact(values[i]));
            }
        }
    }
}
