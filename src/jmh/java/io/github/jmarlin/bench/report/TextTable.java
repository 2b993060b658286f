package io.github.jmarlin.bench.report;

import io.github.jmarlin.bench.Figures;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Quantiles;
import io.github.jmarlin.bench.Results;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;

/** The results as a table of text, a line per measurement. */
public final class TextTable {
    private static final List<String> HEADER = List.of("what", "m", "type", "mode", "contender", "us", "p10..p90", "GB/s", "copy",
            "TFLOP/s", "peak", "speedup", "ideal", "error");
    /** Columns of words; the others are numbers and stand on the right. */
    private static final List<String> WORDS = List.of("what", "type", "mode", "contender");

    private TextTable() {
    }

    /** The names of the columns. */
    static List<String> header() {
        return HEADER;
    }

    /** Whether a column holds words. */
    static boolean isWords(int column) {
        return WORDS.contains(HEADER.get(column));
    }

    /** A measurement as its cells. */
    static List<String> row(Results results, Measurement m) {
        Figures f = results.figures(m);
        Quantiles t = m.micros();
        String wrong = m.status() == Measurement.Status.WRONG ? " WRONG" : "";
        return List.of(Format.subject(m.subject()), m.subject().m() == 0 ? Format.NOTHING : String.valueOf(m.subject().m()),
                Format.type(m.subject().type()), m.mode().key(), Format.contender(m),
                t == null ? m.status().name().toLowerCase(Locale.ROOT) : Format.number(t.median()),
                t == null ? Format.NOTHING : Format.number(t.p10()) + ".." + Format.number(t.p90()),
                Format.number(f.gigabytesPerSecond()), Format.percent(f.percentOfCopy()),
                Format.number(f.teraflops()), Format.percent(f.percentOfPeak()),
                Format.times(f.speedup()), Format.times(f.idealSpeedup()), Format.error(m.error()) + wrong);
    }

    /** The whole table, with what it must be read with above and what was left out below. */
    public static String of(Results results) {
        List<List<String>> rows = new ArrayList<>(List.of(HEADER));
        Map<String, List<Measurement>> notes = new LinkedHashMap<>();
        for (Measurement m : results.measurements()) {
            rows.add(row(results, m));
            if (m.note() != null) {
                notes.computeIfAbsent(Format.contender(m) + ": " + m.note(), note -> new ArrayList<>()).add(m);
            }
        }
        return caption(results) + "\n" + align(rows) + lines(notes);
    }

    /** A note is given once, with where it belongs. */
    private static String lines(Map<String, List<Measurement>> notes) {
        StringBuilder text = new StringBuilder();
        notes.forEach((note, rows) -> {
            Measurement first = rows.get(0);
            text.append(Format.subject(first.subject())).append(", m ").append(first.subject().m()).append(", ")
                    .append(first.mode().key())
                    .append(rows.size() == 1 ? ", " : " and " + (rows.size() - 1) + " more, ").append(note).append('\n');
        });
        return text.toString();
    }

    /** One sentence on the device, and a warning if its times mean nothing. */
    static String caption(Results results) {
        String device = results.run().device() + ", commit " + results.run().commit();
        return results.run().standIn()
                ? device + ": A STAND-IN DEVICE. Its times mean nothing, so no rate and no speedup is stated."
                : device;
    }

    private static String align(List<List<String>> rows) {
        int[] widths = new int[HEADER.size()];
        for (List<String> row : rows) {
            for (int column = 0; column < widths.length; column++) {
                widths[column] = Math.max(widths[column], row.get(column).length());
            }
        }
        StringBuilder table = new StringBuilder();
        for (List<String> row : rows) {
            StringJoiner line = new StringJoiner("  ");
            for (int column = 0; column < widths.length; column++) {
                line.add(String.format(Locale.ROOT, "%" + (isWords(column) ? "-" : "") + widths[column] + "s", row.get(column)));
            }
            table.append(line.toString().stripTrailing()).append('\n');
        }
        return table.toString();
    }
}
