/**
 * Checkpoints as people have them, and packed models.
 *
 * <pre>
 *   Checkpoint.open(folder)         TensorStore (SafetensorsFile, MappedFile) and ModelConfig; picks the WeightFormat
 *     .layer(name)                  a LayerSource: every tensor's shape and type checked
 *       .read(from, to)             a QuantizedMatrix of some columns, whatever the format
 *   ModelPacker.run()               PackPlan (which layer into which file), ShardPacker (slabs of columns on all processors)
 *   PackedModel.open(folder)        PackedWeights that are regions of the mapped files
 * </pre>
 *
 * <h2>A packed model, layout version 2</h2>
 * Ordinary safetensors files with an index, {@code model.safetensors.index.json}, which is written last: a folder without it
 * is not a model. Each file's metadata has {@code jmarlin.layout_version}, {@code jmarlin.source_fingerprint} (of names,
 * sizes, times and headers of the source, and of the options) and, for each of its layers, {@code jmarlin.layer.<name>}: a
 * JSON object with {@code k, n, group_size, compute_type, code, offset, scale_source, sparsity, columns, bias, act_order,
 * scheme, source_tensors, source_sha256}; code to columns say what a weight is, in the words of
 * {@link io.github.jmarlin.layout.WeightForm}, and a word that a release does not know is refused. (Version 1 had
 * {@code zero_points} instead, true or false, and is read as 4-bit integers.) A layer's parts are the tensors
 * <table>
 * <caption>Parts of a layer</caption>
 * <tr><th>name</th><th>type and shape</th></tr>
 * <tr><td>{@code <layer>.striped.codes}</td><td>I32 {@code [strips, kBlocks, 4, 32, 4]}</td></tr>
 * <tr><td>{@code <layer>.striped.scales}</td><td>F16 or BF16 {@code [strips, scaleRows, 64]}</td></tr>
 * <tr><td>{@code <layer>.striped.zeros}</td><td>U16, as the scales; only with zero points</td></tr>
 * <tr><td>{@code <layer>.striped.factors}</td><td>F32 {@code [paddedN]}</td></tr>
 * <tr><td>{@code <layer>.striped.bias}</td><td>F32 {@code [paddedN]}; only with a bias</td></tr>
 * <tr><td>{@code <layer>.striped.input_order}</td><td>I32 {@code [k]}; only in act order</td></tr>
 * </table>
 * with the meaning that {@link io.github.jmarlin.PackedWeights} gives them. All other tensors and files are the source's own.
 *
 * <h2>Errors</h2>
 * {@link io.github.jmarlin.checkpoint.MalformedCheckpointException} for what breaks a rule,
 * {@link io.github.jmarlin.checkpoint.UnsupportedCheckpointException} for what is whole but cannot run, {@code IOException}
 * for what cannot be read or written. The files may come from strangers: nothing they say is used to size memory before it was
 * checked against the size of the file.
 */
package io.github.jmarlin.checkpoint;
