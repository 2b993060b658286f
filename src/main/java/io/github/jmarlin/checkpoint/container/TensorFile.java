package io.github.jmarlin.checkpoint.container;

import java.nio.file.Path;
import java.util.Map;

/** A mapped file of named tensors, every rule of its format checked. Immutable and thread-safe; nothing to close. */
public interface TensorFile {
    /** Where it lies. */
    Path path();

    /** Size of the file in bytes. */
    long size();

    /** The string pairs of a safetensors header; none in other containers. */
    Map<String, String> metadata();

    /** The tensors by name, in the order of their data. */
    Map<String, Tensor> tensors();
}
