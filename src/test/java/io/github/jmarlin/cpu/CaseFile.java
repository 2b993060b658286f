package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** A product as {@code src/test/c/product_check.c} reads it. */
final class CaseFile {
    private CaseFile() {
    }

    /** Writes weights, m rows of activations, and what is done to the sums. */
    static void write(Path file, PackedWeights weights, DataType type, ByteBuffer a, int m, Epilogue epilogue) throws IOException {
        StripedLayout layout = weights.layout();
        int segmentRows = Activations.segmentRows(layout);
        int segments = (layout.paddedK() - 1) / segmentRows + 1;
        try (NativeMemory factors = NativeLayer.factors(weights);
                NativeMemory order = weights.hasInputOrder() ? NativeLayer.order(weights) : null;
                FileChannel out = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                        StandardOpenOption.TRUNCATE_EXISTING)) {
            List<ByteBuffer> regions = new ArrayList<>();
            NativeMemory[] memories = {weights.codes(), weights.scales(), weights.zeros(), factors,
                weights.form().hasFloatZeros() ? weights.factors() : null, weights.bias(), order};
            for (NativeMemory memory : memories) {
                regions.add(memory == null ? ByteBuffer.allocate(0) : memory.slice(0, (int) memory.size()));
            }
            regions.add(a.slice(0, m * weights.k() * type.bytes()));
            regions.add(epilogue.residualRows() == null ? ByteBuffer.allocate(0) : epilogue.residualRows());
            regions.add(epilogue.rowFactors() == null ? ByteBuffer.allocate(0) : epilogue.rowFactors());
            ByteBuffer header = ByteBuffer.allocate(22 * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            for (long number : new long[] {NativeLayer.typeNumber(type), m, weights.k(), weights.n(), layout.kBlocks(),
                NativeLayer.codeNumber(weights.form().code()), segmentRows,
                segments, layout.isOneGroup() ? segments : layout.groupSize() / segmentRows, NativeLayer.typeNumber(weights.computeType()),
                NativeLayer.typeNumber(epilogue.outputType(type)), epilogue.siluMul() ? 1 : 0}) {
                header.putLong(number);
            }
            regions.forEach(region -> header.putLong(region.remaining()));
            out.write(header.flip());
            for (ByteBuffer region : regions) {
                while (region.hasRemaining()) {
                    out.write(region);
                }
            }
        }
    }
}
