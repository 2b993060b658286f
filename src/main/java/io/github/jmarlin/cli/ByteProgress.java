package io.github.jmarlin.cli;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * A bar of gigabytes with the rate and the time left, on stderr when a person watches, nothing otherwise. Safe for any thread.
 */
final class ByteProgress implements AutoCloseable {
    private static final long GIGABYTE = 1_000_000_000;

    private final ProgressBar bar;

    ByteProgress(String task, long bytes) {
        this(task, bytes, System.console() != null);
    }

    ByteProgress(String task, long bytes, boolean shown) {
        bar = shown ? new ProgressBarBuilder().setTaskName(task).setInitialMax(bytes).setUnit(" GB", GIGABYTE).showSpeed()
                .setStyle(ProgressBarStyle.ASCII).setUpdateIntervalMillis(200).clearDisplayOnFinish().build() : null;
    }

    void advanced(long bytes) {
        if (bar != null) {
            bar.stepBy(bytes);
        }
    }

    /** Removes the bar. */
    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
