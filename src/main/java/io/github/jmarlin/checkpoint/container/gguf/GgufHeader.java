package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.ForeignContent;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.MappedFile;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The header of a GGUF file, little-endian, version 2 or 3 (which differ in nothing that is read here).
 *
 * <pre>
 *   "GGUF" | u32 version | u64 tensors | u64 pairs
 *   pairs times:    string key | u32 type | value               a string is u64 length | bytes
 *   tensors times:  string name | u32 rank | u64 extents, the fastest first | u32 type | u64 offset
 *   up to a multiple of general.alignment: nothing
 *   data:           each tensor at its offset, a multiple of general.alignment
 * </pre>
 * Tensors may leave gaps and may not overlap.
 *
 * @param metadata values by key: Long, Double, Boolean, String or {@link GgufArray}; a number of 64 bits without sign that Long does
 *     not hold is a java.math.BigInteger
 * @param tensors in the order of the file
 * @param dataStart the file's byte at which offsets start
 */
record GgufHeader(Map<String, Object> metadata, List<Info> tensors, long dataStart) {
    static final int UINT32 = 4;
    static final int INT32 = 5;
    static final int FLOAT32 = 6;
    static final int STRING = 8;
    static final String ALIGNMENT = "general.alignment";

    private static final int MAGIC = 'G' | 'G' << 8 | 'U' << 16 | 'F' << 24;
    private static final int ARRAY = 9;
    /** Bytes of a value by its type; 0 for strings and arrays. */
    private static final int[] VALUE_BYTES = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    private static final int BOOL = 7;
    private static final int DEFAULT_ALIGNMENT = 32;
    private static final long LARGEST_ALIGNMENT = 1 << 30;
    private static final int MOST_DIMENSIONS = 4;
    /** Arrays in arrays; nobody writes them deeper than one. */
    private static final int DEEPEST = 4;
    private static final int LONGEST_NAME = 65_535;
    /** Strings that are kept, all of them together: templates and licences, with room. */
    private static final long MOST_TEXT = 100_000_000;
    /** The least that a pair and a tensor take: bounds counts before anything is allocated for them. */
    private static final int SMALLEST_PAIR = 8 + 4 + 1;
    private static final int SMALLEST_INFO = 8 + 4 + 4 + 8;

    /**
     * One tensor.
     *
     * @param extents the fastest first
     * @param offset from the start of the data
     */
    record Info(String name, GgufType type, List<Long> extents, long offset, long bytes) {
        Info {
            extents = List.copyOf(extents);
        }
    }

    /**
     * Reads and checks the header of {@code file}.
     *
     * @throws MalformedCheckpointException if it breaks a rule of the format
     * @throws UnsupportedCheckpointException if it is of another version, byte order, or has an unknown type
     */
    static GgufHeader read(MappedFile file) {
        return new Parser(file).parse();
    }

    /** One pass; what it allocates is proportional to what the file holds. */
    private static final class Parser {
        private final MappedFile file;
        private long at;
        private long text;

        Parser(MappedFile file) {
            this.file = file;
        }

        GgufHeader parse() {
            version();
            long tensorCount = count("tensors at byte " + at, SMALLEST_INFO);
            long pairCount = count("metadata pairs at byte " + at, SMALLEST_PAIR);
            Map<String, Object> metadata = metadata(pairCount);
            long alignment = alignment(metadata.get(ALIGNMENT));
            List<Info> tensors = tensors(tensorCount, alignment);
            long dataStart = (at + alignment - 1) / alignment * alignment;
            checkPlaces(tensors, file.size() - dataStart);
            return new GgufHeader(metadata, tensors, dataStart);
        }

        private void version() {
            if (file.size() < 2 * Integer.BYTES || file.slice(0, Integer.BYTES).getInt(0) != MAGIC) {
                MalformedCheckpointException foreign = ForeignContent.of(file.path(),
                        file.slice(0, (int) Math.min(file.size(), 4096)), "a GGUF file");
                throw foreign != null ? foreign : malformed("file", file.size() + " bytes that do not start with GGUF",
                        "must be a GGUF file, or a folder with safetensors files");
            }
            at = Integer.BYTES;
            int version = u32("version");
            if (version != 2 && version != 3) {
                boolean swapped = Integer.reverseBytes(version) == 2 || Integer.reverseBytes(version) == 3;
                throw new UnsupportedCheckpointException(file.path(), "version at byte 4", swapped
                        ? Integer.reverseBytes(version) + ", big-endian" : Integer.toUnsignedString(version), "2 or 3, little-endian");
            }
        }

