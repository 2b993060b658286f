package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.MappedFile;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * A list in a GGUF file's metadata, left where it lies: a vocabulary of strings, of which there may be as many as the file is long.
 * Where it ends was checked. Immutable and thread-safe.
 *
 * @param key its key, for messages
 * @param type the number of its elements' type
 * @param count how many elements
 * @param offset byte of the file at which the first one starts
 */
public record GgufArray(MappedFile file, String key, int type, long count, long offset) {
    /** More elements than any list of numbers that is read has. */
    private static final int LONGEST = 1 << 24;

    /** Gives every string to {@code reader}, in order; strings that are no UTF-8 are refused. */
    void strings(Consumer<String> reader) {
        require(GgufHeader.STRING, "a list of strings");
        long at = offset;
        for (long i = 0; i < count; i++) {
            int length = (int) file.slice(at, Long.BYTES).getLong(0);
            reader.accept(text(file, at + Long.BYTES, length, "key " + key + ", element " + i));
            at += Long.BYTES + length;
        }
    }

    /** The elements of a list of 32-bit integers. */
    int[] ints() {
        if (type != GgufHeader.UINT32) {
            require(GgufHeader.INT32, "a list of 32-bit integers");
        }
        int[] values = new int[most(LONGEST)];
        bytes(values.length * Integer.BYTES).asIntBuffer().get(values);
        return values;
    }

    /** The elements of a list of 32-bit floats. */
    float[] floats() {
        require(GgufHeader.FLOAT32, "a list of 32-bit floats");
        float[] values = new float[most(LONGEST)];
        bytes(values.length * Float.BYTES).asFloatBuffer().get(values);
        return values;
    }

    private ByteBuffer bytes(int length) {
        return file.slice(offset, length);
    }

    /** How many, if that is a number of tokens that any model has. */
    int most(int limit) {
        if (count > limit) {
            throw new MalformedCheckpointException(file.path(), "key " + key, count + " elements", "at most " + limit);
        }
        return (int) count;
    }

    private void require(int expected, String what) {
        if (type != expected) {
            throw new MalformedCheckpointException(file.path(), "key " + key, "a list of type " + type, "must be " + what);
        }
    }

    /** {@code length} bytes as text. */
    static String text(MappedFile file, long offset, int length, String where) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(file.slice(offset, length)).toString();
        } catch (CharacterCodingException e) {
            throw new MalformedCheckpointException(file.path(), where + " at byte " + offset, e.getMessage(), "must be UTF-8", e);
        }
    }

    @Override
    public String toString() {
        return "a list of " + count + " elements of type " + type;
    }
}
