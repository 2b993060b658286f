/**
 * Checkpoints as people have them, and packed models. What one layer passes through:
 *
 * <pre>
 *   a folder              container/             format/                           packed/
 *   +--------------+      +---------------+      +--------------------------+      +------------------------+
 *   | *.safetensors|----->| TensorStore   |----->| a WeightFormat           |      | PackPlan               |
 *   |              | map  |  named Tensors|      |  AwqFormat, GptqFormat,  |      |  which layer into which|
 *   | *.index.json |      +---------------+      |  CompressedTensorsFormat,|      |  file                  |
 *   |              |                             |  MarlinFormat,DenseFormat|      |         |              |
 *   | config.json, |      +---------------+      |            |             |      |         v              |
 *   | quantize_... |----->| ConfigNode    |----->| ModelConfig: finds and   | read | ModelPacker            |
 *   +--------------+ Json |  value + place|      |  reconciles, picks one   |----->|  slabs of columns on   |
 *                         +---------------+      |            v             |      |  all processors        |
 *                                                | LayerSource: shapes and  |      |         |              |
 *                                                |  types checked           |      |         v              |
 *                                                +--------------------------+      | PackedModel            |
 *                                                                                  |  PackedWeights in the  |
 *                          QuantizedMatrix of some columns, whatever the format    |  map of its files      |
 *                                                                                  +------------------------+
 * </pre>
 * A GGUF file takes the place of the folder: {@link io.github.jmarlin.checkpoint.container.gguf} makes the same tensors and documents
 * of it.
 * {@link io.github.jmarlin.checkpoint.Checkpoint} is the first three columns as one object. Nothing looks to its right:
 * {@code container} knows no format, {@code format} no packed file.
 *
 * <h2>A packed model, layout version 2</h2>
 * Ordinary safetensors files with an index, {@code model.safetensors.index.json}, which is written last: a folder without it
 * is not a model. Each file's metadata has {@code jmarlin.layout_version}, {@code jmarlin.source_fingerprint} (of names,
 * sizes, times and headers of the source, and of the options) and, for each of its layers, {@code jmarlin.layer.<name>}: a
 * JSON object with {@code k, n, group_size, compute_type, code, offset, scale_source, sparsity, columns, bias, act_order,
 * scheme, source_tensors, source_crc32c}; code to columns say what a weight is, in the words of
 * {@link io.github.jmarlin.layout.WeightForm}, and a word that a release does not know is refused. (Earlier files have
 * {@code source_sha256}. Version 1 had {@code zero_points} instead of code to columns, true or false, and is read as 4-bit integers.)
 * A layer's parts are the tensors
 * <table>
 * <caption>Parts of a layer</caption>
 * <tr><th>name</th><th>type and shape</th></tr>
 * <tr><td>{@code <layer>.striped.codes}</td><td>I32 {@code [strips, kBlocks, 4, 32, 4]}; of 8-bit codes {@code [strips, kBlocks, 4, 2, 32, 4]}, of
 *     2:4 sparse weights {@code [strips, kBlocks, 768]}</td></tr>
 * <tr><td>{@code <layer>.striped.scales}</td><td>F16 or BF16 {@code [strips, scaleRows, 64]}</td></tr>
 * <tr><td>{@code <layer>.striped.zeros}</td><td>U16, as the scales; only with zero points. Or float zeros, of the scales' type</td></tr>
 * <tr><td>{@code <layer>.striped.factors}</td><td>F32 {@code [paddedN]}</td></tr>
 * <tr><td>{@code <layer>.striped.bias}</td><td>F32 {@code [paddedN]}; only with a bias</td></tr>
 * <tr><td>{@code <layer>.striped.input_order}</td><td>I32 {@code [k]}; only in act order</td></tr>
 * </table>
 * with the meaning that {@link io.github.jmarlin.PackedWeights} gives them. All other tensors and files are the source's own.
 *
 * <h2>Errors</h2>
 * {@link io.github.jmarlin.checkpoint.container.MalformedCheckpointException} for what breaks a rule,
 * {@link io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException} for what is whole but cannot run,
 * {@code IOException} for what cannot be read or written. The files may come from strangers: nothing they say is used to size
 * memory before it was checked against the size of the file.
 */
package io.github.jmarlin.checkpoint;
