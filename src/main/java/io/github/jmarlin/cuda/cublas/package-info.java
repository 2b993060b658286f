/**
 * Finds cuBLAS, and makes JCublas2 12.6 work with version 12 and with version 13. JCublas is an optional dependency: nothing here
 * needs it, or a driver, to load.
 */
package io.github.jmarlin.cuda.cublas;
