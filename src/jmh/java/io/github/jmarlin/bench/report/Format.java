package io.github.jmarlin.bench.report;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.Subject;
import io.github.jmarlin.layout.StripedLayout;
import java.util.Locale;

/** How numbers and names look in every report. */
final class Format {
    /** Stands where nothing can be stated. */
    static final String NOTHING = "-";

    private Format() {
    }

    /** About three significant digits. */
    static String number(Double value) {
        if (value == null) {
            return NOTHING;
        }
        double size = Math.abs(value);
        String format = size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 0.1 || size == 0 ? "%.2f" : "%.4f";
        return String.format(Locale.ROOT, format, value);
    }

    static String times(Double value) {
        return value == null ? NOTHING : number(value) + "x";
    }

    static String percent(Double value) {
        return value == null ? NOTHING : String.format(Locale.ROOT, "%.0f%%", value);
    }

    static String error(Double value) {
        return value == null ? NOTHING : String.format(Locale.ROOT, "%.1e", value);
    }

    static String type(DataType type) {
        return type == null ? NOTHING : type.name().toLowerCase(Locale.ROOT);
    }

    static String group(int groupSize) {
        return groupSize == StripedLayout.PER_COLUMN ? "per column" : "g" + groupSize;
    }

    /** The contender with its group size, if its weights have groups. */
    static String contender(Measurement m) {
        return m.groupSize() == 0 ? m.contender() : m.contender() + " " + group(m.groupSize());
    }

    static String subject(Subject s) {
        return switch (s.kind()) {
            case LAYER -> (s.name().isEmpty() ? "" : s.name() + " ") + s.k() + "x" + s.n();
            case BLOCK -> s.name() + " block";
            case DEVICE -> s.name();
        };
    }

    /** The contender speedups are over, for titles. */
    static String baseline(Results results, Measurement m) {
        String contender = results.baseline(m).map(Measurement::contender).orElse(Contenders.baselines(m.mode()).get(0));
        return switch (contender) {
            case Contenders.CUBLAS -> "cuBLAS " + type(m.subject().type());
            case Contenders.DENSE_OPENBLAS -> "dense OpenBLAS fp32";
            default -> "a plain Java loop, fp32";
        };
    }
}
