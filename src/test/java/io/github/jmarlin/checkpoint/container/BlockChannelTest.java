package io.github.jmarlin.checkpoint.container;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class BlockChannelTest {
    private static final int LENGTH = (9 << 20) + 1234;

    @TempDir
    Path folder;

    /** Pieces of all lengths, from memory in blocks and not, in any order and on several threads, are the file they were cut from. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void piecesBecomeTheFile(boolean direct) throws IOException {
        Random random = new Random();
        byte[] expected = new byte[LENGTH];
        random.nextBytes(expected);
        List<int[]> pieces = new ArrayList<>();
        for (int at = 0, length; at < LENGTH; at += length) {
            // From a byte to more than is copied at once; every other one ends with a block.
            length = Math.min(LENGTH - at, 1 + random.nextInt(1 << random.nextInt(23)));
            length = random.nextBoolean() ? Math.min(LENGTH - at, (at + length + 4095) / 4096 * 4096 - at) : length;
            pieces.add(new int[] {at, length});
        }
        Collections.shuffle(pieces, random);
        Path file = folder.resolve("file");
        Files.write(file, new byte[LENGTH + 1]);
        try (BlockChannel channel = BlockChannel.create(file, LENGTH, direct);
                NativeMemory memory = NativeMemory.allocate(LENGTH + 4096L, 1)) {
            assumeTrue(channel.isDirect() == direct, "this file system has no way past its cache");
            memory.copyFrom(0, ByteBuffer.wrap(expected));
            pieces.parallelStream().forEach(piece -> {
                ByteBuffer heap = ByteBuffer.wrap(expected, piece[0], piece[1]);
                ByteBuffer bytes = piece[1] % 3 == 0 ? heap : memory.slice(0, LENGTH).position(piece[0]).limit(piece[0] + piece[1]);
                try {
                    channel.write(bytes, piece[0]);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
                assertEquals(piece[1], bytes.remaining(), "the position stays");
            });
            channel.sync();
        }
        assertArrayEquals(expected, Files.readAllBytes(file), "pieces " + pieces.stream().map(java.util.Arrays::toString).toList());
    }
}
