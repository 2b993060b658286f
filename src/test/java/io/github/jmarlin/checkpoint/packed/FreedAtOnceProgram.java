package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.quantize.RoundToNearest;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.function.Supplier;

/** Lets one allocation after the other fail for lack of direct memory, and reads bad layers; prints what stays allocated. */
final class FreedAtOnceProgram {
    /** As the JVM was told. */
    static final long LIMIT = 4 << 20;

    private static final int SIZE = 1024;
    /** What native memory takes more than was asked for. */
    private static final int ALIGNMENT_LOSS = NativeMemory.PAGE_BYTES - 1;

    private FreedAtOnceProgram() {
    }

    public static void main(String[] folder) throws IOException {
        float[] weights = TestMatrices.gaussian(SIZE * SIZE, 1);
        RoundToNearest quantizer = new RoundToNearest(32, DataType.FP16, true, false);
        fail("quantize", () -> quantizer.quantize(weights, SIZE, SIZE));
        try (QuantizedMatrix matrix = TestMatrices.layer(SIZE, SIZE, 32, DataType.FP16, true, true, 1);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            fail("pack", () -> PackedWeights.pack(matrix, DataType.FP16));
            fail("unpack", packed::unpack);
        }
        weights[SIZE] = Float.NaN;
        refuse("quantize", () -> quantizer.quantize(weights, SIZE, SIZE));
        float[] scales = new float[128];
        scales[70] = Float.NaN;
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1)
                .floats("a.scales", TensorType.F16, scales, 2, 64);
        model.write(Path.of(folder[0]), TestModel.quantization("{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32}"));
        LayerSource layer = Checkpoint.open(Path.of(folder[0])).layer("a");
        refuse("read", layer::read);
    }

    /** With room for everything but a few bytes, for everything but a few thousand, and so on: another allocation fails each time. */
    private static void fail(String what, Supplier<? extends AutoCloseable> make) {
        long before = used();
        close(make.get());          // whatever it keeps for the next time
        long needed = needed(make);
        for (long missing : new long[] {1, 6_000, 75_000, 140_000, needed}) {
            try (NativeMemory filler = NativeMemory.allocate(LIMIT - used() - needed + missing - ALIGNMENT_LOSS, 1)) {
                long filled = used();
                try {
                    close(make.get());
                    System.out.println(what + " with " + missing + " bytes too little: did not fail");
                } catch (JMarlinException e) {
                    System.out.println(what + ": " + (used() - filled) + " bytes stay allocated");
                }
            }
        }
        System.out.println(what + ": " + (used() - before) + " bytes stay allocated");
    }

    private static long needed(Supplier<? extends AutoCloseable> make) {
        long before = used();
        AutoCloseable made = make.get();
        long needed = used() - before;
        close(made);
        return needed;
    }

    private static void refuse(String what, Supplier<? extends AutoCloseable> make) {
        long before = used();
        try {
            close(make.get());
            System.out.println(what + " of NaN: did not fail");
        } catch (IllegalArgumentException | MalformedCheckpointException e) {
            System.out.println(what + " of NaN: " + (used() - before) + " bytes stay allocated");
        }
    }

    private static void close(AutoCloseable resource) {
        try {
            resource.close();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static long used() {
        return ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream().filter(pool -> pool.getName().equals("direct"))
                .mapToLong(BufferPoolMXBean::getTotalCapacity).sum();
    }
}
