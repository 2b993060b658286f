package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.DataType;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DecoderKernel;
import io.github.jmarlin.cuda.DecoderKernel.Kind;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.cuda.Workspace;

/**
 * The kernels between the quantized products, launched on a workspace's stream with the grids and the shared memory that their headers in
 * {@code src/main/cuda/decoder} ask for. Addresses and sizes are the caller's to get right. For m rows, h hidden, d head size:
 *
 * <pre>
 *   kernel      blocks                              device memory, bytes
 *   embed       a thread per 8 columns              6 m h
 *   norm        a row each                          6 m h, with an addition 12 m h
 *   rotary      a warp per head of q, k and v       4 m d (heads + 2 kv heads)
 *   attention   row, kv head, 4 heads, splits       4 d kv heads (position + 1) of every row, 4 m d heads; partial sums where split
 *   silu_mul    a thread per 8 columns              6 m f
 *   product     32 columns, 8 or 32 rows            2 n k, activations from L2, 4 or 2 m n
 *   argmax      a row each                          4 m n
 * </pre>
 */
final class RowKernels {
    /** Positions that a block of the attention kernel takes at a time. */
    static final int CHUNK = 128;
    /** Query heads that it takes. */
    static final int TILE_HEADS = 4;

    private static final int WARPS = DecoderKernel.THREADS / 32;
    private static final int PIECE = 8;
    private static final int BLOCKS_PER_MULTIPROCESSOR = 8;
    private static final int PRODUCT_COLUMNS = 32;
    private static final int FEW_ROWS = 8;
    private static final int MANY_ROWS = 32;
    private static final int NORM_SHARED_BYTES = WARPS * Float.BYTES;
    private static final int ARGMAX_SHARED_BYTES = WARPS * 2 * Integer.BYTES;

    private final DecoderShape shape;
    private final Workspace workspace;
    private final int mostBlocks;
    private final DecoderKernel embed;
    private final DecoderKernel norm;
    private final DecoderKernel rotary;
    private final DecoderKernel attention;
    private final DecoderKernel siluMul;
    private final DecoderKernel argmax;
    /** Of results in the operands' type and in floats, of few rows and of many. */
    private final DecoderKernel[][] products = new DecoderKernel[2][2];

    RowKernels(CudaEngine engine, DecoderShape shape, Workspace workspace) {
        this.shape = shape;
        this.workspace = workspace;
        mostBlocks = engine.facts().multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
        String type = shape.type() == DataType.FP16 ? "f16" : "bf16";
        embed = new DecoderKernel(engine, Kind.EMBED, type);
        norm = new DecoderKernel(engine, Kind.NORM, type);
        rotary = new DecoderKernel(engine, Kind.ROTARY, type);
        attention = new DecoderKernel(engine, Kind.ATTENTION, type);
        siluMul = new DecoderKernel(engine, Kind.SILU_MUL, type);
        argmax = new DecoderKernel(engine, Kind.ARGMAX, "");
        for (int floats = 0; floats < 2; floats++) {
            for (int many = 0; many < 2; many++) {
                products[floats][many] = new DecoderKernel(engine, Kind.PRODUCT,
                        type + (floats == 0 ? "_same_m" : "_floats_m") + (many == 0 ? FEW_ROWS : MANY_ROWS));
            }
        }
    }

    /** {@code x[i] = table[ids[i]]}. */
    void embed(int m, long ids, DenseWeights table, long x) {
        embed.launch(workspace, blocks(m, shape.hidden() / PIECE, DecoderKernel.THREADS), 0, ids, table.address(), x, m, shape.hidden());
    }

    /**
     * {@code x[s] += delta[s]}, then {@code out[i] = norm(x[s]) * weight}.
     *
     * @param delta 0 for nothing to add
     * @param sources address of m row numbers s, or 0: s is i
     */
    void norm(int m, long x, long delta, DeviceBuffer weight, long sources, long out) {
        norm.launch(workspace, m, NORM_SHARED_BYTES, x, delta, weight.address(), sources, out, m, shape.hidden(), bits(shape.epsilon()));
    }

    /** Norms and turns q into a buffer of its own and k into the cache, where v goes as it is. */
    void rotary(int m, DecoderBuffers at, DeviceBuffer queryNorm, DeviceBuffer keyNorm, KeyValueCache cache, int layer) {
        int heads = shape.heads() + 2 * shape.keyValueHeads();
        rotary.launch(workspace, blocks(m, heads, WARPS), 0, at.qkv(), queryNorm == null ? 0 : queryNorm.address(),
                keyNorm == null ? 0 : keyNorm.address(), cache.angles(), at.positions(), at.slots(), at.queries(), cache.keys(layer),
                cache.values(layer), shape.qkv(), m, shape.heads(), shape.keyValueHeads(), shape.headSize(), cache.positions(),
                bits(shape.epsilon()));
    }

    void attention(int m, DecoderBuffers at, KeyValueCache cache, int layer) {
        int items = m * shape.keyValueHeads() * shape.headTiles();
        int splits = at.splits(items);
        float scale = (float) (1 / (Math.log(2) * Math.sqrt(shape.headSize())));
        attention.launch(workspace, items * splits, attentionSharedBytes(shape.headSize()), at.queries(), cache.keys(layer),
                cache.values(layer), at.positions(), at.slots(), at.attended(), at.partials(), at.counters(), m, shape.heads(),
                shape.keyValueHeads(), shape.headSize(), cache.positions(), bits(scale));
    }

    /** What {@code AttentionShared} lays out: queries, scores, two statistics of four warps, planes of sums. */
    static int attentionSharedBytes(int headSize) {
        int pieces = headSize / PIECE;
        return 4 * TILE_HEADS * headSize + 4 * TILE_HEADS * CHUNK + 2 * 64
                + 2 * TILE_HEADS * 16 * (DecoderKernel.THREADS + pieces % PIECE);
    }

    /** Floats that a chunk leaves where several blocks share a row. */
    static int partialFloats(int headSize) {
        return 2 * TILE_HEADS + TILE_HEADS * headSize;
    }

    void siluMul(int m, long gateUp, long out) {
        siluMul.launch(workspace, blocks(m, shape.intermediate() / PIECE, DecoderKernel.THREADS), 0, gateUp, out, m, shape.intermediate());
    }

    /** @param floats whether c is FP32 */
    void product(int m, long a, DenseWeights w, long c, long ldc, boolean floats) {
        int rows = m <= FEW_ROWS ? FEW_ROWS : MANY_ROWS;
        int grid = Math.multiplyExact((m + rows - 1) / rows, (w.n() + PRODUCT_COLUMNS - 1) / PRODUCT_COLUMNS);
        int sharedBytes = WARPS * rows * Float.BYTES * (PRODUCT_COLUMNS + 4);
        products[floats ? 1 : 0][rows == FEW_ROWS ? 0 : 1].launch(workspace, grid, sharedBytes, a, w.address(), w.bias(), c, w.k(), ldc, m,
                w.n(), w.k());
    }

    void argmax(int m, long logits, long ld, long ids) {
        argmax.launch(workspace, m, ARGMAX_SHARED_BYTES, logits, ids, ld, m, shape.vocabulary());
    }

    private static long bits(float value) {
        return Float.floatToRawIntBits(value);
    }

    /** Blocks for {@code m * each} pieces of work, of which one takes so many at a time. */
    private int blocks(int m, int each, int atATime) {
        return (int) Math.min(mostBlocks, ((long) m * each + atATime - 1) / atATime);
    }
}
