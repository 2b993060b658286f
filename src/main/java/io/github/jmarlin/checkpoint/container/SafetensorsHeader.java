package io.github.jmarlin.checkpoint.container;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The header of a safetensors file, in both directions.
 *
 * <pre>
 *   byte 0        8                8 + n                     end of file
 *        [ u64 n ][ JSON, n bytes ][ tensor | tensor | ...  )
 * </pre>
 * The JSON object maps each tensor's name to {@code dtype}, {@code shape} and {@code data_offsets} (relative to byte 8 + n); the
 * ranges, sorted, leave no gap, do not overlap, start at 0 and end with the file.
 *
 * @param tensors in the order of their data
 * @param metadata the free string pairs under {@code __metadata__}
 * @param dataStart the file's byte 8 + n
 */
public record SafetensorsHeader(List<TensorInfo> tensors, Map<String, String> metadata, long dataStart) {
    /** The reference reader's limit for n. */
    static final long LONGEST = 100_000_000;
    static final int LENGTH_BYTES = Long.BYTES;

    /** More dimensions than any framework has; bounds what a short header can make us allocate. */
    private static final int MOST_DIMENSIONS = 64;
    private static final int DATA_ALIGNMENT = 4096;
    private static final String METADATA = "__metadata__";

    public SafetensorsHeader {
        tensors = List.copyOf(tensors);
        metadata = Map.copyOf(metadata);
    }

    /** Reads and checks the header of {@code file}. */
    static SafetensorsHeader read(MappedFile file) {
        Path path = file.path();
        if (file.size() < LENGTH_BYTES) {
            throw new MalformedCheckpointException(path, "file size", file.size() + " bytes",
                    "a safetensors file starts with an 8-byte header length");
        }
        long length = file.slice(0, LENGTH_BYTES).getLong(0);
        if (length < 0 || length > LONGEST || length > file.size() - LENGTH_BYTES) {
            MalformedCheckpointException foreign = ForeignContent.of(path, file.slice(0, (int) Math.min(file.size(), 4096)),
                    "a safetensors file");
            if (foreign != null) {
                throw foreign;
            }
        }
        if (length < 0 || length > LONGEST) {
            throw new MalformedCheckpointException(path, "header length at byte 0", Long.toUnsignedString(length),
                    "at most " + LONGEST + " bytes");
        }
        if (length > file.size() - LENGTH_BYTES) {
            throw new MalformedCheckpointException(path, "header length at byte 0", length,
                    "the header must end inside the file of " + file.size() + " bytes");
        }
        long dataStart = LENGTH_BYTES + length;
        return new Parser(path).parse(file.slice(LENGTH_BYTES, (int) length), dataStart, file.size() - dataStart);
    }

