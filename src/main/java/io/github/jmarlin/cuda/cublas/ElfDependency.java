package io.github.jmarlin.cuda.cublas;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * Renames a library that a 64-bit little-endian ELF file depends on, in place.
 *
 * <p>The name of a needed library (DT_NEEDED) and the version its symbols are bound to are one shared string in .dynstr, and
 * beside the version requirement (.gnu.version_r) stands the string's hash. With a new name of the old length nothing moves: only
 * the string and that hash change. See the
 * <a href="https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html">symbol version
 * tables</a>.
 */
final class ElfDependency {
    private static final byte[] MAGIC = {0x7f, 'E', 'L', 'F', 2, 1};

    private static final int PT_LOAD = 1;
    private static final int PT_DYNAMIC = 2;
    private static final long DT_STRTAB = 5;
    private static final long DT_STRSZ = 10;
    private static final long DT_VERNEED = 0x6ffffffeL;
    private static final long DT_VERNEEDNUM = 0x6fffffffL;

    private final ByteBuffer file;
    private final List<Segment> segments = new ArrayList<>();
    private final Map<Long, Long> dynamic = new HashMap<>();

    /** A loadable part of the file. */
    private record Segment(long address, long offset, long size) {
        boolean holds(long wanted) {
            return wanted >= address && wanted < address + size;
        }
    }

    private ElfDependency(byte[] bytes) {
        for (int i = 0; i < MAGIC.length; i++) {
            if (bytes.length <= i || bytes[i] != MAGIC[i]) {
                throw new IllegalArgumentException("not a 64-bit little-endian ELF file: it starts with "
                        + hex(bytes) + ", expected " + hex(MAGIC));
            }
        }
        file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        readSegments();
    }

    /**
     * Changes every dependency on one library into one on another.
     *
     * @param library the file's bytes, changed in place
     * @param from the name as the file has it, for instance {@code libcublas.so.12}
     * @param to a name of the same length
     * @throws IllegalArgumentException if the bytes are no such ELF file, the lengths differ, or the file does not depend on
     *     {@code from} with exactly one version requirement
     */
    static void rename(byte[] library, String from, String to) {
        if (from.length() != to.length()) {
            throw new IllegalArgumentException("\"" + from + "\" and \"" + to + "\" differ in length: " + from.length() + " and "
                    + to.length());
        }
        new ElfDependency(library).rename(from, to);
    }

    private void readSegments() {
        long headers = file.getLong(32);
        int headerSize = Short.toUnsignedInt(file.getShort(54));
        int headerCount = Short.toUnsignedInt(file.getShort(56));
        for (int i = 0; i < headerCount; i++) {
            int header = Math.toIntExact(headers + (long) i * headerSize);
            long offset = file.getLong(header + 8);
            long size = file.getLong(header + 32);
            switch (file.getInt(header)) {
                case PT_LOAD -> segments.add(new Segment(file.getLong(header + 16), offset, size));
                case PT_DYNAMIC -> readDynamic(offset, size);
                default -> { }
            }
        }
    }

    private void readDynamic(long offset, long size) {
        for (int entry = Math.toIntExact(offset); entry < offset + size && file.getLong(entry) != 0; entry += 16) {
            dynamic.put(file.getLong(entry), file.getLong(entry + 8));
        }
    }

    private void rename(String from, String to) {
        int strings = offsetOf(DT_STRTAB);
        int name = find(from, strings, Math.toIntExact(dynamicValue(DT_STRSZ)));
        List<Integer> requirements = versionRequirements(name - strings);
        if (requirements.size() != 1) {
            throw new IllegalArgumentException(requirements.size() + " version requirements name \"" + from + "\", expected 1");
        }
        file.put(name, to.getBytes(StandardCharsets.US_ASCII));
        file.putInt(requirements.get(0), hash(to));
    }

    /** Offset of a zero-terminated string of the string table that is all of the name. */
    private int find(String name, int start, int size) {
        byte[] wanted = ("\0" + name + "\0").getBytes(StandardCharsets.US_ASCII);
        for (int at = start; at + wanted.length <= start + size; at++) {
            if (file.slice(at, wanted.length).equals(ByteBuffer.wrap(wanted))) {
                return at + 1;
            }
        }
        throw new IllegalArgumentException("the file does not name \"" + name + "\"");
    }

    /** Offsets of the entries (Elf64_Vernaux) whose name is the string at this offset of the string table. */
    private List<Integer> versionRequirements(int stringOffset) {
        List<Integer> found = new ArrayList<>();
        int need = offsetOf(DT_VERNEED);
        for (long i = 0; i < dynamicValue(DT_VERNEEDNUM); i++) {
            int entry = need + file.getInt(need + 8);
            for (int j = Short.toUnsignedInt(file.getShort(need + 2)); j > 0; j--) {
                if (file.getInt(entry + 8) == stringOffset) {
                    found.add(entry);
                }
                entry += file.getInt(entry + 12);
            }
            need += file.getInt(need + 12);
        }
        return found;
    }

    private long dynamicValue(long tag) {
        Long value = dynamic.get(tag);
        if (value == null) {
            throw new IllegalArgumentException("the dynamic section has no tag 0x" + Long.toHexString(tag));
        }
        return value;
    }

    private int offsetOf(long tag) {
        long address = dynamicValue(tag);
        return segments.stream().filter(s -> s.holds(address)).findFirst()
                .map(s -> Math.toIntExact(s.offset() + address - s.address()))
                .orElseThrow(() -> new IllegalArgumentException("no segment holds address 0x" + Long.toHexString(address)));
    }

    private static String hex(byte[] bytes) {
        return HexFormat.ofDelimiter(" ").formatHex(bytes, 0, Math.min(bytes.length, MAGIC.length));
    }

    /** The System V ABI's hash of a symbol name. */
    static int hash(String name) {
        int hash = 0;
        for (int i = 0; i < name.length(); i++) {
            hash = (hash << 4) + name.charAt(i);
            int top = hash & 0xf0000000;
            hash = (hash ^ top >>> 24) & ~top;
        }
        return hash;
    }
}
