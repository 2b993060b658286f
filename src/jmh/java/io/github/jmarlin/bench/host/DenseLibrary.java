package io.github.jmarlin.bench.host;

import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;

/** A tuned library for dense fp32 products, if there is one on the class path: see the profile {@code peers}. */
public interface DenseLibrary {
    /** What it is called in results. */
    String name();

    /**
     * A product with operands of its own: {@code c [m][n] = a [m][k] w [k][n]}, row after row.
     *
     * @param threads to use
     */
    Product product(float[] weights, float[] activations, int m, int k, int n, int threads);

    /** A product ready to run. */
    interface Product extends AutoCloseable {
        /** Overwrites the outputs. */
        void multiply();

        /** Element {@code row * n + column} of the outputs. */
        float output(int index);

        @Override
        void close();
    }

    /** The library, or nothing: none on the class path, or its natives are not for this machine. */
    static Optional<DenseLibrary> find() {
        try {
            Optional<DenseLibrary> library = ServiceLoader.load(DenseLibrary.class).findFirst();
            library.ifPresent(DenseLibrary::name);
            return library;
        } catch (ServiceConfigurationError | LinkageError e) {
            return Optional.empty();
        }
    }
}
