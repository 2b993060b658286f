package io.github.jmarlin.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class NativeMemoryTest {
    @Test
    void isZeroedAlignedAndLittleEndian() {
        try (NativeMemory memory = NativeMemory.allocate(1000, 8)) {
            ByteBuffer all = memory.slice(0, 1000);
            assertEquals(ByteOrder.LITTLE_ENDIAN, all.order());
            assertEquals(0, all.alignmentOffset(0, NativeMemory.ALIGNMENT));
            for (int i = 0; i < 1000; i++) {
                assertEquals(0, all.get(i), "byte " + i);
            }
            memory.putLong(8, 0x0807060504030201L);
            for (int i = 0; i < 8; i++) {
                assertEquals(i + 1, memory.getByte(8 + i));
            }
            assertEquals(0x0201, memory.getShort(8));
            assertEquals(0x06050403, memory.getInt(10));
            memory.putFloat(992, -0.0f);
            assertEquals(0x80000000, memory.getInt(992));
            memory.fill((byte) 7);
            assertEquals(0x0707070707070707L, memory.getLong(992));
        }
    }

    @Test
    void whatIsAsLongAsAPageStartsWithOne() {
        try (NativeMemory memory = NativeMemory.allocate(4096, 1)) {
            assertEquals(0, memory.slice(0, 4096).alignmentOffset(0, 4096));
        }
    }

    /** Segments of three granules of 24 bytes: what a matrix of several GiB looks like, in small. */
    @Test
    void granulesNeverCrossSegments() {
        try (NativeMemory memory = NativeMemory.allocate(24 * 10 + 5, 24, 80)) {
            for (int granule = 0; granule < 10; granule++) {
                ByteBuffer slice = memory.slice(24L * granule, 24);
                assertEquals(granule % 3 == 0, slice.alignmentOffset(0, NativeMemory.ALIGNMENT) == 0, "granule " + granule);
                for (int i = 0; i < 24; i++) {
                    slice.put(i, (byte) (24 * granule + i));
                }
            }
            for (int i = 0; i < 240; i++) {
                assertEquals((byte) i, memory.getByte(i), "byte " + i);
            }
            rejects(() -> memory.slice(71, 2), "2 bytes at offset 71", "segments of 72 bytes");
            rejects(() -> memory.getLong(140), "8 bytes at offset 140");
            assertEquals(1, memory.contiguous(71, 100));
            assertEquals(29, memory.slice(216, 29).capacity());
        }
    }

    @Test
    void copiesAcrossSegments() {
        try (NativeMemory memory = NativeMemory.allocate(245, 24, 80)) {
            ByteBuffer source = ByteBuffer.allocate(204);
            for (int i = 0; i < 204; i++) {
                source.put(i, (byte) (i * 7));
            }
            source.position(4);
            memory.copyFrom(31, source);
            assertEquals(4, source.position());
            ByteBuffer back = ByteBuffer.allocate(210).position(10);
            memory.copyTo(31, back);
            assertEquals(10, back.position());
            for (int i = 0; i < 200; i++) {
                assertEquals(source.get(4 + i), back.get(10 + i), "byte " + i);
            }
            assertEquals(0, memory.getByte(30));
            assertEquals(0, memory.getByte(231));
        }
    }

    @Test
    void mapsFilesReadOnly(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("bytes");
        byte[] content = new byte[5000];
        for (int i = 0; i < content.length; i++) {
            content[i] = (byte) (i * 31);
        }
        Files.write(file, content);
        try (NativeMemory memory = NativeMemory.map(file, 123, 4000, 8)) {
            for (int i = 0; i < 4000; i++) {
                assertEquals(content[123 + i], memory.getByte(i), "byte " + i);
            }
            assertThrows(java.nio.ReadOnlyBufferException.class, () -> memory.putByte(0, (byte) 1));
        }
        String message = assertThrows(IOException.class, () -> NativeMemory.map(file, 2000, 3001, 8)).getMessage();
        assertTrue(message.contains("3001 bytes at offset 2000") && message.contains("5000 bytes"), message);
        assertThrows(IOException.class, () -> NativeMemory.map(file, -1, 1, 8));
    }

    @Test
    void rejectsRangesOutside() {
        try (NativeMemory memory = NativeMemory.allocate(100, 1)) {
            rejects(() -> memory.getByte(100), "1 bytes at offset 100", "100 bytes");
            rejects(() -> memory.getByte(-1), "offset -1");
            rejects(() -> memory.getLong(93), "8 bytes at offset 93");
            rejects(() -> memory.slice(0, 101), "101 bytes");
            rejects(() -> memory.slice(1, -1), "-1 bytes");
            rejects(() -> memory.getLong(Long.MAX_VALUE), "offset " + Long.MAX_VALUE);
            rejects(() -> memory.copyFrom(90, ByteBuffer.allocate(11)), "11 bytes at offset 90");
        }
        rejects(() -> NativeMemory.allocate(-1, 1), "bytes -1");
        rejects(() -> NativeMemory.allocate(1, 0), "granule 0");
        rejects(() -> NativeMemory.allocate(1, 1L << 31), "granule 2147483648");
    }

    @Test
    void wrappedBuffersStayTheirOwners() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(16).order(ByteOrder.BIG_ENDIAN).position(4);
        NativeMemory memory = NativeMemory.wrap(buffer);
        assertEquals(12, memory.size());
        memory.putInt(0, 0x04030201);
        memory.close();
        assertEquals(0x01020304, buffer.getInt(4));
    }

    @Test
    void saysThatItIsClosed() {
        NativeMemory memory = NativeMemory.allocate(64, 1);
        memory.close();
        memory.close();
        assertTrue(memory.isClosed());
        for (Executable use : new Executable[] {() -> memory.getByte(0), () -> memory.putInt(0, 1), () -> memory.slice(0, 1),
            () -> memory.fill((byte) 0), () -> memory.copyTo(0, ByteBuffer.allocate(1)), memory::acquire}) {
            String message = assertThrows(IllegalStateException.class, use).getMessage();
            assertTrue(message.contains("64 bytes used after close"), message);
        }
    }

    @Test
    void cannotBeClosedWhileHeld() {
        NativeMemory memory = NativeMemory.allocate(64, 1);
        memory.acquire();
        memory.acquire();
        assertTrue(assertThrows(IllegalStateException.class, memory::close).getMessage().contains("in use by 2 holder"));
        memory.release();
        memory.release();
        assertFalse(memory.isClosed());
        assertTrue(assertThrows(IllegalStateException.class, memory::release).getMessage().contains("without being acquired"));
        memory.close();
    }

    /** Many threads take and give back; the memory closes only when the last has. */
    @Test
    void countsHoldersOfManyThreads() throws InterruptedException {
        NativeMemory memory = NativeMemory.allocate(64, 1);
        CountDownLatch start = new CountDownLatch(1);
        Thread[] threads = new Thread[4];
        memory.acquire();
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> {
                try {
                    start.await();
                } catch (InterruptedException e) {
                    return;
                }
                for (int run = 0; run < 20_000; run++) {
                    memory.acquire();
                    memory.release();
                }
            });
            threads[i].start();
        }
        start.countDown();
        for (Thread thread : threads) {
            thread.join();
        }
        assertTrue(assertThrows(IllegalStateException.class, memory::close).getMessage().contains("in use by 1 holder"));
        memory.release();
        memory.close();
    }

    private static void rejects(Executable call, String... parts) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), "\"" + part + "\" is not in: " + message);
        }
    }
}
