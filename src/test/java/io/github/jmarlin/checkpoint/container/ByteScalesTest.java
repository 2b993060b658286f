package io.github.jmarlin.checkpoint.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** All 256 bytes of both kinds of scales. */
final class ByteScalesTest {
    @Test
    void e4m3() {
        for (int bits = 0; bits < 256; bits++) {
            int exponent = bits % 128 / 8;
            double magnitude = exponent == 0 ? bits % 8 * Math.pow(2, -9) : (1 + bits % 8 / 8.0) * Math.pow(2, exponent - 7);
            float value = ByteScales.E4M3.value((byte) bits);
            if (bits % 128 == 127) {
                assertTrue(Float.isNaN(value), "0x" + Integer.toHexString(bits));
            } else {
                assertEquals(bits < 128 ? magnitude : -magnitude, value, "0x" + Integer.toHexString(bits));
            }
        }
        assertEquals(448, ByteScales.E4M3.value((byte) 0x7e));
        assertEquals(0x1p-9f, ByteScales.E4M3.value((byte) 1));
    }

    @Test
    void e8m0() {
        for (int bits = 0; bits < 255; bits++) {
            assertEquals(Math.pow(2, bits - 127), ByteScales.E8M0.value((byte) bits));
        }
        assertTrue(Float.isNaN(ByteScales.E8M0.value((byte) 255)));
    }
}
