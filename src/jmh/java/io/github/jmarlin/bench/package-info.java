/**
 * How fast it is, measured so that the answer can be believed.
 *
 * <p>Contenders ({@link io.github.jmarlin.bench.Contenders}) are timed in turn at the products of real models
 * ({@link io.github.jmarlin.bench.ModelShapes}), after their answers were checked against an fp64 reference. Every time goes to a
 * {@link io.github.jmarlin.bench.Journal} as a {@link io.github.jmarlin.bench.Measurement}; from these alone come the
 * {@link io.github.jmarlin.bench.Figures}, the table, the charts, the HTML page and the README's table. {@code jmarlin bench} and
 * the JMH benchmarks share all of it.
 */
package io.github.jmarlin.bench;
