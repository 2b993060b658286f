/**
 * Other people's libraries beside the CPU path: ONNX Runtime's 4-bit product and OpenBLAS's dense one. Compiled only with
 * {@code -Ppeers}, which brings 74 MB of them.
 */
package io.github.jmarlin.bench.peers;
