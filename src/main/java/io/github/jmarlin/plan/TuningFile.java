package io.github.jmarlin.plan;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.github.jmarlin.DataType;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * The file that keeps a device's {@link Tuning}: JSON, one line for each winner.
 *
 * <pre>
 * {"version": 3, "device": {"name": "NVIDIA H200", "computeCapability": 90, "multiprocessors": 132},
 *  "rates": {"LEAST_WGMMA_CLOCKS": 21.5}, "winners": [
 *   {"k": 4096, "n": 14336, "weights": "sym_g64", "type": "FP16", "rows": 16, "seconds": 1.23E-5,
 *    "family": "HOPPER", "batchTile": 16, "nTile": 256, "neighbours": 1, "split": 1, "grid": 0, "stages": 0, "cut": "EVEN"}]}
 * </pre>
 *
 * {@code rates} are {@link Rate}s or clocks of kernels that were measured, see {@link Tuning#with(String, double)}, none by default.
 * {@code weights} are one of {@link KernelSet#weights()}; {@code grid} and {@code stages} are 0 and {@code cut} is left out where the
 * planner decides; striped winners have no {@code neighbours} and {@code split} and, where their tile is one in halves, {@code "halves": 2};
 * the family DENSE has none of these keys. A file serves only the device it names: winners of another card mean nothing.
 */
public final class TuningFile {
    /** Names the file; {@value #OFF} means that there is none. */
    public static final String PROPERTY = "jmarlin.tuning";
    /** Value of {@link #PROPERTY} without a file. */
    public static final String OFF = "none";

    private static final int VERSION = 3;
    private static final int LARGEST_FILE = 10_000_000;
    private static final List<String> DEVICE_KEYS = List.of("name", "computeCapability", "multiprocessors");
    private static final List<String> DENSE_KEYS =
            List.of("k", "n", "weights", "type", "rows", "seconds", "family");
    private static final List<String> STRIPED_KEYS =
            Stream.concat(DENSE_KEYS.stream(), Stream.of("batchTile", "nTile", "grid", "stages")).toList();
    private static final List<String> HOPPER_KEYS =
            Stream.concat(STRIPED_KEYS.stream(), Stream.of("neighbours", "split")).toList();
    private static final String CUT = "cut";
    private static final String HALVES = "halves";
    private static final JsonFactory JSON = new JsonFactoryBuilder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private TuningFile() {
    }

    /**
     * Where the tuning of a device is: the file that the property {@code jmarlin.tuning} names, else a file of the device's own
     * in the folder {@code .jmarlin/tuning} of the user's home; empty if the property is {@value #OFF}.
     */
    public static Optional<Path> location(DeviceFacts device) {
        String asked = System.getProperty(PROPERTY);
        if (asked != null) {
            return asked.equals(OFF) ? Optional.empty() : Optional.of(Path.of(asked));
        }
        String name = device.name().toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
        return Optional.of(Path.of(System.getProperty("user.home", ""), ".jmarlin", "tuning",
                name + "-sm" + device.computeCapability() + "-" + device.multiprocessors() + ".json"));
    }

    /** What the planner goes by on this device. Never throws: a file that cannot be used is ignored, and plans tell why. */
    public static Tuning load(DeviceFacts device) {
        try {
            Optional<Path> file = location(device);
            boolean asked = System.getProperty(PROPERTY) != null;
            return file.isEmpty() || !asked && Files.notExists(file.get()) ? Tuning.NONE : read(file.get(), device);
        } catch (TuningFileException e) {
            return Tuning.ignored(e.getMessage());
        } catch (IllegalArgumentException e) {      // not a path at all
            return Tuning.ignored("-D" + PROPERTY + "=" + System.getProperty(PROPERTY) + ": " + e.getMessage());
        }
    }

    /** @throws TuningFileException if the file cannot be read, breaks the format, or is of another version or device */
    public static Tuning read(Path file, DeviceFacts device) {
        try {
            try (JsonParser parser = JSON.createParser(bytes(file))) {
                Tuning tuning = parse(parser, device, file.toString());
                require(parser.nextToken() == null, "there is more after the closing brace");
                return tuning;
            }
        } catch (NoSuchFileException e) {
            throw new TuningFileException(file, "there is no such file", e);
        } catch (JsonProcessingException e) {
            throw new TuningFileException(file, "not JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new TuningFileException(file, "cannot be read: " + e, e);
        } catch (IllegalArgumentException e) {
            throw new TuningFileException(file, e.getMessage(), e);
        }
    }

    // ---- read ----

    /** NOTES: not by the size that the file says it has: a device has none and no end. */
    private static byte[] bytes(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(LARGEST_FILE + 1);
            require(bytes.length <= LARGEST_FILE, "more than %d bytes", LARGEST_FILE);
            return bytes;
        }
    }

    private static Tuning parse(JsonParser parser, DeviceFacts device, String origin) throws IOException {
        require(parser.nextToken() == JsonToken.START_OBJECT, "an object expected");
        expect(parser, "version", JsonToken.VALUE_NUMBER_INT);
        String version = parser.getText();
        require(version.equals(Integer.toString(VERSION)), "version %s: this library reads version %d; remove the file and measure again: jmarlin tune", version, VERSION);
        expect(parser, "device", JsonToken.START_OBJECT);
        Fields measured = Fields.read(parser).check(DEVICE_KEYS);
        require(measured.text("name").equals(device.name()) && measured.integer("computeCapability") == device.computeCapability()
                && measured.integer("multiprocessors") == device.multiprocessors(),
                "measured on %s of compute capability %d with %d SMs, this is %s of %d with %d", measured.text("name"),
                measured.integer("computeCapability"), measured.integer("multiprocessors"),
                device.name(), device.computeCapability(), device.multiprocessors());
        expect(parser, "rates", JsonToken.START_OBJECT);
        Tuning rates = rates(Fields.read(parser));
        rates.rates().forEach((name, value) -> Rates.check(name, value, device));
        expect(parser, "winners", JsonToken.START_ARRAY);
        Map<Tuning.Product, Tuning.Winner> winners = new LinkedHashMap<>();
        while (parser.nextToken() == JsonToken.START_OBJECT) {
            Fields fields = Fields.read(parser);
            Tuning.Winner winner = winner(fields);
            Tuning.Product product = product(fields);
            require(winners.put(product, winner) == null, "two winners for %s", product);
        }
        require(parser.currentToken() == JsonToken.END_ARRAY && parser.nextToken() == JsonToken.END_OBJECT,
                "winners must be an array of objects, and the last key");
        return Tuning.of(origin, rates.rates(), winners);
    }

    private static Tuning rates(Fields fields) {
        Tuning rates = Tuning.NONE;
        for (String name : fields.values.keySet()) {
            rates = rates.with(name, fields.number(name));
        }
        return rates;
    }

    private static Tuning.Product product(Fields fields) {
        return new Tuning.Product(fields.integer("k"), fields.integer("n"), fields.text("weights"),
                named("type", DataType.class, fields.text("type")), fields.integer("rows"));
    }

    /** The first to be read of a winner: which keys there must be hangs on the family. */
    private static Tuning.Winner winner(Fields fields) {
        require(fields.values.containsKey("family"), "keys %s: family must be one of them", fields.values.keySet());
        PlanOptions options = switch (named("family", KernelFamily.class, fields.text("family"))) {
            case STRIPED -> {
                fields.check(STRIPED_KEYS, CUT, HALVES);
                yield launch(fields, PlanOptions.DEFAULT.withTile(new TileShape(fields.integer("batchTile"), fields.integer("nTile"),
                        fields.values.containsKey(HALVES) ? fields.integer(HALVES) : 1)));
            }
            case HOPPER -> {
                fields.check(HOPPER_KEYS, CUT);
                yield launch(fields, PlanOptions.DEFAULT.withHopperTile(new HopperTile(fields.integer("batchTile"),
                        fields.integer("nTile"), fields.integer("neighbours"), fields.integer("split"))));
            }
            case DENSE -> {
                fields.check(DENSE_KEYS);
                yield PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE);
            }
        };
        return new Tuning.Winner(options, fields.number("seconds"));
    }

    private static PlanOptions launch(Fields fields, PlanOptions tile) {
        PlanOptions options = tile.withGrid(fields.integer("grid")).withStages(fields.integer("stages"));
        return fields.values.containsKey(CUT) ? options.withCut(named(CUT, Stripes.Cut.class, fields.text(CUT))) : options;
    }

    private static <E extends Enum<E>> E named(String what, Class<E> type, String name) {
        for (E constant : type.getEnumConstants()) {
            if (constant.name().equals(name)) {
                return constant;
            }
        }
        throw new IllegalArgumentException(what + " " + name + ": must be one of " + List.of(type.getEnumConstants()));
    }

    private static void expect(JsonParser parser, String key, JsonToken value) throws IOException {
        String found = parser.nextFieldName();
        require(key.equals(found), "key %s: %s expected", found, key);
        require(parser.nextToken() == value, "%s: %s expected, found %s", key, value, parser.currentToken());
    }

    private static void require(boolean condition, String rule, Object... values) {
        if (!condition) {
            throw new IllegalArgumentException(String.format(Locale.ROOT, rule, values));
        }
    }

    /** A flat object. */
    private record Fields(Map<String, String> values) {
        static Fields read(JsonParser parser) throws IOException {
            Map<String, String> values = new LinkedHashMap<>();
            for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
                require(parser.nextToken().isScalarValue(), "%s: one value expected, found %s", key, parser.currentToken());
                values.put(key, parser.getText());
            }
            return new Fields(values);
        }

        /** Exactly these keys, and perhaps some of the others. */
        Fields check(List<String> keys, String... others) {
            Set<String> unknown = new LinkedHashSet<>(values.keySet());
            keys.forEach(unknown::remove);
            List.of(others).forEach(unknown::remove);
            require(values.keySet().containsAll(keys) && unknown.isEmpty(), "keys %s: must be %s%s", values.keySet(), keys,
                    others.length == 0 ? "" : ", and may be " + List.of(others));
            return this;
        }

        String text(String key) {
            return values.get(key);
        }

        int integer(String key) {
            require(text(key).matches("-?\\d{1,9}"), "%s %s: must be an integer of at most 9 digits", key, text(key));
            return Integer.parseInt(text(key));
        }

        double number(String key) {
            require(text(key).matches("[-+]?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?"), "%s %s: must be a number", key, text(key));
            return Double.parseDouble(text(key));
        }
    }

    // ---- write ----

    /**
     * Replaces the file in one step: a reader sees the old or the new one, whole. Makes the folder.
     *
     * @throws IOException if it cannot be written; the old file is then as it was
     * @throws IllegalArgumentException if a rate is no value of that device; the same
     */
    public static void write(Path file, DeviceFacts device, Tuning tuning) throws IOException {
        tuning.rates().forEach((name, value) -> Rates.check(name, value, device));
        try {
            replace(file, device, tuning);
        } catch (IOException e) {
            throw new IOException("tuning file " + file + " cannot be written: " + e, e);
        }
    }

    private static void replace(Path file, DeviceFacts device, Tuning tuning) throws IOException {
        Path folder = file.toAbsolutePath().getParent();
        Files.createDirectories(folder);
        // NOTES: not a temporary file of Files, which only its owner could read: a service may run as somebody else.
        Path unfinished = folder.resolve(file.getFileName() + "." + UUID.randomUUID() + ".unfinished");
        try {
            try (OutputStream out = Files.newOutputStream(unfinished, StandardOpenOption.CREATE_NEW);
                    JsonGenerator json = JSON.createGenerator(out, JsonEncoding.UTF8)) {
                generate(json, device, tuning);
            }
            Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(unfinished);
        }
    }

    /**
     * Reads the file, if there is one, and replaces it by what {@code change} makes of it. Shortly before the write, so that what
     * another process stored meanwhile is kept.
     *
     * @return what is in the file now
     * @throws TuningFileException if there is a file that cannot be read; it stays as it is
     */
    public static Tuning update(Path file, DeviceFacts device, UnaryOperator<Tuning> change) throws IOException {
        Tuning changed = change.apply(Files.exists(file) ? read(file, device) : Tuning.NONE);
        write(file, device, changed);
        return changed;
    }

    private static void generate(JsonGenerator json, DeviceFacts device, Tuning tuning) throws IOException {
        json.writeStartObject();
        json.writeNumberField("version", VERSION);
        json.writeObjectFieldStart("device");
        json.writeStringField("name", device.name());
        json.writeNumberField("computeCapability", device.computeCapability());
        json.writeNumberField("multiprocessors", device.multiprocessors());
        json.writeEndObject();
        json.writeObjectFieldStart("rates");
        for (Map.Entry<String, Double> rate : tuning.rates().entrySet()) {
            json.writeNumberField(rate.getKey(), rate.getValue());
        }
        json.writeEndObject();
        json.writeArrayFieldStart("winners");
        for (Map.Entry<Tuning.Product, Tuning.Winner> entry : tuning.winners().entrySet()) {
            json.writeRaw('\n');
            generate(json, entry.getKey(), entry.getValue());
        }
        json.writeEndArray();
        json.writeEndObject();
        json.writeRaw('\n');
    }

    private static void generate(JsonGenerator json, Tuning.Product product, Tuning.Winner winner) throws IOException {
        PlanOptions options = winner.options();
        json.writeStartObject();
        json.writeNumberField("k", product.k());
        json.writeNumberField("n", product.n());
        json.writeStringField("weights", product.weights());
        json.writeStringField("type", product.type().name());
        json.writeNumberField("rows", product.rows());
        json.writeNumberField("seconds", winner.seconds());
        json.writeStringField("family", winner.family().name());
        switch (winner.family()) {
            case STRIPED -> {
                TileShape tile = options.tile().get();
                json.writeNumberField("batchTile", tile.batchTile());
                json.writeNumberField("nTile", tile.nTile());
                if (tile.halves() > 1) {
                    json.writeNumberField(HALVES, tile.halves());
                }
            }
            case HOPPER -> {
                HopperTile tile = options.hopperTile().get();
                json.writeNumberField("batchTile", tile.batchTile());
                json.writeNumberField("nTile", tile.nTile());
                json.writeNumberField("neighbours", tile.neighbours());
                json.writeNumberField("split", tile.split());
            }
            case DENSE -> { }
        }
        if (winner.family() != KernelFamily.DENSE) {
            json.writeNumberField("grid", options.grid());
            json.writeNumberField("stages", options.stages());
        }
        if (options.cut().isPresent()) {
            json.writeStringField(CUT, options.cut().get().name());
        }
        json.writeEndObject();
    }
}
