package io.github.jmarlin.testing;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.PackedShards;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/** A layer in as many shards as there are ranks, each on its rank's device, for FP16 activations. */
public final class LayerShards implements AutoCloseable {
    private static final DataType TYPE = DataType.FP16;

    private final List<LinearLayer> ranks = new ArrayList<>();
    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private final int[] cuts;

    private LayerShards(QuantizedMatrix matrix, List<? extends ComputeDevice> devices, boolean alongK) {
        PackedWeights whole = closing(PackedWeights.pack(matrix, TYPE));
        cuts = PackedShards.cuts(alongK ? matrix.k() : matrix.n(), devices.size(), Math.max(64, matrix.groupSize()));
        for (int rank = 0; rank < devices.size(); rank++) {
            PackedWeights shard = closing(alongK ? PackedShards.rows(whole, cuts[rank], cuts[rank + 1])
                    : PackedShards.columns(whole, cuts[rank], cuts[rank + 1]));
            ranks.add(closing(devices.get(rank).place(shard)));
        }
    }

    /** Each rank computes some of the outputs, from all inputs. */
    public static LayerShards columns(QuantizedMatrix matrix, List<? extends ComputeDevice> devices) {
        return new LayerShards(matrix, devices, false);
    }

    /** Each rank sums over some of the inputs, for all outputs. */
    public static LayerShards rows(QuantizedMatrix matrix, List<? extends ComputeDevice> devices) {
        return new LayerShards(matrix, devices, true);
    }

    private <T extends AutoCloseable> T closing(T resource) {
        open.push(resource);
        return resource;
    }

    /** One rank's product, into poisoned memory; the inputs are rounded to FP16. */
    public float[] multiply(int rank, float[] a, int m, Epilogue epilogue) {
        DataType output = epilogue.outputType(TYPE);
        float[] values = new float[m * epilogue.outputColumns(ranks.get(rank).n())];
        ByteBuffer c = direct(values.length * output.bytes());
        for (int i = 0; i < c.capacity(); i++) {
            c.put(i, (byte) 0xff);
        }
        ranks.get(rank).multiply(TYPE, halves(a), m, c, epilogue);
        for (int i = 0; i < values.length; i++) {
            values[i] = output == DataType.FP32 ? c.getFloat(4 * i) : HalfFloats.decode(output, c.getShort(2 * i));
        }
        return values;
    }

    /** The sum of all ranks' products in their order, in FP32; for row shards, each of which gets its part of {@code [m][k]}. */
    public float[] sum(float[] a, int m) {
        List<float[]> parts = new ArrayList<>();
        for (int rank = 0; rank < ranks.size(); rank++) {
            parts.add(multiply(rank, part(a, m, rank), m, Epilogue.NONE.withFloatOutput()));
        }
        return ShardedBlock.sum(parts);
    }

    /** As {@link #sum}, each rank adding to what those before it left. */
    public float[] accumulate(float[] a, int m) {
        ByteBuffer c = direct(m * ranks.get(0).n() * Float.BYTES);
        for (int rank = 0; rank < ranks.size(); rank++) {
            Epilogue toFp32 = Epilogue.NONE.withFloatOutput();
            ranks.get(rank).multiply(TYPE, halves(part(a, m, rank)), m, c, rank == 0 ? toFp32 : toFp32.withAccumulation());
        }
        float[] sums = new float[c.capacity() / Float.BYTES];
        c.asFloatBuffer().get(sums);
        return sums;
    }

    /** The columns of the activations that a rank's rows multiply. */
    private float[] part(float[] a, int m, int rank) {
        int k = a.length / m;
        int width = cuts[rank + 1] - cuts[rank];
        float[] part = new float[m * width];
        for (int row = 0; row < m; row++) {
            System.arraycopy(a, row * k + cuts[rank], part, row * width, width);
        }
        return part;
    }

    private static ByteBuffer halves(float[] values) {
        ByteBuffer bytes = direct(values.length * TYPE.bytes());
        for (float value : values) {
            bytes.putShort(HalfFloats.encode(TYPE, value));
        }
        return bytes.flip();
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    @Override
    public void close() {
        while (!open.isEmpty()) {
            try {
                open.pop().close();
            } catch (Exception e) {
                throw new AssertionError("closing a shard", e);
            }
        }
    }
}
