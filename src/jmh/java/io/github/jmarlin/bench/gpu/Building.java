package io.github.jmarlin.bench.gpu;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** Makes several resources, or none. */
final class Building {
    private Building() {
    }

    /** One for each part; if one cannot be made, those before it are closed. */
    static <P, T extends GpuContender> List<T> all(List<P> parts, Function<P, T> make) {
        List<T> made = new ArrayList<>();
        try {
            for (P part : parts) {
                made.add(make.apply(part));
            }
            return made;
        } catch (RuntimeException e) {
            made.forEach(GpuContender::close);
            throw e;
        }
    }
}
