package io.github.jmarlin.memory;

import io.github.jmarlin.JMarlinException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;

/**
 * Lends native memory and lends it again once it is closed: for work in pieces of much the same sizes, which would otherwise have the
 * system map and clear the pages of each. Thread-safe.
 */
public final class MemoryPool implements AutoCloseable {
    /** Memory may be lent for a piece this many times smaller. */
    private static final long LARGEST_RATIO = 2;

    /** What nobody uses, the last used first. */
    private final Deque<NativeMemory> free = new ArrayDeque<>();
    private boolean closed;

    /**
     * Memory of {@code bytes} bytes, of unknown content. Closing it gives it back; that may be after the pool was closed.
     *
     * @param granule as in {@link NativeMemory#allocate}
     */
    public NativeMemory allocate(long bytes, long granule) {
        NativeMemory memory = take(bytes);
        if (memory == null) {
            try {
                memory = NativeMemory.allocate(bytes, granule);
            } catch (JMarlinException e) {
                freeAll();
                memory = NativeMemory.allocate(bytes, granule);
            }
        }
        return memory.lent(bytes, this::giveBack);
    }

    private synchronized NativeMemory take(long bytes) {
        for (Iterator<NativeMemory> memories = free.iterator(); memories.hasNext(); ) {
            NativeMemory memory = memories.next();
            if (memory.size() >= bytes && memory.size() / LARGEST_RATIO <= bytes) {
                memories.remove();
                return memory;
            }
        }
        if (!free.isEmpty()) {
            // None fits: what was lent for pieces of another size is not kept beside the new ones for ever.
            free.removeLast().close();
        }
        return null;
    }

    private synchronized void giveBack(NativeMemory memory) {
        // Of one segment, as is what is kept, any granule stays contiguous.
        if (closed || memory.contiguous(0, memory.size()) < memory.size()) {
            memory.close();
        } else {
            free.addFirst(memory);
        }
    }

    /** Frees what is not lent; the rest is freed when it is given back. */
    @Override
    public synchronized void close() {
        closed = true;
        freeAll();
    }

    private synchronized void freeAll() {
        free.forEach(NativeMemory::close);
        free.clear();
    }
}
