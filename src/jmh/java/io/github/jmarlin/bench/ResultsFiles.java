package io.github.jmarlin.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.StringJoiner;

/** Results as {@code results.json}, which can be read again, and {@code results.csv}, for spreadsheets. */
public final class ResultsFiles {
    /** Name of the JSON file in a results folder. */
    public static final String JSON = "results.json";
    /** Name of the CSV file in a results folder. */
    public static final String CSV = "results.csv";

    static final ObjectMapper MAPPER = JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();

    private static final List<String> COLUMNS = List.of("kind", "name", "k", "n", "m", "type", "mode", "contender", "group",
            "status", "micros", "micros_p10", "micros_p90", "samples", "gb_per_s", "percent_of_copy", "tflops", "percent_of_peak",
            "speedup", "ideal_speedup", "error", "error_bound", "note", "device", "commit");

    private ResultsFiles() {
    }

    /** Writes both files; each appears whole or not at all. */
    public static void write(Results results, Path folder) throws IOException {
        replace(folder.resolve(JSON), json(results));
        replace(folder.resolve(CSV), csv(results));
    }

    /** Reads a {@code results.json}. */
    public static Results read(Path json) throws IOException {
        try {
            return MAPPER.readValue(json.toFile(), Results.class);
        } catch (JsonProcessingException e) {
            throw new IOException(json + " is not a results file: " + e.getOriginalMessage(), e);
        }
    }

    /** Writes a file under another name first, so that nobody ever sees half of it. */
    public static void replace(Path file, String content) throws IOException {
        Path draft = file.resolveSibling(file.getFileName() + ".tmp");
        Files.writeString(draft, content);
        Files.move(draft, file, StandardCopyOption.REPLACE_EXISTING);
    }

    /** The results with their figures beside every measurement, an entry per line. */
    static String json(Results results) throws IOException {
        ObjectNode root = MAPPER.valueToTree(results);
        ArrayNode measurements = (ArrayNode) root.get("measurements");
        for (int i = 0; i < measurements.size(); i++) {
            ((ObjectNode) measurements.get(i)).set("figures", MAPPER.valueToTree(results.figures(results.measurements().get(i))));
        }
        StringJoiner lines = new StringJoiner(",\n    ", "[\n    ", "\n  ]");
        for (var measurement : measurements) {
            lines.add(MAPPER.writeValueAsString(measurement));
        }
        root.remove("measurements");
        DefaultPrettyPrinter pretty = new DefaultPrettyPrinter();
        pretty.indentArraysWith(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE);
        String head = MAPPER.writer(pretty).writeValueAsString(root);
        return head.substring(0, head.lastIndexOf('}')).stripTrailing() + ",\n  \"measurements\" : " + lines + "\n}\n";
    }

    static String csv(Results results) {
        StringJoiner lines = new StringJoiner("\n", "", "\n");
        lines.add(String.join(",", COLUMNS));
        for (Measurement m : results.measurements()) {
            lines.add(row(results, m));
        }
        return lines.toString();
    }

    private static String row(Results results, Measurement m) {
        Subject s = m.subject();
        Quantiles t = m.micros();
        Figures f = results.figures(m);
        List<Object> cells = new ArrayList<>(List.of(s.kind(), s.name(), s.k(), s.n(), s.m()));
        cells.add(s.type());
        cells.addAll(List.of(m.mode().key(), m.contender(), m.groupSize(), m.status()));
        cells.add(t == null ? null : t.median());
        cells.add(t == null ? null : t.p10());
        cells.add(t == null ? null : t.p90());
        cells.add(t == null ? null : t.count());
        cells.add(f.gigabytesPerSecond());
        cells.add(f.percentOfCopy());
        cells.add(f.teraflops());
        cells.add(f.percentOfPeak());
        cells.add(f.speedup());
        cells.add(f.idealSpeedup());
        cells.add(m.error());
        cells.add(m.errorBound());
        cells.add(m.note());
        cells.add(results.run().device());
        cells.add(results.run().commit());
        StringJoiner line = new StringJoiner(",");
        cells.forEach(cell -> line.add(cell(cell)));
        return line.toString();
    }

    private static String cell(Object value) {
        if (value == null) {
            return "";
        }
        if (value instanceof Double number) {
            return String.format(Locale.ROOT, "%.6g", number);
        }
        String text = value.toString();
        return text.matches("(?s).*[\",\n\r].*") ? '"' + text.replace("\"", "\"\"") + '"' : text;
    }
}
