package io.github.jmarlin.memory;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;

/**
 * Frees direct and mapped buffers at once, through the one door Java 17 leaves open for it: {@code Unsafe.invokeCleaner} of the
 * module jdk.unsupported. Where the door is shut the garbage collector frees them later.
 */
final class BufferCleaner {
    private static final Object UNSAFE;
    private static final Method INVOKE_CLEANER;

    static {
        Object unsafe = null;
        Method invokeCleaner = null;
        try {
            Class<?> type = Class.forName("sun.misc.Unsafe");
            Field instance = type.getDeclaredField("theUnsafe");
            instance.setAccessible(true);
            invokeCleaner = type.getMethod("invokeCleaner", ByteBuffer.class);
            unsafe = instance.get(null);
        } catch (ReflectiveOperationException | RuntimeException e) {
            invokeCleaner = null;
        }
        UNSAFE = unsafe;
        INVOKE_CLEANER = invokeCleaner;
    }

    private BufferCleaner() {
    }

    /** Frees buffers that came from {@code allocateDirect} or {@code map} themselves (not slices); nulls are skipped. */
    static void free(ByteBuffer[] buffers) {
        if (INVOKE_CLEANER == null) {
            return;
        }
        for (ByteBuffer buffer : buffers) {
            if (buffer != null) {
                try {
                    INVOKE_CLEANER.invoke(UNSAFE, buffer);
                } catch (ReflectiveOperationException e) {
                    throw new AssertionError("buffer of " + buffer.capacity() + " bytes could not be freed", e);
                }
            }
        }
    }
}