    /** The first bytes of a file with these tensors, padded so that the data starts at a multiple of 64 bytes. */
    public static byte[] render(List<TensorInfo> tensors, Map<String, String> metadata) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(new byte[LENGTH_BYTES]);
        try (JsonGenerator json = Json.generator(out)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeObjectFieldStart(METADATA);
                for (Map.Entry<String, String> entry : new java.util.TreeMap<>(metadata).entrySet()) {
                    json.writeStringField(entry.getKey(), entry.getValue());
                }
                json.writeEndObject();
            }
            for (TensorInfo tensor : tensors) {
                json.writeObjectFieldStart(tensor.name());
                json.writeStringField("dtype", tensor.type().name());
                json.writeArrayFieldStart("shape");
                for (long dimension : tensor.shape()) {
                    json.writeNumber(dimension);
                }
                json.writeEndArray();
                json.writeArrayFieldStart("data_offsets");
                json.writeNumber(tensor.begin());
                json.writeNumber(tensor.end());
                json.writeEndArray();
                json.writeEndObject();
            }
            json.writeEndObject();
        }
        int padded = (out.size() + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
        byte[] header = Arrays.copyOf(out.toByteArray(), padded);
        Arrays.fill(header, out.size(), padded, (byte) ' ');
        long length = padded - LENGTH_BYTES;
        if (length > LONGEST) {
            throw new IllegalArgumentException("header of " + length + " bytes for " + tensors.size()
                    + " tensors: at most " + LONGEST);
        }
        ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
        return header;
    }

    /** One pass over the JSON, without a tree: what it allocates is proportional to the header. */
    private static final class Parser {
        private final Path path;

        Parser(Path path) {
            this.path = path;
        }

        SafetensorsHeader parse(ByteBuffer bytes, long dataStart, long dataBytes) {
            Map<String, String> metadata = new LinkedHashMap<>();
            List<TensorInfo> tensors = new ArrayList<>();
            try (JsonParser json = Json.parser(path, "header", bytes)) {
                expect(json, json.nextToken(), JsonToken.START_OBJECT, "header", "a JSON object");
                while (json.nextToken() != JsonToken.END_OBJECT) {
                    String name = json.currentName();
                    json.nextToken();
                    if (name.equals(METADATA)) {
                        metadata(json, metadata);
                    } else {
                        tensors.add(tensor(json, name));
                    }
                }
                if (json.nextToken() != null) {
                    throw malformed("header", json.currentToken(), "nothing but spaces may follow the JSON object");
                }
            } catch (IOException e) {
                throw Json.malformed(path, "header", e);
            }
            tensors.sort(Comparator.comparingLong(TensorInfo::begin).thenComparingLong(TensorInfo::end));
            checkContiguous(tensors, dataBytes);
            return new SafetensorsHeader(tensors, metadata, dataStart);
        }

        private void metadata(JsonParser json, Map<String, String> metadata) throws IOException {
            expect(json, json.currentToken(), JsonToken.START_OBJECT, METADATA, "an object of strings");
            while (json.nextToken() != JsonToken.END_OBJECT) {
                String key = json.currentName();
                expect(json, json.nextToken(), JsonToken.VALUE_STRING, METADATA + "." + key, "a string");
                metadata.put(key, json.getText());
            }
        }

        private TensorInfo tensor(JsonParser json, String name) throws IOException {
            String where = "tensor " + name;
            expect(json, json.currentToken(), JsonToken.START_OBJECT, where, "an object");
            TensorType type = null;
            List<Long> shape = null;
            List<Long> offsets = null;
            while (json.nextToken() != JsonToken.END_OBJECT) {
                String key = json.currentName();
                JsonToken token = json.nextToken();
                switch (key) {
                    case "dtype" -> {
                        expect(json, token, JsonToken.VALUE_STRING, where + ", key dtype", "a string");
                        type = TensorType.named(json.getText());
                        if (type == null) {
                            throw malformed(where + ", key dtype", json.getText(),
                                    "must be one of " + Arrays.toString(TensorType.values()));
                        }
                    }
                    case "shape" -> shape = longs(json, where + ", key shape", MOST_DIMENSIONS);
                    case "data_offsets" -> offsets = longs(json, where + ", key data_offsets", 2);
                    default -> json.skipChildren();
                }
            }
            return checked(where, name, type, shape, offsets);
        }

        private TensorInfo checked(String where, String name, TensorType type, List<Long> shape, List<Long> offsets) {
            if (type == null || shape == null || offsets == null) {
                throw malformed(where, "dtype " + type + ", shape " + shape + ", data_offsets " + offsets,
                        "an entry needs all three");
            }
            if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
                throw malformed(where + ", key data_offsets", offsets, "must be [begin, end] with begin <= end");
            }
            long bytes = TensorInfo.bytes(type, shape);
            long range = offsets.get(1) - offsets.get(0);
            if (bytes != range) {
                throw malformed(where, "shape " + shape + " of " + type + " in " + range + " bytes at data_offsets " + offsets,
                        bytes < 0 ? "shape x dtype must be a whole number of bytes below 2^63"
                                : "shape x dtype is " + bytes + " bytes");
            }
            return new TensorInfo(name, type, shape, offsets.get(0), offsets.get(1));
        }

        private List<Long> longs(JsonParser json, String where, int most) throws IOException {
            expect(json, json.currentToken(), JsonToken.START_ARRAY, where, "an array");
            List<Long> values = new ArrayList<>();
            while (json.nextToken() != JsonToken.END_ARRAY) {
                expect(json, json.currentToken(), JsonToken.VALUE_NUMBER_INT, where, "whole numbers");
                if (json.getNumberType() == JsonParser.NumberType.BIG_INTEGER || json.getLongValue() < 0) {
                    throw malformed(where, json.getText(), "must be in 0..2^63 - 1");
                }
                values.add(json.getLongValue());
                if (values.size() > most) {
                    throw malformed(where, "more than " + most + " values", "at most " + most);
                }
            }
            return values;
        }

        private void checkContiguous(List<TensorInfo> tensors, long dataBytes) {
            long at = 0;
            for (TensorInfo tensor : tensors) {
                if (tensor.begin() != at) {
                    throw malformed("tensor " + tensor.name() + ", key data_offsets",
                            "[" + tensor.begin() + ", " + tensor.end() + "]",
                            "the tensors before it end at " + at + ", and there may be no gap and no overlap");
                }
                at = tensor.end();
            }
            if (at != dataBytes) {
                throw malformed("file size", dataBytes + " bytes of data", "the last tensor ends at " + at);
            }
        }

        private void expect(JsonParser json, JsonToken found, JsonToken expected, String where, String rule) throws IOException {
            if (found != expected) {
                throw malformed(where, found == null ? "the end of the header" : json.getText(), "must be " + rule);
            }
        }

        private MalformedCheckpointException malformed(String where, Object found, String rule) {
            return new MalformedCheckpointException(path, where, found, rule);
        }
    }
}
