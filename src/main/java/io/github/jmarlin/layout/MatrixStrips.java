package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;

/** The strips of a matrix: {@link BlockRows rows} of codes to {@link BlockCodes blocks}, {@link SparseRows compressed} before if sparse. */
final class MatrixStrips implements StripSource {
    private final QuantizedMatrix matrix;

    MatrixStrips(QuantizedMatrix matrix) {
        this.matrix = matrix;
    }

    @Override
    public StripedLayout layout() {
        return matrix.layout();
    }

    @Override
    public DataType scaleType() {
        return matrix.scaleType();
    }

    @Override
    public float[] bias() {
        if (!matrix.hasBias()) {
            return null;
        }
        float[] bias = new float[matrix.n()];
        for (int column = 0; column < bias.length; column++) {
            bias[column] = matrix.bias(column);
        }
        return bias;
    }

    @Override
    public double columnScale(int column) {
        return matrix.columnScale(column);
    }

    @Override
    public Strip strip(int index) {
        return new MatrixStrip(index);
    }

    private final class MatrixStrip implements Strip {
        private final int index;

        MatrixStrip(int index) {
            this.index = index;
        }

        @Override
        public void parameters(float[] scales, float[] floatZeros) {
            for (int group = 0; group < matrix.groups(); group++) {
                read(matrix.scales(), group, scales);
                if (floatZeros.length != 0) {
                    read(matrix.floatZeros(), group, floatZeros);
                }
            }
        }

        private void read(NativeMemory rows, int group, float[] values) {
            DataType type = matrix.scaleType();
            int firstColumn = index * StripedLayout.BLOCK;
            int width = Math.min(StripedLayout.BLOCK, matrix.n() - firstColumn);
            ByteBuffer row = rows.slice(((long) group * matrix.n() + firstColumn) * type.bytes(), width * type.bytes());
            int at = group * StripedLayout.BLOCK;
            if (type == DataType.FP32) {
                row.asFloatBuffer().get(values, at, width);
                return;
            }
            for (int i = 0; i < width; i++) {
                values[at + i] = HalfFloats.decode(type, row.getShort(i * Short.BYTES));
            }
        }

        @Override
        public int zeroPoint(int group, int column) {
            return matrix.zeroPoint(group, column);
        }

        @Override
        public boolean isZero(int group, int column) {
            return ShiftedScales.isZero(matrix, group, column);
        }

        @Override
        public void pack(ByteBuffer target) {
            StripedLayout layout = matrix.layout();
            WeightForm form = layout.form();
            BlockCodes blocks = BlockCodes.of(form.code());
            long[] rows = new long[form.blockRows() * BlockRows.longs(form.code())];
            long[] stored = form.isSparse() ? new long[StripedLayout.BLOCK * BlockRows.longs(form.code())] : rows;
            for (int block = 0; block < layout.kBlocks(); block++) {
                int at = block * form.blockBytes();
                BlockRows.read(matrix.codes(), layout, index, block, rows);
                if (form.isSparse()) {
                    SparseRows.compress(layout, index, block, rows, stored, target, at + form.blockCodeBytes());
                }
                blocks.pack(stored, target, at);
            }
        }
    }
}
