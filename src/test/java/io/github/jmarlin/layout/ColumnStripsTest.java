package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Codes that are packed down their columns are the blocks that rows of them become, of every kind of code. */
final class ColumnStripsTest {
    @ParameterizedTest
    @CsvSource({"INT4, 64", "INT4, 256", "INT8, 64", "INT8, 256", "E2M1, 64", "E2M1, 256"})
    void columnsPackAsRowsDo(WeightForm.Code code, int rowsAtOnce) {
        try (QuantizedMatrix matrix = TestMatrices.random(600, 100, WeightForm.of(code, WeightForm.Offset.MIDDLE, 32), DataType.FP16,
                false, rowsAtOnce); PackedWeights expected = PackedWeights.pack(matrix, DataType.FP16)) {
            StripedLayout layout = expected.layout();
            int bytes = (int) layout.stripCodeBytes();
            for (int index = 0; index < layout.strips(); index++) {
                ByteBuffer packed = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
                new Columns(matrix, index, rowsAtOnce).pack(packed);
                assertEquals(-1, expected.codes().slice(layout.blockOffset(index, 0), bytes).mismatch(packed), "strip " + index);
            }
        }
    }

    private static final class Columns extends ColumnStrips {
        private final QuantizedMatrix matrix;
        private final int index;
        private final int rowsAtOnce;

        Columns(QuantizedMatrix matrix, int index, int rowsAtOnce) {
            super(matrix.layout(), index, rowsAtOnce);
            this.matrix = matrix;
            this.index = index;
            this.rowsAtOnce = rowsAtOnce;
        }

        @Override
        protected void octets(int row, long[] octets) {
            for (int at = 0; at < 64 * rowsAtOnce; at++) {
                int column = index * 64 + at / rowsAtOnce;
                int ofRow = row + at % rowsAtOnce;
                long code = column < matrix.n() && ofRow < matrix.k() ? matrix.code(ofRow, column) : 0;
                octets[at / 8] = (at % 8 == 0 ? 0 : octets[at / 8]) | code << 8 * (at % 8);
            }
        }

        @Override
        public void parameters(float[] scales, float[] floatZeros) {
            throw new UnsupportedOperationException("codes alone");
        }
    }
}
