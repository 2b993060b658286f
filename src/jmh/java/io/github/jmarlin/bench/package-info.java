/**
 * How fast it is, measured so that the answer can be believed.
 *
 * <p>A run is a list of {@linkplain io.github.jmarlin.bench.BenchCase cases} in order of importance. Each case is timed for several
 * contenders in turn (JMarlin, cuBLAS, a plain copy, an empty kernel, the CPU path), after their answers were checked against an
 * fp64 reference; it ends as {@linkplain io.github.jmarlin.bench.ResultRow rows} of one results file, from which the table, the
 * charts, the HTML page and the README's table are made. {@code jmarlin bench} and the JMH benchmarks share all of it.
 */
package io.github.jmarlin.bench;
