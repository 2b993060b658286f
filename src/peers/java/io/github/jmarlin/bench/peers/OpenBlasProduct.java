package io.github.jmarlin.bench.peers;

import io.github.jmarlin.QuantizedMatrix;
import java.util.stream.IntStream;

/** OpenBLAS's sgemm with the weights as dense floats. */
final class OpenBlasProduct implements Peer {
    private final OpenBlas.Sgemm sgemm;

    OpenBlasProduct(QuantizedMatrix matrix, float[] activations, int m, int threads) {
        int n = matrix.n();
        float[] weights = new float[matrix.k() * n];
        IntStream.range(0, matrix.k()).parallel().forEach(row -> {
            for (int column = 0; column < n; column++) {
                weights[row * n + column] = matrix.weight(row, column);
            }
        });
        sgemm = new OpenBlas.Sgemm(weights, activations, m, matrix.k(), n, threads);
    }

    @Override
    public void multiply() {
        sgemm.multiply();
    }

    @Override
    public float output(int index) {
        return sgemm.output(index);
    }

    @Override
    public void close() {
        sgemm.close();
    }
}
