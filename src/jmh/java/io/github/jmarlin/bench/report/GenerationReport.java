package io.github.jmarlin.bench.report;

import com.fasterxml.jackson.core.JsonGenerator;
import io.github.jmarlin.bench.ResultsFiles;
import io.github.jmarlin.bench.RunInfo;
import io.github.jmarlin.bench.decode.GenerationBench;
import io.github.jmarlin.bench.decode.GenerationFigures;
import io.github.jmarlin.checkpoint.container.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/** Tokens per second as a table, JSON, a chart and a page. */
public final class GenerationReport {
    /** Names in a results folder. */
    public static final String JSON = "generate.json";
    /** The page with the table and the charts. */
    public static final String PAGE = "generate.html";
    private static final List<String> HEADER = List.of("model", "weights", "batch", "decode tokens/s", "over dense", "prefill tokens/s",
            "over dense", "error", "measured");

    private GenerationReport() {
    }

    /** The table as text, with what it must be read with above. */
    public static String table(RunInfo run, List<GenerationFigures> all) {
        List<List<String>> rows = new ArrayList<>(List.of(HEADER));
        all.forEach(figures -> rows.add(row(figures, all)));
        int[] widths = new int[HEADER.size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        StringBuilder text = new StringBuilder(caption(run)).append('\n');
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < widths.length; i++) {
                String padding = " ".repeat(widths[i] - row.get(i).length());
                boolean words = i < 2 || i == widths.length - 1;
                line.append(words ? row.get(i) + padding : padding + row.get(i)).append("  ");
            }
            text.append(line.toString().stripTrailing()).append('\n');
        }
        return text.toString();
    }

    private static String caption(RunInfo run) {
        return "Tokens per second on " + run.device() + " (commit " + run.commit() + "). Decoding at the first positions of the cache; "
                + "prefill of one prompt of up to " + GenerationBench.PROMPT + " tokens; medians. Where not the whole model was measured, "
                + "blocks and head are each extrapolated in proportion.";
    }

    private static List<String> row(GenerationFigures figures, List<GenerationFigures> all) {
        if (figures.note() != null) {
            return List.of(figures.model(), figures.weights(), "", "", "", "", "", "", "skipped: " + figures.note());
        }
        GenerationFigures dense = all.stream().filter(other -> other.model().equals(figures.model()) && other.weights().equals("dense")
                && other.batch() == figures.batch()).findFirst().orElse(null);
        boolean compared = dense != null && dense != figures;
        return List.of(figures.model(), figures.weights(), String.valueOf(figures.batch()), number(figures.decodeTokensPerSecond()),
                compared ? times(figures.decodeTokensPerSecond() / dense.decodeTokensPerSecond()) : "",
                number(figures.prefillTokensPerSecond()),
                compared ? times(figures.prefillTokensPerSecond() / dense.prefillTokensPerSecond()) : "",
                Double.isNaN(figures.error()) ? "" : String.format(Locale.ROOT, "%.1e%s", figures.error(),
                        figures.isWrong() ? " WRONG" : ""),
                figures.isExtrapolated() ? String.format(Locale.ROOT, "%d of %d blocks, %.0f %% of the head: EXTRAPOLATED",
                        figures.blocks(), figures.allBlocks(), 100 * figures.headShare()) : "whole");
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, value < 100 ? "%.2f" : "%.0f", value);
    }

    private static String times(double value) {
        return String.format(Locale.ROOT, "%.2fx", value);
    }

    /** Writes JSON, chart and page into a folder; returns a line about the charts. */
    public static String write(RunInfo run, List<GenerationFigures> all, Path folder) throws IOException {
        ResultsFiles.replace(folder.resolve(JSON), json(run, all));
        List<String> svgs = new ArrayList<>();
        String problem = run.standIn() ? "No charts: the device is a stand-in." : draw(all, folder.resolve(Report.CHARTS), svgs);
        ResultsFiles.replace(folder.resolve(PAGE), HtmlPage.of("JMarlin generating on " + run.device(), caption(run), HEADER,
                all.stream().map(figures -> row(figures, all)).toList(), svgs, problem));
        return problem == null ? svgs.size() + " charts in " + folder.resolve(Report.CHARTS) : problem;
    }

    private static String draw(List<GenerationFigures> all, Path folder, List<String> svgs) throws IOException {
        System.setProperty("java.awt.headless", "true");
        Files.createDirectories(folder);
        try {
            for (Charts.Plot plot : plots(all)) {
                svgs.add(Pictures.write(plot, folder));
            }
            return null;
        } catch (LinkageError | InternalError | RuntimeException e) {
            svgs.clear();
            return "No charts: this machine cannot draw text (" + e + ").";
        }
    }

    /** A chart for each model: bars of both forms for each batch size. */
    private static List<Charts.Plot> plots(List<GenerationFigures> all) {
        List<Charts.Plot> plots = new ArrayList<>();
        for (String model : all.stream().map(GenerationFigures::model).distinct().toList()) {
            List<GenerationFigures> own = all.stream().filter(f -> f.model().equals(model) && f.note() == null).toList();
            List<Integer> batches = own.stream().map(GenerationFigures::batch).distinct().sorted().toList();
            List<Charts.Series> series = new ArrayList<>();
            for (String weights : List.of("4-bit", "dense")) {
                List<Double> values = batches.stream().map(batch -> own.stream().filter(f -> f.batch() == batch
                        && f.weights().equals(weights)).map(GenerationFigures::decodeTokensPerSecond).findFirst().orElse(null)).toList();
                if (values.stream().anyMatch(Objects::nonNull)) {
                    series.add(new Charts.Series(weights, weights.equals("dense") ? Charts.Role.BASELINE : Charts.Role.MEASURED, values));
                }
            }
            if (!series.isEmpty()) {
                boolean extrapolated = own.stream().anyMatch(GenerationFigures::isExtrapolated);
                plots.add(new Charts.Plot("generate-" + model.replaceAll("[^A-Za-z0-9]+", "-"),
                        model + (extrapolated ? ", extrapolated" : ""), "sequences decoded together", "tokens/s",
                        batches.stream().map(String::valueOf).toList(), series, true));
            }
        }
        return plots;
    }

    private static String json(RunInfo run, List<GenerationFigures> all) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (JsonGenerator json = Json.generator(bytes).useDefaultPrettyPrinter()) {
            json.writeStartObject();
            json.writeStringField("device", run.device());
            json.writeBooleanField("stand_in", run.standIn());
            json.writeStringField("commit", run.commit());
            json.writeArrayFieldStart("figures");
            for (GenerationFigures figures : all) {
                json.writeStartObject();
                json.writeStringField("model", figures.model());
                json.writeStringField("weights", figures.weights());
                json.writeNumberField("batch", figures.batch());
                json.writeNumberField("decode_tokens_per_second", figures.decodeTokensPerSecond());
                json.writeNumberField("prefill_tokens_per_second", figures.prefillTokensPerSecond());
                json.writeNumberField("blocks", figures.blocks());
                json.writeNumberField("all_blocks", figures.allBlocks());
                json.writeNumberField("head_share", figures.headShare());
                json.writeBooleanField("extrapolated", figures.isExtrapolated());
                if (!Double.isNaN(figures.error())) {
                    json.writeNumberField("error", figures.error());
                }
                json.writeStringField("note", figures.note());
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        return bytes.toString(StandardCharsets.UTF_8) + "\n";
    }
}
