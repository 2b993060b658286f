package io.github.jmarlin.llama;

/**
 * Rows to decode at once: row r is token {@code tokens[r]} at position {@code positions[r]} of sequence {@code sequences[r]}. It attends
 * to all positions of its sequence up to its own, so those must be in the cache or earlier in this step. A prompt is many rows of one
 * sequence, a decode step one row of each; both may be mixed.
 *
 * @param sequences places in the cache, from 0
 * @param positions from 0; the first row of a sequence in this step may go back, which forgets what was behind it
 * @param tokens ids, from 0
 * @param outputs the rows whose logits are wanted, ascending; their order is that of the results
 */
public record Step(int[] sequences, int[] positions, int[] tokens, int[] outputs) {
    /** Rows. */
    public int rows() {
        return tokens.length;
    }

    /** Tokens of one sequence, the first at {@code position}; the last row's logits are wanted, or with {@code all} every row's. */
    public static Step prompt(int sequence, int position, int[] tokens, boolean all) {
        int[] sequences = new int[tokens.length];
        int[] positions = new int[tokens.length];
        for (int i = 0; i < tokens.length; i++) {
            sequences[i] = sequence;
            positions[i] = position + i;
        }
        return new Step(sequences, positions, tokens, all ? first(tokens.length) : new int[] {tokens.length - 1});
    }

    /** A row for each of several sequences, all of whose logits are wanted. */
    public static Step tokens(int[] sequences, int[] positions, int[] tokens) {
        return new Step(sequences, positions, tokens, first(tokens.length));
    }

    private static int[] first(int count) {
        int[] rows = new int[count];
        for (int i = 0; i < count; i++) {
            rows[i] = i;
        }
        return rows;
    }
}
