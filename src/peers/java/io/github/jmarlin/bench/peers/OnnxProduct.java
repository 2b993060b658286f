package io.github.jmarlin.bench.peers;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.jmarlin.QuantizedMatrix;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;

/** ONNX Runtime's MatMulNBits with fp32 activations and outputs in place: no allocation and no copy in a run. */
final class OnnxProduct implements Peer {
    private final OrtSession session;
    private final OnnxTensor a;
    private final OnnxTensor y;
    private final FloatBuffer outputs;

    /** @param accuracyLevel see {@link OnnxModel#of} */
    OnnxProduct(QuantizedMatrix matrix, int accuracyLevel, float[] activations, int m, int threads) {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(threads);
            session = environment.createSession(OnnxModel.of(matrix, accuracyLevel), options);
            FloatBuffer inputs = allocate(m * matrix.k());
            inputs.put(0, activations);
            outputs = allocate(m * matrix.n());
            a = OnnxTensor.createTensor(environment, inputs, new long[] {m, matrix.k()});
            y = OnnxTensor.createTensor(environment, outputs, new long[] {m, matrix.n()});
        } catch (OrtException e) {
            throw new IllegalStateException("ONNX Runtime: " + e.getMessage(), e);
        }
    }

    private static FloatBuffer allocate(int elements) {
        return ByteBuffer.allocateDirect(elements * Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer();
    }

    @Override
    public void multiply() {
        try (OrtSession.Result result = session.run(Map.of("a", a), Map.of("y", y))) {
            // In y.
        } catch (OrtException e) {
            throw new IllegalStateException("ONNX Runtime: " + e.getMessage(), e);
        }
    }

    @Override
    public float output(int index) {
        return outputs.get(index);
    }

    @Override
    public void close() throws OrtException {
        a.close();
        y.close();
        session.close();
    }
}
