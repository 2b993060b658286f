/**
 * One reader for each scheme in which linear layers are stored, and what finds out which one a model needs. A new scheme is a
 * new {@link io.github.jmarlin.checkpoint.format.WeightFormat} and its line in
 * {@link io.github.jmarlin.checkpoint.format.ModelConfig}.
 */
package io.github.jmarlin.checkpoint.format;
