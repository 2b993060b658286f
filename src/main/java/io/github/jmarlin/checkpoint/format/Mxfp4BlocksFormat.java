package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.util.List;

/**
 * MXFP4 as gpt-oss stores it: {@code <layer>_blocks} U8 {@code [n][k / 32][16]}, two rows of k in a byte, and {@code <layer>_scales} U8
 * {@code [n][k / 32]}; also with a dot in place of the underscore. Its experts are stacks {@code [e][n][k / 32][16]}, which are not read.
 */
final class Mxfp4BlocksFormat implements WeightFormat {
    private static final String BLOCKS = "blocks";
    private static final String SCALES = "scales";
    private static final int BLOCK_BYTES = 16;

    @Override
    public String scheme() {
        return "MXFP4 blocks";
    }

    @Override
    public String marker() {
        return BLOCKS;
    }

    @Override
    public String layerOf(Tensor tensor, TensorStore tensors) {
        return tensor.type() == TensorType.U8 && hasPart(tensor.name(), BLOCKS) ? moduleOf(tensor.name()) : null;
    }

    @Override
    public String moduleOf(String tensor) {
        for (String part : List.of(BLOCKS, SCALES, "bias")) {
            if (hasPart(tensor, part)) {
                return tensor.substring(0, tensor.length() - part.length() - 1);
            }
        }
        return WeightFormat.super.moduleOf(tensor);
    }

    private static boolean hasPart(String tensor, String part) {
        return tensor.endsWith("_" + part) || tensor.endsWith("." + part);
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        String separator = tensors.find(name + "_" + BLOCKS) != null ? "_" : ".";
        Tensor codes = tensors.require(name + separator + BLOCKS);
        Tensor scales = tensors.require(name + separator + SCALES);
        if (codes.shape().size() == 4) {
            throw Stacks.refuse(codes);
        }
        Shapes.requireRank(codes, 3);
        Shapes.require(codes, codes.shape().get(0), codes.shape().get(1), BLOCK_BYTES);
        return E2m1Layer.of(name, scheme(), codes, scales, E2m1Layer.Numbers.MXFP4, tensors.find(name + separator + "bias"),
                List.of(codes, scales));
    }
}
