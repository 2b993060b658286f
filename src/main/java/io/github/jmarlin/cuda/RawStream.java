package io.github.jmarlin.cuda;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import jcuda.driver.CUstream;

/**
 * Streams of other libraries, which know them as a number: the CUstream or cudaStream_t itself.
 *
 * <p>NOTES: JCuda's CUstream has a constructor for it that only its own package sees. It is found once; with a JCuda that has none,
 * raw streams are refused with the reason.
 */
final class RawStream {
    private static final MethodHandle FROM_NUMBER;
    private static final String PROBLEM;

    static {
        MethodHandle found = null;
        String problem = "";
        try {
            found = MethodHandles.privateLookupIn(CUstream.class, MethodHandles.lookup())
                    .findConstructor(CUstream.class, MethodType.methodType(void.class, long.class));
        } catch (ReflectiveOperationException | RuntimeException e) {
            problem = "this JCuda makes no stream of a number: " + e;
        }
        FROM_NUMBER = found;
        PROBLEM = problem;
    }

    private RawStream() {
    }

    /**
     * @param stream the handle; 0 is the default stream
     * @throws IllegalStateException with the reason, if JCuda does not let us
     */
    static CUstream of(long stream) {
        if (FROM_NUMBER == null) {
            throw new IllegalStateException(PROBLEM);
        }
        try {
            return (CUstream) FROM_NUMBER.invokeExact(stream);
        } catch (Throwable e) {
            throw new IllegalStateException("no CUstream of 0x" + Long.toHexString(stream), e);
        }
    }
}
