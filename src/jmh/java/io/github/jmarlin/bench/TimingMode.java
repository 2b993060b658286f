package io.github.jmarlin.bench;

/** What a time contains. Figures of different modes are never compared with each other. */
public enum TimingMode {
    /**
     * A CUDA graph of many launches over rotated operands, between two events: what the kernels cost inside an engine's
     * graph.
     */
    GRAPH("graph", "in a CUDA graph"),
    /** Launches one after another from Java, between two events: what an engine without graphs sees. */
    STREAM("stream", "launched one by one from Java"),
    /** The published protocol: L2 flushed by writing a large buffer, then one launch between two events; includes a constant. */
    FLUSHED("flushed", "one launch after an L2 flush"),
    /** The CPU path, by the clock of the JVM. */
    HOST("host", "on the CPU");

    private final String key;
    private final String text;

    TimingMode(String key, String text) {
        this.key = key;
        this.text = text;
    }

    /** The name in files and options. */
    public String key() {
        return key;
    }

    /** The name in sentences. */
    public String text() {
        return text;
    }
}
