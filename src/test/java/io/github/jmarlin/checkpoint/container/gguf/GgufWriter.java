package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.layout.HalfFloats;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A GGUF file made by hand, value by value, from the format's description; it checks nothing, so that files can be wrong. */
public final class GgufWriter {
    private final Map<String, byte[]> pairs = new LinkedHashMap<>();
    private final Map<String, Entry> tensors = new LinkedHashMap<>();
    private int version = 3;
    private int alignment = 32;

    private record Entry(int type, long[] extents, byte[] bytes) {
    }

    /** Little-endian bytes, one value behind the other. */
    public static final class Bytes {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        public Bytes u8(int value) {
            out.write(value);
            return this;
        }

        public Bytes u32(long value) {
            return raw(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt((int) value).array());
        }

        public Bytes u64(long value) {
            return raw(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
        }

        public Bytes f32(float value) {
            return u32(Float.floatToRawIntBits(value));
        }

        public Bytes f16(float value) {
            int bits = HalfFloats.toFp16(value);
            return u8(bits & 0xff).u8(bits >> 8 & 0xff);
        }

        public Bytes string(String text) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            return u64(utf8.length).raw(utf8);
        }

        public Bytes raw(byte[] bytes) {
            out.writeBytes(bytes);
            return this;
        }

        public byte[] array() {
            return out.toByteArray();
        }
    }

    public GgufWriter version(int number) {
        version = number;
        return this;
    }

    public GgufWriter alignment(int bytes) {
        alignment = bytes;
        return u32("general.alignment", bytes);
    }

    /** A pair of any type: its number and its bytes. */
    public GgufWriter pair(String key, int type, byte[] value) {
        pairs.put(key, new Bytes().u32(type).raw(value).array());
        return this;
    }

    public GgufWriter u32(String key, long value) {
        return pair(key, 4, new Bytes().u32(value).array());
    }

    public GgufWriter u16(String key, int value) {
        return pair(key, 2, new Bytes().u8(value & 0xff).u8(value >> 8).array());
    }

    public GgufWriter f32(String key, float value) {
        return pair(key, 6, new Bytes().f32(value).array());
    }

    public GgufWriter bool(String key, boolean value) {
        return pair(key, 7, new byte[] {(byte) (value ? 1 : 0)});
    }

    public GgufWriter string(String key, String value) {
        return pair(key, 8, new Bytes().string(value).array());
    }

    public GgufWriter strings(String key, List<String> values) {
        Bytes bytes = new Bytes().u32(8).u64(values.size());
        values.forEach(bytes::string);
        return pair(key, 9, bytes.array());
    }

    public GgufWriter ints(String key, int... values) {
        Bytes bytes = new Bytes().u32(5).u64(values.length);
        for (int value : values) {
            bytes.u32(value);
        }
        return pair(key, 9, bytes.array());
    }

    public GgufWriter floats(String key, float... values) {
        Bytes bytes = new Bytes().u32(6).u64(values.length);
        for (float value : values) {
            bytes.f32(value);
        }
        return pair(key, 9, bytes.array());
    }

    /** @param extents the fastest first */
    public GgufWriter tensor(String name, int type, byte[] bytes, long... extents) {
        tensors.put(name, new Entry(type, extents, bytes));
        return this;
    }

    /** A tensor of F32. */
    public GgufWriter tensor(String name, float[] values, long... extents) {
        Bytes bytes = new Bytes();
        for (float value : values) {
            bytes.f32(value);
        }
        return tensor(name, 0, bytes.array(), extents);
    }

    public GgufWriter without(String name) {
        tensors.remove(name);
        pairs.remove(name);
        return this;
    }

    public byte[] bytes() {
        Bytes out = new Bytes().raw("GGUF".getBytes(StandardCharsets.US_ASCII)).u32(version).u64(tensors.size()).u64(pairs.size());
        pairs.forEach((key, value) -> out.string(key).raw(value));
        long offset = 0;
        for (Map.Entry<String, Entry> tensor : tensors.entrySet()) {
            Entry entry = tensor.getValue();
            out.string(tensor.getKey()).u32(entry.extents.length);
            for (long extent : entry.extents) {
                out.u64(extent);
            }
            out.u32(entry.type).u64(offset);
            offset += padded(entry.bytes.length);
        }
        fill(out, padded(out.out.size()) - out.out.size());
        for (Entry entry : tensors.values()) {
            out.raw(entry.bytes);
            fill(out, padded(entry.bytes.length) - entry.bytes.length);
        }
        return out.array();
    }

    private long padded(long bytes) {
        return (bytes + alignment - 1) / alignment * alignment;
    }

    private static void fill(Bytes out, long bytes) {
        out.raw(new byte[(int) bytes]);
    }

    public Path write(Path file) throws IOException {
        Files.createDirectories(file.getParent());
        return Files.write(file, bytes());
    }
}
