package io.github.jmarlin.llama;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.cpu.CpuDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * A model on the processor: its linear layers are JMarlin's, what is between them runs in fp32 on Java arrays, on the same threads.
 * Key and value caches are fp32.
 */
public final class CpuDecoder implements Decoder {
    /** Rows of a step: enough for the products to be worth their reading of the weights. */
    private static final int MOST_ROWS = 256;
    /** Elements below which waking a thread costs more than it saves. */
    private static final int WORTH_THREADS = 1 << 14;

    private final LlamaModel model;
    private final LlamaConfig config;
    private final CpuDevice device;
    private final StepCheck check;
    private final List<CpuBlock> blocks = new ArrayList<>();
    private final CpuProduct head;
    private final List<AutoCloseable> products = new ArrayList<>();
    private final CpuOperands packedOperands = new CpuOperands();
    private final CpuOperands denseOperands = new CpuOperands();
    private final Inputs inputs;
    private final CpuScratch scratch;
    private boolean closed;

    /** Told what goes into the linear layers, for calibration. */
    public interface Inputs {
        /** @param activations rows of k elements, valid during the call only */
        void of(String layer, float[] activations, int rows, int k);
    }

    /**
     * Places a model.
     *
     * @param sequences and
     * @param positions that the caches have room for
     * @throws IllegalArgumentException if the model has fewer positions
     * @throws JMarlinException if the caches do not fit the heap
     */
    public CpuDecoder(CpuDevice device, LlamaModel model, int sequences, int positions) {
        this(device, model, sequences, positions, null);
    }

    /** @param inputs is told every layer's input; or null */
    public CpuDecoder(CpuDevice device, LlamaModel model, int sequences, int positions, Inputs inputs) {
        this.device = device;
        this.model = model;
        this.inputs = inputs;
        config = model.config();
        check = new StepCheck(config, sequences, positions, MOST_ROWS);
        long cache = KeyValueCache.bytes(config, sequences, positions);
        long heap = Runtime.getRuntime().maxMemory();
        if (cache > heap) {
            throw new JMarlinException("the key/value cache of " + sequences + " sequences of " + positions + " positions takes "
                    + (cache >> 20) + " MB, and the Java heap has " + (heap >> 20) + ": fewer tokens or prompts at once, or java -Xmx");
        }
        scratch = new CpuScratch(config);
        try {
            for (int i = 0; i < config.layers(); i++) {
                blocks.add(block(i, new KeyValueCache(config, sequences, positions)));
            }
            head = product(model.head());
        } catch (RuntimeException | Error e) {
            LlamaModel.close(products);
            throw e;
        }
    }

    private CpuBlock block(int index, KeyValueCache cache) {
        LlamaModel.Block block = model.blocks().get(index);
        LlamaConfig.Attention attention = config.attention();
        return new CpuBlock(index, block, cache,
                new CpuProjections(products(block.qkv()), attention.queries(), attention.keys(), attention.keys()),
                product(block.output()),
                new CpuProjections(products(block.gateUp()), config.intermediate(), config.intermediate()),
                product(block.down()));
    }

    /** One block's weights and cache. */
    private record CpuBlock(int index, LlamaModel.Block weights, KeyValueCache cache, CpuProjections qkv, CpuProduct output,
            CpuProjections gateUp, CpuProduct down) {
    }

    private List<CpuProduct> products(List<Projection> projections) {
        return projections.stream().map(this::product).toList();
    }

    private CpuProduct product(Projection projection) {
        CpuProduct product = projection instanceof Projection.Packed packed
                ? new CpuPackedProduct(device, packed.weights(), packedOperands)
                : new CpuDenseProduct(device, ((Projection.Dense) projection).matrix(), denseOperands);
        products.add(product);
        return product;
    }

    /** Seconds spent in products of 4-bit weights so far. */
    public double packedSeconds() {
        return packedOperands.seconds();
    }

    /** Seconds spent in products of weights in full precision so far. */
    public double denseSeconds() {
        return denseOperands.seconds();
    }

    @Override
    public LlamaConfig config() {
        return config;
    }

    @Override
    public int sequences() {
        return check.sequences();
    }

    @Override
    public int positions() {
        return check.positions();
    }

    @Override
    public int mostRows() {
        return check.mostRows();
    }

