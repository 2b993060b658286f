/** cuBLAS through JCublas2 12.6, on machines that have cuBLAS 12 and on those that have only 13. */
package io.github.jmarlin.bench.cublas;
