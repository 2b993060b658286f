package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.Words;

/**
 * Act order. A quantizer that works through the rows of k in another order leaves a group index that jumps about. Sorting the
 * rows by group once, at load, makes the groups contiguous again; the activations' columns then have to follow the same order.
 */
final class InputOrder {
    private InputOrder() {
    }

    /**
     * The order that sorts rows by group, rows of one group staying in theirs: row i of the sorted matrix is row
     * {@code order[i]} of the file. Null if the rows are sorted already.
     *
     * @param groupIndex I32 {@code [k]}, the group of each row
     * @throws MalformedCheckpointException if a group does not exist
     * @throws UnsupportedCheckpointException if a group does not have exactly {@code groupSize} rows (the last: the rest)
     */
    static int[] of(Tensor groupIndex, int k, int groupSize) {
        Shapes.requireType(groupIndex, TensorType.I32);
        Shapes.require(groupIndex, k);
        int groups = (k - 1) / groupSize + 1;
        int[] groupOf = new int[k];
        Words.read(groupIndex, 0, groupOf);

        int[] next = new int[groups + 1];
        for (int row = 0; row < k; row++) {
            if (groupOf[row] < 0 || groupOf[row] >= groups) {
                throw groupIndex.malformed((long) row * Integer.BYTES, groupOf[row], "row " + row
                        + " must belong to one of the groups 0.." + (groups - 1));
            }
            next[groupOf[row] + 1]++;
        }
        for (int group = 0; group < groups; group++) {
            int expected = Math.min(groupSize, k - group * groupSize);
            if (next[group + 1] != expected) {
                throw new UnsupportedCheckpointException(groupIndex.file(), "tensor " + groupIndex.name(),
                        next[group + 1] + " rows in group " + group, "exactly " + expected + " rows in that group");
            }
            next[group + 1] += next[group];
        }

        int[] order = new int[k];
        boolean sorted = true;
        for (int row = 0; row < k; row++) {
            int place = next[groupOf[row]]++;
            order[place] = row;
            sorted &= place == row;
        }
        return sorted ? null : order;
    }

    /** Where each row of the file went. */
    static int[] inverse(int[] order) {
        int[] inverse = new int[order.length];
        for (int i = 0; i < order.length; i++) {
            inverse[order[i]] = i;
        }
        return inverse;
    }
}
