/** Contenders on the CPU. */
package io.github.jmarlin.bench.host;