        private Map<String, Object> metadata(long count) {
            Map<String, Object> metadata = new LinkedHashMap<>();
            for (long i = 0; i < count; i++) {
                String key = string("key " + i + " of " + count, LONGEST_NAME);
                int type = u32("type of key " + key);
                if (metadata.putIfAbsent(key, value(key, type)) != null) {
                    throw malformed("key " + key, "the same key twice", "each key may be there once");
                }
            }
            return metadata;
        }

        private Object value(String key, int type) {
            String where = "key " + key;
            if (type == STRING) {
                return string(where, MOST_TEXT);
            }
            if (type == ARRAY) {
                return array(key);
            }
            int bytes = width(where, type);
            require(bytes, where);
            var value = file.slice(at, bytes);
            at += bytes;
            return switch (type) {
                case 0 -> (long) (value.get(0) & 0xff);
                case 1 -> (long) value.get(0);
                case 2 -> (long) (value.getShort(0) & 0xffff);
                case 3 -> (long) value.getShort(0);
                case UINT32 -> value.getInt(0) & 0xffff_ffffL;
                case INT32 -> (long) value.getInt(0);
                // The shortest decimal that means this float: 1e-5, as it was meant, and not 9.999999747378752e-6.
                case FLOAT32 -> Double.parseDouble(Float.toString(value.getFloat(0)));
                case BOOL -> bool(where, value.get(0));
                case 10 -> value.getLong(0) >= 0 ? (Object) value.getLong(0)
                        : new java.math.BigInteger(Long.toUnsignedString(value.getLong(0)));
                case 11 -> value.getLong(0);
                default -> value.getDouble(0);
            };
        }

        private boolean bool(String where, byte value) {
            if (value != 0 && value != 1) {
                throw malformed(where, value & 0xff, "true is 1 and false is 0");
            }
            return value == 1;
        }

        private GgufArray array(String key) {
            String where = "key " + key;
            int type = u32("element type of " + where);
            long count = count("elements of " + where, smallest(where, type));
            GgufArray array = new GgufArray(file, key, type, count, at);
            skip(where, type, count, 1);
            return array;
        }

        /** Walks over the elements of an array. */
        private void skip(String where, int type, long count, int depth) {
            if (type == STRING) {
                for (long i = 0; i < count; i++) {
                    long length = u64("length of element " + i + " of " + where);
                    if (length < 0 || length > Math.min(file.size() - at, MappedFile.LONGEST_SLICE)) {
                        throw malformed(where + ", element " + i, "a string of " + Long.toUnsignedString(length) + " bytes",
                                "must end inside the file of " + file.size() + " bytes");
                    }
                    at += length;
                }
            } else if (type == ARRAY) {
                if (depth == DEEPEST) {
                    throw malformed(where, "arrays inside each other", "at most " + DEEPEST + " deep");
                }
                for (long i = 0; i < count; i++) {
                    int inner = u32("element type of " + where);
                    skip(where, inner, count("elements of " + where, smallest(where, inner)), depth + 1);
                }
            } else {
                at += count * width(where, type);
            }
        }

        private int smallest(String where, int type) {
            return type == STRING ? Long.BYTES : type == ARRAY ? Integer.BYTES + Long.BYTES : width(where, type);
        }

        private int width(String where, int type) {
            if (type < 0 || type >= VALUE_BYTES.length) {
                throw malformed(where, "type " + Integer.toUnsignedString(type), "must be in 0.." + (VALUE_BYTES.length - 1));
            }
            return VALUE_BYTES[type];
        }

        private long alignment(Object stated) {
            if (stated == null) {
                return DEFAULT_ALIGNMENT;
            }
            if (!(stated instanceof Long alignment) || alignment < 1 || alignment > LARGEST_ALIGNMENT
                    || Long.bitCount(alignment) != 1) {
                throw malformed("key " + ALIGNMENT, stated, "must be a power of two, at most " + LARGEST_ALIGNMENT);
            }
            return alignment;
        }

        private List<Info> tensors(long count, long alignment) {
            List<Info> tensors = new ArrayList<>();
            Set<String> names = new HashSet<>();
            for (long i = 0; i < count; i++) {
                Info info = tensor("tensor " + i + " of " + count, alignment);
                if (!names.add(info.name)) {
                    throw malformed("tensor " + info.name, "the same name twice", "each name may be there once");
                }
                tensors.add(info);
            }
            return tensors;
        }

