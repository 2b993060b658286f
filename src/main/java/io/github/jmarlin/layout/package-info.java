/**
 * The striped layout: an index formula in both directions ({@link io.github.jmarlin.layout.StripedLayout}), the packer that moves
 * whole matrices into it and back, what a weight is ({@link io.github.jmarlin.layout.WeightForm}), and the two 16-bit float formats.
 */
package io.github.jmarlin.layout;
