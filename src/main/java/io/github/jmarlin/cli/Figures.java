package io.github.jmarlin.cli;

import java.util.Locale;

/** Numbers as a person reads them, the same in every locale. */
final class Figures {
    private Figures() {
    }

    static String seconds(double seconds) {
        if (seconds >= 1) {
            return format("%.2f s", seconds);
        }
        return seconds >= 1e-3 ? format("%.2f ms", seconds * 1e3) : format("%.1f us", seconds * 1e6);
    }

    static String bytes(double bytes) {
        return bytes >= 1e9 ? format("%.2f GB", bytes * 1e-9) : format("%.1f MB", bytes * 1e-6);
    }

    static String format(String pattern, Object... values) {
        return String.format(Locale.ROOT, pattern, values);
    }
}
