package io.github.jmarlin.bench;

import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.TensorInfo;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.ModelPacker;
import io.github.jmarlin.checkpoint.packed.PackOptions;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Opening a packed model of 300 layers, every layer's weights included; the time must not depend on how large they are. */
@State(Scope.Benchmark)
@BenchmarkMode({Mode.AverageTime, Mode.SingleShotTime})
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class OpenPackedBenchmark {
    private static final int LAYERS = 300;
    private static final int LAYERS_PER_BLOCK = 7;
    private static final int GROUP = 128;

    /** In-features and out-features of each layer: 300 layers of 1024 take 160 MB. */
    @Param({"128", "1024"})
    public int extent;

    private Path folder;

    /** Writes a GPTQ model and packs it. */
    @Setup(Level.Trial)
    public void setUp() throws IOException {
        folder = Files.createTempDirectory("open-packed");
        Path source = Files.createDirectories(folder.resolve("source"));
        Files.writeString(source.resolve("config.json"),
                "{\"quantization_config\":{\"quant_method\":\"gptq\",\"group_size\":128}}");
        SafetensorsWriter.Layout layout = new SafetensorsWriter.Layout();
        for (int layer = 0; layer < LAYERS; layer++) {
            String name = "model.layers." + layer / LAYERS_PER_BLOCK + ".proj_" + layer % LAYERS_PER_BLOCK;
            layout.add(name + ".qweight", TensorType.I32, extent / 8, extent);
            layout.add(name + ".qzeros", TensorType.I32, extent / GROUP, extent / 8);
            layout.add(name + ".scales", TensorType.F16, extent / GROUP, extent);
        }
        try (SafetensorsWriter writer = SafetensorsWriter.create(source.resolve("model.safetensors"), layout, Map.of())) {
            for (TensorInfo tensor : layout.tensors()) {
                ByteBuffer bytes = ByteBuffer.allocate((int) tensor.bytes()).order(ByteOrder.LITTLE_ENDIAN);
                while (bytes.hasRemaining()) {
                    bytes.putInt(tensor.name().endsWith("qzeros") ? 0x77777777 : 0x12341234);
                }
                writer.write(tensor.name(), 0, bytes.flip());
            }
            writer.commit();
        }
        new ModelPacker(Checkpoint.open(source), folder.resolve("packed"), PackOptions.DEFAULT).run();
    }

    /** Deletes it. */
    @TearDown(Level.Trial)
    public void tearDown() throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    /** Maps the files, reads their headers, and makes the weights of every layer. */
    @Benchmark
    public List<?> open() throws IOException {
        PackedModel model = PackedModel.open(folder.resolve("packed"));
        List<?> weights = model.layers().keySet().stream().map(model::weights).toList();
        if (weights.size() != LAYERS) {
            throw new IllegalStateException(weights.size() + " layers instead of " + LAYERS);
        }
        return weights;
    }
}
