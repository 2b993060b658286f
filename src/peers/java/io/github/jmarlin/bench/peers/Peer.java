package io.github.jmarlin.bench.peers;

/** A contender with its operands: {@code multiply} overwrites the outputs. */
interface Peer extends AutoCloseable {
    void multiply();

    /** Element {@code row * n + column} of the outputs. */
    float output(int index);
}
