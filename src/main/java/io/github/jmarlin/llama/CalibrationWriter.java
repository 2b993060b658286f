package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.container.FileProblem;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.cpu.CpuDevice;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Records what goes into a model's linear layers as {@link io.github.jmarlin.checkpoint.format.Calibration} reads it: a tensor
 * {@code <layer>.input} in fp32, {@code [tokens][k]}, for each layer, in one safetensors file.
 */
public final class CalibrationWriter {
    private static final String FILE = "calibration.safetensors";

    private final CpuDevice device;
    private final LlamaModel model;
    private final int length;

    /** What was written. */
    public record Result(int layers, long bytes) {
    }

    /** Told how far it is. */
    public interface Progress {
        /** A token is done; {@code next} says what comes. */
        void step(String next);
    }

    /** @param length tokens of a sequence, after which the next one begins anew */
    public CalibrationWriter(CpuDevice device, LlamaModel model, int length) {
        this.device = device;
        this.model = model;
        this.length = length;
    }

    /**
     * Runs tokens through the model. The file is there whole or not at all.
     *
     * @throws IllegalArgumentException if the model does not know a token
     * @throws java.nio.file.FileSystemException if the disk has too little space
     */
    public Result write(int[] tokens, Path folder, Progress progress) throws IOException {
        Map<String, Integer> layers = layers();
        SafetensorsWriter.Layout layout = new SafetensorsWriter.Layout();
        layers.forEach((name, k) -> layout.add(name + ".input", TensorType.F32, tokens.length, k));
        FileProblem.explained("make this folder", folder, () -> Files.createDirectories(folder));
        try (SafetensorsWriter writer = SafetensorsWriter.create(folder.resolve(FILE), layout, Map.of())) {
            Recorder recorder = new Recorder(writer);
            try (CpuDecoder decoder = new CpuDecoder(device, model, 1, Math.min(length, tokens.length), recorder)) {
                int from = 0;
                while (from < tokens.length) {
                    int position = from % length;
                    int rows = Math.min(decoder.mostRows(), Math.min(length - position, tokens.length - from));
                    recorder.firstRow = from;
                    Step step = Step.prompt(0, position, Arrays.copyOfRange(tokens, from, from + rows), false);
                    decoder.logits(new Step(step.sequences(), step.positions(), step.tokens(), new int[0]));
                    from += rows;
                    for (int i = 0; i < rows; i++) {
                        progress.step(from + " of " + tokens.length + " tokens");
                    }
                }
            } catch (UncheckedIOException e) {
                throw e.getCause();
            }
            writer.commit();
        }
        return new Result(layers.size(), layout.bytes());
    }

    /** The names of all blocks' linear layers, and the elements of their inputs. */
    private Map<String, Integer> layers() {
        LlamaConfig config = model.config();
        Map<String, Integer> layers = new LinkedHashMap<>();
        for (int i = 0; i < config.layers(); i++) {
            for (LayerInput input : LayerInput.values()) {
                input.layers(i).forEach(name -> layers.put(name, input.k(config)));
            }
        }
        return layers;
    }

    private static final class Recorder implements CpuDecoder.Inputs {
        private final SafetensorsWriter writer;
        private long firstRow;

        Recorder(SafetensorsWriter writer) {
            this.writer = writer;
        }

        @Override
        public void of(String layer, float[] activations, int rows, int k) {
            ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact(rows * k, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(activations, 0, rows * k);
            try {
                writer.write(layer + ".input", firstRow * k * Float.BYTES, bytes);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
