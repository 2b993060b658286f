package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import java.nio.ByteBuffer;

/** Weights that {@link StripedPacker} packs, strip by strip and on several threads: a matrix, or a file that needs not become one. */
public interface StripSource {
    /** Shape and form. */
    StripedLayout layout();

    /** The type of the scales, and of float zeros. */
    DataType scaleType();

    /** The bias of every column, or null. */
    float[] bias();

    /** What column {@code column} is multiplied with besides its scales. */
    default double columnScale(int column) {
        return 1;
    }

    /** A strip, for one thread. */
    Strip strip(int index);

    /** The columns of a strip that exist, 64 or at the end fewer. */
    interface Strip {
        /**
         * Reads scales, and float zeros if the form has them.
         *
         * @param scales {@code [groups][64]}
         * @param floatZeros {@code [groups][64]}, or empty
         */
        void parameters(float[] scales, float[] floatZeros);

        /** The zero point of a column of the matrix. */
        int zeroPoint(int group, int column);

        /** Whether all weights of a group and column are 0 whatever its scale is. */
        boolean isZero(int group, int column);

        /** Writes the strip's blocks. */
        void pack(ByteBuffer target);
    }
}
