package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.github.jmarlin.DataType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every one of the 65536 patterns, and every border between two of them, against the definition of the formats in doubles. */
class HalfFloatsTest {
    private static int exponentBits(DataType type) {
        return type == DataType.FP16 ? 5 : 8;
    }

    /** The value by definition: (-1)^s * 2^(e - bias) * 1.m, or with e = 0, 2^(1 - bias) * 0.m. Infinity where e is all ones. */
    private static double define(DataType type, int bits) {
        int mantissaBits = 15 - exponentBits(type);
        int bias = (1 << exponentBits(type) - 1) - 1;
        int exponent = bits >>> mantissaBits & (1 << exponentBits(type)) - 1;
        double mantissa = (bits & (1 << mantissaBits) - 1) / (double) (1 << mantissaBits);
        double magnitude;
        if (exponent == (1 << exponentBits(type)) - 1) {
            magnitude = mantissa == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        } else {
            magnitude = exponent == 0 ? mantissa * Math.pow(2, 1 - bias) : (1 + mantissa) * Math.pow(2, exponent - bias);
        }
        return bits >>> 15 == 0 ? magnitude : -magnitude;
    }

    /** Bits of infinity. */
    private static int infinity(DataType type) {
        return (1 << exponentBits(type)) - 1 << 15 - exponentBits(type);
    }

    @ParameterizedTest
    @EnumSource(names = {"FP16", "BF16"})
    void everyPatternDecodesToItsDefinitionAndBack(DataType type) {
        for (int bits = 0; bits < 1 << 16; bits++) {
            double expected = define(type, bits);
            float decoded = HalfFloats.decode(type, (short) bits);
            assertEquals(expected, decoded, "pattern " + Integer.toHexString(bits));
            assertEquals(Double.isFinite(expected), HalfFloats.isFinite(type, (short) bits), "pattern " + bits);
            short fromFloat = HalfFloats.encode(type, decoded);
            short fromDouble = HalfFloats.encode(type, (double) decoded);
            if (Double.isNaN(expected)) {
                assertTrue(Float.isNaN(HalfFloats.decode(type, fromFloat)), "pattern " + Integer.toHexString(bits));
                assertTrue(Float.isNaN(HalfFloats.decode(type, fromDouble)), "pattern " + Integer.toHexString(bits));
            } else {
                assertEquals((short) bits, fromFloat, "pattern " + Integer.toHexString(bits));
                assertEquals((short) bits, fromDouble, "pattern " + Integer.toHexString(bits));
            }
        }
    }

    /** Between neighbours: the midpoint goes to the even one, the numbers just beside it to the nearer one. Both signs. */
    @ParameterizedTest
    @EnumSource(names = {"FP16", "BF16"})
    void everyBorderRoundsToNearestEven(DataType type) {
        for (int low = 0; low < infinity(type); low++) {
            int high = low + 1;
            double step = low + 1 < infinity(type) ? define(type, high) - define(type, low) : define(type, low) - define(type, low - 1);
            double tie = define(type, low) + step / 2;
            checkDouble(type, low % 2 == 0 ? low : high, tie);
            checkDouble(type, low, Math.nextDown(tie));
            checkDouble(type, high, Math.nextUp(tie));
            float tieAsFloat = (float) tie;
            if (tieAsFloat != tie) {
                fail("the midpoint above pattern " + low + " is no float: " + tie);
            }
            checkFloat(type, low % 2 == 0 ? low : high, tieAsFloat);
            checkFloat(type, low, Math.nextDown(tieAsFloat));
            checkFloat(type, high, Math.nextUp(tieAsFloat));
        }
    }

    private static void checkDouble(DataType type, int expected, double value) {
        String what = type + " of " + value + " (" + Double.toHexString(value) + ")";
        assertEquals((short) expected, HalfFloats.encode(type, value), what);
        assertEquals((short) (expected | 0x8000), HalfFloats.encode(type, -value), "minus " + what);
        assertEquals(define(type, expected), HalfFloats.nearest(type, value), what);
        assertEquals(define(type, expected | 0x8000), HalfFloats.nearest(type, -value), "minus " + what);
    }

    private static void checkFloat(DataType type, int expected, float value) {
        String what = type + " of " + value + " (" + Float.toHexString(value) + ")";
        assertEquals((short) expected, HalfFloats.encode(type, value), what);
        assertEquals((short) (expected | 0x8000), HalfFloats.encode(type, -value), "minus " + what);
    }

    /** 1 + 2^-11 + 2^-40 rounds up; through float it would become the tie 1 + 2^-11 and round down. */
    @Test
    void doublesAreRoundedOnce() {
        assertEquals(0x3c01, HalfFloats.toFp16(1 + 0x1p-11 + 0x1p-40));
        assertEquals(0x3f81, HalfFloats.toBf16(1 + 0x1p-8 + 0x1p-40));
    }

    @Test
    void overflowAndUnderflow() {
        assertEquals(0x7bff, HalfFloats.toFp16(Math.nextDown(65520f)));
        assertEquals(0x7c00, HalfFloats.toFp16(65520f));
        assertEquals(0x7c00, HalfFloats.toFp16(1e300));
        assertEquals((short) 0xff80, HalfFloats.toBf16(-1e300));
        assertEquals(0, HalfFloats.toFp16(Double.MIN_VALUE));
        assertEquals((short) 0x8000, HalfFloats.toBf16(-Double.MIN_VALUE));
    }

    @Test
    void fp32IsNo16BitType() {
        assertTrue(assertThrows(IllegalArgumentException.class, () -> HalfFloats.encode(DataType.FP32, 1f)).getMessage()
                .contains("FP32"));
    }
}
