package io.github.jmarlin.bench.peers;

import io.github.jmarlin.bench.host.DenseLibrary;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;

/** OpenBLAS as the dense contender of the benchmarks. */
public final class OpenBlas implements DenseLibrary {
    @Override
    public String name() {
        return "OpenBLAS";
    }

    @Override
    public DenseLibrary.Product product(float[] weights, float[] activations, int m, int k, int n, int threads) {
        return new Sgemm(weights, activations, m, k, n, threads);
    }

    /** c [m][n] = a [m][k] w [k][n], all off the Java heap. */
    static final class Sgemm implements DenseLibrary.Product {
        private final int m;
        private final int k;
        private final int n;
        private final FloatPointer w;
        private final FloatPointer a;
        private final FloatPointer c;

        Sgemm(float[] weights, float[] activations, int m, int k, int n, int threads) {
            this.m = m;
            this.k = k;
            this.n = n;
            openblas.blas_set_num_threads(threads);
            w = new FloatPointer(weights);
            a = new FloatPointer(activations);
            c = new FloatPointer((long) m * n);
        }

        @Override
        public void multiply() {
            if (m == 1) {
                openblas.cblas_sgemv(openblas.CblasRowMajor, openblas.CblasTrans, k, n, 1, w, n, a, 1, 0, c, 1);
            } else {
                openblas.cblas_sgemm(openblas.CblasRowMajor, openblas.CblasNoTrans, openblas.CblasNoTrans, m, n, k, 1, a, k, w, n, 0, c, n);
            }
        }

        @Override
        public float output(int index) {
            return c.get(index);
        }

        @Override
        public void close() {
            w.close();
            a.close();
            c.close();
        }
    }
}
