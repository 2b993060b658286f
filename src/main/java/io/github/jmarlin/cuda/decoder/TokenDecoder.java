package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DecodeGraph;
import io.github.jmarlin.cuda.HostExchange;
import io.github.jmarlin.cuda.Workspace;
import io.github.jmarlin.memory.Closing;
import io.github.jmarlin.plan.WorkspaceSize;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Decodes rows of tokens on a device, with a key/value cache for some sequences. A decode step, at most a row of each sequence and all of
 * them wanted, is one CUDA graph for each number of rows, captured when it first comes; other steps, prompts above all, are launched kernel
 * by kernel. In both the products fetch for one another, see {@link DecodeGraph}. Four numbers a row go up, one comes down, or the logits.
 *
 * <p>Rows are the caller's to check: ids, sequences and positions in range, and all positions of a sequence up to a row's own written,
 * before or in the same step. One thread at a time.
 */
public final class TokenDecoder implements AutoCloseable {
    private final CudaEngine engine;
    private final DecoderShape shape;
    private final int mostRows;
    private final int graphRows;
    private final DecoderBuffers buffers;
    private final HostExchange exchange;
    private final DecodeGraph decode;
    private final DecodeGraph prompt;
    private final DecodeGraph head;
    private final Deque<AutoCloseable> owned = new ArrayDeque<>();
    private int firstOutput;

    /**
     * Room for a decoder's work.
     *
     * @param weights complete; must stay open as long as this
     * @param sequences that the cache has room for
     * @param positions of each of them
     * @param mostRows of a step
     * @param angles {@code [positions][head size]}: of each position the cosines of the head's pairs, then the sines
     * @throws io.github.jmarlin.DeviceOutOfMemoryException if it does not fit the device
     */
    public TokenDecoder(DecoderWeights weights, int sequences, int positions, int mostRows, float[] angles) {
        engine = weights.engine();
        shape = weights.shape();
        this.mostRows = mostRows;
        if (sequences < 1 || positions < 1 || mostRows < 1 || angles.length != (long) positions * shape.headSize()) {
            throw new IllegalArgumentException("sequences " + sequences + ", positions " + positions + ", rows " + mostRows + ", angles "
                    + angles.length + ": all positive, and head size " + shape.headSize() + " angles a position");
        }
        weights.embedding();
        weights.users().acquire();
        owned.push(weights.users()::release);
        try {
            int gathered = weights.projections().stream().filter(DeviceProjection::gathers).mapToInt(DeviceProjection::k).max().orElse(0);
            buffers = own(new DecoderBuffers(engine, shape, mostRows, positions, gathered));
            graphRows = Math.min(sequences, buffers.outputs());
            KeyValueCache cache = own(new KeyValueCache(engine, shape, weights.blocks().size(), sequences, positions, angles));
            exchange = own(engine.newHostExchange(Math.toIntExact(Math.max(buffers.rows().size(), buffers.logits().size())), "decoding"));
            WorkspaceSize size = weights.projections().stream().map(layer -> layer.workspaceFor(mostRows))
                    .reduce(WorkspaceSize.NONE, WorkspaceSize::max);
            Workspace workspace = own(engine.newWorkspace(exchange.stream(), size));
            RowKernels kernels = new RowKernels(engine, shape, workspace);
            decode = own(new StepAssembly(workspace, kernels, buffers, weights, cache).blocks().head(() -> 0).build());
            prompt = own(new StepAssembly(workspace, kernels, buffers, weights, cache).blocks().build());
            head = own(new StepAssembly(workspace, kernels, buffers, weights, cache).head(() -> buffers.output(firstOutput)).build());
        } catch (Throwable e) {
            Closing.after(e, owned.toArray(AutoCloseable[]::new));
            throw e;
        }
    }

    private <T extends AutoCloseable> T own(T resource) {
        owned.push(resource);
        return resource;
    }

    /** What an output's results are read as. */
    private interface Results {
        /** Of outputs {@code first .. first + count - 1}, from host memory. */
        void take(int first, int count, ByteBuffer memory);
    }

    /**
     * The token with the largest logit of each output, of equal ones the first.
     *
     * @param outputs the rows that are wanted, ascending
     * @throws JMarlinException if a row's logits are not numbers
     */
    public int[] ids(int[] tokens, int[] sequences, int[] positions, int[] outputs) {
        int[] ids = new int[outputs.length];
        run(tokens, sequences, positions, outputs, false,
                (first, count, memory) -> memory.asIntBuffer().get(ids, first, count));
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0) {
                throw new JMarlinException("row " + outputs[i] + ", position " + positions[outputs[i]] + " of sequence "
                        + sequences[outputs[i]] + ": its logits are not numbers");
            }
        }
        return ids;
    }

    /** Logits of each output, {@code [outputs][vocabulary]}; otherwise as {@link #ids}. */
    public float[] logits(int[] tokens, int[] sequences, int[] positions, int[] outputs) {
        float[] logits = new float[Math.multiplyExact(outputs.length, shape.vocabulary())];
        run(tokens, sequences, positions, outputs, true, (first, count, memory) -> {
            for (int i = 0; i < count; i++) {
                memory.asFloatBuffer().position(i * buffers.logitsStride()).get(logits, (first + i) * shape.vocabulary(),
                        shape.vocabulary());
            }
        });
        return logits;
    }

    private void run(int[] tokens, int[] sequences, int[] positions, int[] outputs, boolean logits, Results results) {
        int rows = tokens.length;
        if (rows < 1 || rows > mostRows || sequences.length != rows || positions.length != rows || outputs.length > rows) {
            throw new IllegalArgumentException(rows + " tokens, " + sequences.length + " sequences, " + positions.length + " positions, "
                    + outputs.length + " outputs: rows in 1.." + mostRows + " expected, as many of each, and not more outputs");
        }
        engine.runInContext(() -> {
            IntBuffer up = exchange.memory().asIntBuffer();
            int[][] arrays = {tokens, positions, sequences, outputs};
            for (int i = 0; i < arrays.length; i++) {
                up.position(i * mostRows).put(arrays[i]);
            }
            exchange.upload(buffers.rows(), (int) buffers.rows().size());
            if (outputs.length == rows && rows <= graphRows) {
                decode.launch(rows);
                take(0, rows, logits, results);
                return;
            }
            prompt.run(rows);
            for (int first = 0; first < outputs.length; first += buffers.outputs()) {
                firstOutput = first;
                int count = Math.min(outputs.length - first, buffers.outputs());
                head.run(count);
                take(first, count, logits, results);
            }
            exchange.await();
        });
    }

    private void take(int first, int count, boolean logits, Results results) {
        if (logits) {
            exchange.download(buffers.logits(), Float.BYTES * (buffers.logitsStride() * (count - 1) + shape.vocabulary()));
        } else {
            exchange.download(buffers.ids(), Integer.BYTES * count);
        }
        exchange.await();
        results.take(first, count, exchange.memory());
    }

    /** Frees the device memory; the weights stay open. A second call does nothing. */
    @Override
    public void close() {
        AutoCloseable[] resources = owned.toArray(AutoCloseable[]::new);
        owned.clear();
        Closing.all(resources);
    }
}
