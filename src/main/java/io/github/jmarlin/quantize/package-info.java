/** Turns weights in floating point into 4-bit codes. */
package io.github.jmarlin.quantize;
