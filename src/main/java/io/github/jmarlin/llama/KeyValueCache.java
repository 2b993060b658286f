package io.github.jmarlin.llama;

/**
 * Keys and values of one block for some sequences, in floats. Keys lie transposed, so that both the products with the keys and the sum of
 * the values run over contiguous elements:
 * <pre>
 *   keys   [sequence][key/value head][element][position]
 *   values [sequence][key/value head][position][element]
 * </pre>
 */
final class KeyValueCache {
    final int positions;
    final int headSize;
    /** For each sequence and head. */
    private final float[][] keys;
    private final float[][] values;
    private final int heads;

    KeyValueCache(LlamaConfig config, int sequences, int positions) {
        this.positions = positions;
        heads = config.attention().keyValueHeads();
        headSize = config.attention().headSize();
        int size = Math.multiplyExact(headSize, positions);
        keys = new float[Math.multiplyExact(sequences, heads)][size];
        values = new float[sequences * heads][size];
    }

    /** Bytes of the caches of all blocks. */
    static long bytes(LlamaConfig config, int sequences, int positions) {
        return 2L * Float.BYTES * config.layers() * config.attention().keys() * sequences * positions;
    }

    /** {@code [element][position]}. */
    float[] keys(int sequence, int head) {
        return keys[sequence * heads + head];
    }

    /** {@code [position][element]}. */
    float[] values(int sequence, int head) {
        return values[sequence * heads + head];
    }

    /** Keeps a row's keys and values, of all heads. */
    void put(int sequence, int position, float[] key, int keyAt, float[] value, int valueAt) {
        for (int head = 0; head < heads; head++) {
            float[] columns = keys(sequence, head);
            for (int i = 0; i < headSize; i++) {
                columns[i * positions + position] = key[keyAt + head * headSize + i];
            }
            System.arraycopy(value, valueAt + head * headSize, values(sequence, head), position * headSize, headSize);
        }
    }
}
