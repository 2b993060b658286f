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
import java.io.CharArrayReader;
import java.io.IOException;
import java.io.OutputStream;
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

/** Strict JSON: UTF-8 only, no key twice in an object, errors as {@link MalformedCheckpointException}. */
public final class Json {
    /** Far above any configuration; an index of 100,000 tensors takes 10 MB. */
    static final long LARGEST_FILE = 100_000_000;

    private static final JsonFactory FACTORY = new JsonFactoryBuilder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .build();

    private Json() {
    }

    /** A parser over {@code bytes}, decoded here: Jackson itself would also guess UTF-16 and UTF-32. */
    static JsonParser parser(Path file, String where, ByteBuffer bytes) throws IOException {
        CharBuffer text;
        try {
            text = StandardCharsets.UTF_8.newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(bytes);
        } catch (CharacterCodingException e) {
            throw new MalformedCheckpointException(file, where, e.getMessage(), "must be UTF-8", e);
        }
        return FACTORY.createParser(new CharArrayReader(text.array(), text.arrayOffset(), text.remaining()));
    }

    public static JsonGenerator generator(OutputStream out) throws IOException {
        return FACTORY.createGenerator(out, JsonEncoding.UTF8);
    }

    /** The whole file as maps, lists, strings, numbers, booleans and nulls. */
    public static ConfigNode read(Path file) throws IOException {
        long size = Files.size(file);
        if (size > LARGEST_FILE) {
            throw new MalformedCheckpointException(file, "file size", size + " bytes", "at most " + LARGEST_FILE);
        }
        return parse(file, "content", Files.readAllBytes(file));
    }

    /** One JSON value; {@code where} says what part of the file it is. */
    public static ConfigNode parse(Path file, String where, byte[] utf8) {
        try (JsonParser json = parser(file, where, ByteBuffer.wrap(utf8))) {
            json.nextToken();
            Object value = value(json);
            if (json.nextToken() != null) {
                throw new MalformedCheckpointException(file, where, json.currentToken(), "one JSON value and nothing after it");
            }
            return new ConfigNode(file, "", value);
        } catch (IOException e) {
            throw malformed(file, where, e);
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
                    object.put(name, value(json));
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
                return json.getNumberType() == JsonParser.NumberType.BIG_INTEGER ? (Object) json.getText() : json.getLongValue();
            case VALUE_NUMBER_FLOAT:
                return json.getText();
            case VALUE_TRUE:
            case VALUE_FALSE:
                return json.getBooleanValue();
            case VALUE_NULL:
                return null;
            default:
                return json.getText();
        }
    }

    static MalformedCheckpointException malformed(Path file, String where, IOException e) {
        JsonLocation at = e instanceof JsonProcessingException ? ((JsonProcessingException) e).getLocation() : null;
        String detail = e instanceof JsonProcessingException ? ((JsonProcessingException) e).getOriginalMessage()
                : e.getMessage();
        return new MalformedCheckpointException(file, at == null ? where : where + ", character " + at.getCharOffset(), detail,
                "must be JSON without duplicate keys", e);
    }
}
