package io.github.jmarlin.memory;

import java.util.Arrays;
import java.util.List;

/** Many resources, closed whatever the first says. */
public final class Closing {
    private Closing() {
    }

    /** Closes all of them even if some fail, then throws the first failure. Null entries are skipped. */
    public static void all(AutoCloseable... resources) {
        all(Arrays.asList(resources));
    }

    /** As {@link #all(AutoCloseable...)}. */
    public static void all(List<? extends AutoCloseable> resources) {
        RuntimeException first = null;
        for (AutoCloseable resource : resources) {
            try {
                if (resource != null) {
                    resource.close();
                }
            } catch (Exception e) {
                RuntimeException failure = e instanceof RuntimeException unchecked ? unchecked
                        : new IllegalStateException("closing failed: " + e, e);
                if (first == null) {
                    first = failure;
                } else {
                    first.addSuppressed(failure);
                }
            }
        }
        if (first != null) {
            throw first;
        }
    }

    /** Closes what a failed construction leaves behind; failures of that are added to the first one. Null entries are skipped. */
    public static void after(Throwable failure, AutoCloseable... resources) {
        for (AutoCloseable resource : resources) {
            try {
                if (resource != null) {
                    resource.close();
                }
            } catch (Exception e) {
                failure.addSuppressed(e);
            }
        }
    }
}