        private Info tensor(String number, long alignment) {
            String name = string("name of " + number, LONGEST_NAME);
            String where = "tensor " + name;
            int rank = u32(where);
            if (rank < 0 || rank > MOST_DIMENSIONS) {
                throw malformed(where, Integer.toUnsignedString(rank) + " dimensions", "at most " + MOST_DIMENSIONS);
            }
            List<Long> extents = new ArrayList<>();
            for (int i = 0; i < rank; i++) {
                extents.add(u64(where));
            }
            int typeNumber = u32(where);
            GgufType type = GgufType.of(typeNumber);
            if (type == null) {
                throw new UnsupportedCheckpointException(file.path(), where, "type " + Integer.toUnsignedString(typeNumber),
                        "one of " + List.of(GgufType.values()));
            }
            long offset = u64(where);
            if (offset < 0 || offset % alignment != 0) {
                throw malformed(where, "offset " + Long.toUnsignedString(offset), "must be a multiple of the alignment " + alignment);
            }
            return new Info(name, type, extents, offset, bytes(where, type, extents));
        }

        private long bytes(String where, GgufType type, List<Long> extents) {
            if (extents.stream().anyMatch(extent -> extent <= 0)) {
                throw malformed(where, "extents " + unsigned(extents), "each must be in 1..2^63 - 1");
            }
            long row = extents.isEmpty() ? 1 : extents.get(0);
            if (row % type.blockElements() != 0) {
                throw malformed(where, "extents " + extents + " of " + type, "rows must be whole blocks of " + type.blockElements());
            }
            try {
                long bytes = Math.multiplyExact(row / type.blockElements(), (long) type.blockBytes());
                for (long extent : extents.isEmpty() ? extents : extents.subList(1, extents.size())) {
                    bytes = Math.multiplyExact(bytes, extent);
                }
                return bytes;
            } catch (ArithmeticException e) {
                throw malformed(where, "extents " + extents + " of " + type, "must be fewer than 2^63 bytes");
            }
        }

        private static List<String> unsigned(List<Long> extents) {
            return extents.stream().map(Long::toUnsignedString).toList();
        }

        /** Every tensor inside the data, none on another's bytes. */
        private void checkPlaces(List<Info> tensors, long dataBytes) {
            long end = 0;
            String before = null;
            for (Info info : tensors.stream().sorted((a, b) -> a.offset != b.offset ? Long.compare(a.offset, b.offset)
                    : Long.compare(a.bytes, b.bytes)).toList()) {
                if (info.bytes > dataBytes || info.offset > dataBytes - info.bytes) {
                    throw malformed("tensor " + info.name, info.bytes + " bytes at offset " + info.offset,
                            "must end inside the file, which has " + Math.max(0, dataBytes) + " bytes of data: is it whole?");
                }
                if (info.offset < end) {
                    throw malformed("tensor " + info.name, "offset " + info.offset, "tensor " + before + " ends at " + end
                            + ", and tensors may not overlap");
                }
                end = info.offset + info.bytes;
                before = info.name;
            }
        }

        private String string(String where, long longest) {
            long length = u64("length of " + where);
            if (length < 0 || length > longest || length > file.size() - at) {
                throw malformed(where, "a string of " + Long.toUnsignedString(length) + " bytes at byte " + (at - Long.BYTES),
                        "at most " + longest + ", and inside the file of " + file.size() + " bytes");
            }
            text += length;
            if (text > MOST_TEXT) {
                throw malformed(where, "text of " + text + " bytes up to here", "at most " + MOST_TEXT + " in keys, values and names");
            }
            String value = GgufArray.text(file, at, (int) length, where);
            at += length;
            return value;
        }

        /** A count of things of at least so many bytes. */
        private long count(String what, int smallest) {
            long count = u64(what);
            if (count < 0 || count > (file.size() - at) / smallest) {
                throw malformed("number of " + what, Long.toUnsignedString(count), "the rest of the file, " + (file.size() - at)
                        + " bytes, has room for " + (file.size() - at) / smallest);
            }
            return count;
        }

        private int u32(String where) {
            require(Integer.BYTES, where);
            at += Integer.BYTES;
            return file.slice(at - Integer.BYTES, Integer.BYTES).getInt(0);
        }

        private long u64(String where) {
            require(Long.BYTES, where);
            at += Long.BYTES;
            return file.slice(at - Long.BYTES, Long.BYTES).getLong(0);
        }

        private void require(int bytes, String where) {
            if (bytes > file.size() - at) {
                throw malformed(where, "the end of the file at byte " + file.size(), "the header must go on");
            }
        }

        private MalformedCheckpointException malformed(String where, Object found, String rule) {
            return new MalformedCheckpointException(file.path(), where, found, rule);
        }
    }
}
