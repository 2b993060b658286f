package io.github.jmarlin.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

final class MemoryPoolTest {
    private static final int MARK = 0x12345678;

    private final MemoryPool pool = new MemoryPool();

    @Test
    void whatWasClosedIsLentAgain() {
        NativeMemory first = pool.allocate(1000, 10);
        NativeMemory second = pool.allocate(1000, 10);
        first.putInt(0, MARK);
        second.putInt(0, MARK + 1);
        first.close();
        first.close();
        try (NativeMemory again = pool.allocate(600, 3); NativeMemory fresh = pool.allocate(1000, 10)) {
            assertEquals(600, again.size());
            assertEquals(MARK, again.getInt(0), "the same memory");
            assertNotEquals(MARK, fresh.getInt(0), "lent once, though closed twice");
            assertThrows(IllegalArgumentException.class, () -> again.getInt(598));
            assertThrows(IllegalStateException.class, () -> first.getInt(0));
            assertEquals(MARK + 1, second.getInt(0));
        }
        second.close();
    }

    /** Neither smaller memory, nor so much larger memory that little of it would be used. */
    @Test
    void onlyWhatFitsIsLentAgain() {
        NativeMemory memory = pool.allocate(1000, 1);
        memory.putInt(0, MARK);
        memory.close();
        try (NativeMemory larger = pool.allocate(1001, 1)) {
            assertEquals(0, larger.getInt(0));
        }
        memory = pool.allocate(1000, 1);
        memory.putInt(0, MARK);
        memory.close();
        try (NativeMemory small = pool.allocate(400, 1)) {
            assertEquals(0, small.getInt(0));
        }
    }

    @Test
    void memoryMayOutliveThePool() {
        NativeMemory memory = pool.allocate(100, 1);
        pool.close();
        pool.close();
        memory.putInt(0, MARK);
        assertEquals(MARK, memory.getInt(0));
        memory.close();
        assertThrows(IllegalStateException.class, () -> memory.getInt(0));
    }
}
