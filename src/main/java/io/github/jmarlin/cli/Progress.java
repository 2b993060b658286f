package io.github.jmarlin.cli;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** A progress bar on stderr when a person watches, nothing otherwise. */
final class Progress implements AutoCloseable {
    private final ProgressBar bar;

    /** {@code steps}: how often {@link #step} will be called, and one more. */
    Progress(String task, long steps) {
        this(task, steps, System.console() != null);
    }

    Progress(String task, long steps, boolean shown) {
        bar = shown ? new ProgressBarBuilder().setTaskName(task).setInitialMax(steps).setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(100).clearDisplayOnFinish().build() : null;
    }

    /** Says what begins now. */
    void begin(String what) {
        if (bar != null) {
            bar.setExtraMessage(what);
            bar.refresh();
        }
    }

    /** One step is done; says what begins now. */
    void step(String next) {
        if (bar != null) {
            bar.step();
            begin(next);
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
