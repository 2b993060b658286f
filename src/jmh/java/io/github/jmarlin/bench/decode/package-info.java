/** Whole models: tokens per second of the decoder in 4 bits and on dense weights. */
package io.github.jmarlin.bench.decode;
