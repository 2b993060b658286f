package io.github.jmarlin.checkpoint.container;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import java.io.ByteArrayOutputStream;
import java.io.CharArrayReader;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON in UTF-8, errors as {@link MalformedCheckpointException}. Strict for headers and for what this library wrote: no key twice
 * in an object. Lenient for configurations, which are other people's files with a few keys of ours in them: {@code NaN},
 * {@code Infinity} and a byte-order mark pass, and a key given twice is wrong only when somebody reads it.
 */
public final class Json {
    /** Far above any configuration; an index of 100,000 tensors takes 10 MB. */
    static final long LARGEST_FILE = 100_000_000;

    private static final JsonFactory FACTORY = new JsonFactoryBuilder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .build();
    private static final JsonFactory LENIENT = new JsonFactoryBuilder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .build();
    private static final char BYTE_ORDER_MARK = '\uFEFF';

    private Json() {
    }

    /** A parser over {@code bytes}, decoded here: Jackson itself would also guess UTF-16 and UTF-32. */
    static JsonParser parser(Path file, String where, ByteBuffer bytes) throws IOException {
        return parser(FACTORY, file, where, bytes);
    }

    private static JsonParser parser(JsonFactory factory, Path file, String where, ByteBuffer bytes) throws IOException {
        CharBuffer text;
        try {
            text = StandardCharsets.UTF_8.newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(bytes);
        } catch (CharacterCodingException e) {
            throw new MalformedCheckpointException(file, where, e.getMessage(), "must be UTF-8", e);
        }
        if (factory == LENIENT && text.hasRemaining() && text.charAt(0) == BYTE_ORDER_MARK) {
            text.get();
        }
        return factory.createParser(new CharArrayReader(text.array(), text.arrayOffset() + text.position(), text.remaining()));
    }

    public static JsonGenerator generator(OutputStream out) throws IOException {
        return FACTORY.createGenerator(out, JsonEncoding.UTF8);
    }

    /** Maps, lists, strings, whole and other numbers, and booleans as JSON in UTF-8. */
    public static byte[] render(Object value) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = generator(out)) {
            write(json, value);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    private static void write(JsonGenerator json, Object value) throws IOException {
        if (value instanceof Map<?, ?> object) {
            json.writeStartObject();
            for (Map.Entry<?, ?> entry : object.entrySet()) {
                json.writeFieldName((String) entry.getKey());
                write(json, entry.getValue());
            }
            json.writeEndObject();
        } else if (value instanceof Iterable<?> list) {
            json.writeStartArray();
            for (Object item : list) {
                write(json, item);
            }
            json.writeEndArray();
        } else if (value instanceof Boolean flag) {
            json.writeBoolean(flag);
        } else if (value instanceof Double number) {
            json.writeNumber(number);
        } else if (value instanceof Number number) {
            json.writeNumber(number.longValue());
        } else if (value == null) {
            json.writeNull();
        } else {
            json.writeString((String) value);
        }
    }

    /** A configuration file, leniently, as maps, lists, strings, numbers, booleans and nulls. */
    public static ConfigNode read(Path file) throws IOException {
        byte[] content = FileProblem.explained("read this file", file, () -> {
            long size = Files.size(file);
            if (size > LARGEST_FILE) {
                throw new MalformedCheckpointException(file, "file size", size + " bytes", "at most " + LARGEST_FILE);
            }
            return Files.readAllBytes(file);
        });
        try {
            return parse(LENIENT, file, "content", content);
        } catch (MalformedCheckpointException e) {
            MalformedCheckpointException foreign = ForeignContent.of(file, ByteBuffer.wrap(content), "JSON");
            boolean better = foreign != null && !looksLikeJson(content);
            throw better ? foreign : e;
        }
    }

    private static boolean looksLikeJson(byte[] content) {
        int at = 0;
        while (at < content.length && content[at] <= ' ' && content[at] >= 0) {
            at++;
        }
        return at < content.length && (content[at] == '{' || content[at] == '[');
    }

    /** One strict JSON value; {@code where} says what part of the file it is. */
    public static ConfigNode parse(Path file, String where, byte[] utf8) {
        return parse(FACTORY, file, where, utf8);
    }

    /** One JSON value of other people, leniently. */
    public static ConfigNode parseLenient(Path file, String where, byte[] utf8) {
        return parse(LENIENT, file, where, utf8);
    }

    private static ConfigNode parse(JsonFactory factory, Path file, String where, byte[] utf8) {
        try (JsonParser json = parser(factory, file, where, ByteBuffer.wrap(utf8))) {
            json.nextToken();
            Object value = value(json);
            if (json.nextToken() != null) {
                throw new MalformedCheckpointException(file, where, json.currentToken(), "one JSON value and nothing after it");
            }
            return new ConfigNode(file, "", value);
        } catch (IOException e) {
            throw malformed(file, where, e, factory == LENIENT ? "must be JSON" : "must be JSON without duplicate keys");
        }
    }

    private static Object value(JsonParser json) throws IOException {
        JsonToken token = json.currentToken();
        if (token == null) {
            throw new com.fasterxml.jackson.core.io.JsonEOFException(json, null, "unexpected end of the text");
        }
        switch (token) {
            case START_OBJECT: {
                Map<String, Object> object = new LinkedHashMap<>();
                while (json.nextToken() != JsonToken.END_OBJECT) {
                    String name = json.currentName();
                    json.nextToken();
                    Object value = value(json);
                    object.put(name, object.containsKey(name) ? ConfigNode.twice(object.get(name), value) : value);
                }
                return object;
            }
            case START_ARRAY: {
                List<Object> array = new ArrayList<>();
                while (json.nextToken() != JsonToken.END_ARRAY) {
                    array.add(value(json));
                }
                return array;
            }
            case VALUE_NUMBER_INT:
                return json.getNumberType() == JsonParser.NumberType.BIG_INTEGER ? (Object) json.getBigIntegerValue() : json.getLongValue();
            case VALUE_NUMBER_FLOAT:
                return json.getDoubleValue();
            case VALUE_TRUE:
            case VALUE_FALSE:
                return json.getBooleanValue();
            case VALUE_NULL:
                return null;
            default:
                return json.getText();
        }
    }

    /** The exception of a strict parser. */
    static MalformedCheckpointException malformed(Path file, String where, IOException e) {
        return malformed(file, where, e, "must be JSON without duplicate keys");
    }

    private static MalformedCheckpointException malformed(Path file, String where, IOException e, String rule) {
        JsonLocation at = e instanceof JsonProcessingException ? ((JsonProcessingException) e).getLocation() : null;
        String detail = e instanceof JsonProcessingException ? ((JsonProcessingException) e).getOriginalMessage()
                : e.getMessage();
        return new MalformedCheckpointException(file, at == null ? where : where + ", character " + at.getCharOffset(), detail,
                rule, e);
    }
}
