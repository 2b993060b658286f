package io.github.jmarlin.checkpoint.container;

import java.nio.ByteBuffer;

/** The 32-bit words of a tensor of integers of any width, taken as one dimension. */
public final class Words {
    private static final int PIECE = 1 << 20;

    private Words() {
    }

    /** Fills {@code words} from word {@code first} on. */
    public static void read(Tensor tensor, long first, int[] words) {
        tensor.slice(first * Integer.BYTES, words.length * Integer.BYTES).asIntBuffer().get(words);
    }

    /** Byte offset in the tensor of the first word that is not {@code value}, or -1. */
    public static long firstOther(Tensor tensor, int value) {
        for (long at = 0; at < tensor.bytes(); at += PIECE) {
            ByteBuffer piece = tensor.slice(at, (int) Math.min(PIECE, tensor.bytes() - at));
            for (int i = 0; i < piece.capacity(); i += Integer.BYTES) {
                if (piece.getInt(i) != value) {
                    return at + i;
                }
            }
        }
        return -1;
    }
}