    @Override
    public int[] argmax(Step step) {
        float[] logits = logits(step);
        int[] tokens = new int[step.outputs().length];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = Sampler.argmax(logits, i * config.vocabulary(), config.vocabulary());
        }
        return tokens;
    }

    @Override
    public float[] logits(Step step) {
        if (closed) {
            throw new IllegalStateException("this decoder is closed");
        }
        check.accept(step);
        int rows = step.rows();
        scratch.ensure(rows);
        float[] x = scratch.residual;
        for (int row = 0; row < rows; row++) {
            model.embedding().row(step.tokens()[row], x, row * config.hidden());
            config.rotary().at(step.positions()[row], scratch.cosines, scratch.sines, row * config.attention().headSize() / 2);
        }
        for (CpuBlock block : blocks) {
            attention(block, step);
            feedForward(block, rows);
        }
        return head(step);
    }

    private void attention(CpuBlock block, Step step) {
        int rows = step.rows();
        int headSize = config.attention().headSize();
        normed(block.weights.attentionNorm(), rows);
        told(block, LayerInput.ATTENTION, scratch.normed, rows);
        CpuProjections.Part[] qkv = block.qkv.multiply(scratch.normed, rows, scratch.wide);
        forEachRow(rows, qkv[0].stride(), row -> {
            turned(qkv[0], row, config.attention().heads(), block.weights.queryNorm());
            turned(qkv[1], row, config.attention().keyValueHeads(), block.weights.keyNorm());
            block.cache.put(step.sequences()[row], step.positions()[row], qkv[1].values(), qkv[1].row(row), qkv[2].values(),
                    qkv[2].row(row));
        });
        int groups = config.attention().keyValueHeads();
        int shared = config.attention().heads() / groups;
        device.forEach(rows * groups, task -> {
            int row = task / groups;
            int group = task % groups;
            int sequence = step.sequences()[row];
            Operators.attend(qkv[0].values(), qkv[0].row(row) + group * shared * headSize, shared, block.cache.keys(sequence, group),
                    block.cache.values(sequence, group), headSize, block.cache.positions, step.positions()[row],
                    scratch.heads, row * config.attention().queries() + group * shared * headSize);
        });
        told(block, LayerInput.HEADS, scratch.heads, rows);
        block.output.multiply(scratch.heads, rows, scratch.update);
        Operators.add(scratch.residual, scratch.update, rows * config.hidden());
    }

    /** Norms, where the model has them, and turns the heads of a row. */
    private void turned(CpuProjections.Part part, int row, int heads, float[] norm) {
        int headSize = config.attention().headSize();
        for (int head = 0; head < heads; head++) {
            int at = part.row(row) + head * headSize;
            if (norm != null) {
                Operators.norm(part.values(), at, norm, config.epsilon(), part.values(), at);
            }
            Operators.rotate(part.values(), at, scratch.cosines, scratch.sines, row * headSize / 2, headSize / 2);
        }
    }

    private void feedForward(CpuBlock block, int rows) {
        int intermediate = config.intermediate();
        normed(block.weights.feedForwardNorm(), rows);
        told(block, LayerInput.FEED_FORWARD, scratch.normed, rows);
        CpuProjections.Part[] gateUp = block.gateUp.multiply(scratch.normed, rows, scratch.wide);
        int pieces = rows > 1 ? 1 : Math.min(device.threads(), intermediate * 8 / WORTH_THREADS + 1);
        forEachRow(rows * pieces, intermediate * 8 / pieces, task -> {
            int row = task / pieces;
            int begin = (int) ((long) intermediate * (task % pieces) / pieces);
            int end = (int) ((long) intermediate * (task % pieces + 1) / pieces);
            Operators.siluMul(gateUp[0].values(), gateUp[0].row(row) + begin, gateUp[1].values(), gateUp[1].row(row) + begin,
                    scratch.gated, row * intermediate + begin, end - begin);
        });
        told(block, LayerInput.GATED, scratch.gated, rows);
        block.down.multiply(scratch.gated, rows, scratch.update);
        Operators.add(scratch.residual, scratch.update, rows * config.hidden());
    }

    private float[] head(Step step) {
        int[] outputs = step.outputs();
        float[] logits = new float[Math.multiplyExact(outputs.length, config.vocabulary())];
        for (int i = 0; i < outputs.length; i++) {
            Operators.norm(scratch.residual, outputs[i] * config.hidden(), model.norm(), config.epsilon(), scratch.normed,
                    i * config.hidden());
        }
        if (outputs.length > 0) {
            head.multiply(scratch.normed, outputs.length, logits);
        }
        return logits;
    }

    private void normed(float[] factors, int rows) {
        int hidden = config.hidden();
        forEachRow(rows, hidden, row -> Operators.norm(scratch.residual, row * hidden, factors, config.epsilon(), scratch.normed,
                row * hidden));
    }

    private void forEachRow(int rows, int elements, IntConsumer task) {
        if (rows > 1 && (long) rows * elements >= WORTH_THREADS) {
            device.forEach(rows, task);
            return;
        }
        for (int row = 0; row < rows; row++) {
            task.accept(row);
        }
    }

    private void told(CpuBlock block, LayerInput input, float[] activations, int rows) {
        if (inputs != null) {
            input.layers(block.index).forEach(layer -> inputs.of(layer, activations, rows, input.k(config)));
        }
    }

    @Override
    public void close() {
        closed = true;
        LlamaModel.close(products);
    }
}
