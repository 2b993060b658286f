package io.github.jmarlin.checkpoint.container;

import java.nio.ByteBuffer;

/**
 * Scales of one byte.
 *
 * <pre>
 *   E4M3   sign 7 | exponent 6..3 | mantissa 2..0     (-1)^s 2^(e - 7) (1 + m / 8); e = 0: 2^-6 m / 8; 0x7f and 0xff: NaN
 *   E8M0   exponent 7..0                              2^(e - 127); 255: NaN
 * </pre>
 */
public enum ByteScales {
    /** Four bits of exponent, three of mantissa: NVFP4's. */
    E4M3(TensorType.F8_E4M3),
    /** A power of two: MXFP4's. */
    E8M0(TensorType.F8_E8M0);

    private final TensorType type;
    private final float[] values = new float[256];

    ByteScales(TensorType type) {
        this.type = type;
        for (int bits = 0; bits < values.length; bits++) {
            values[bits] = type == TensorType.F8_E4M3 ? e4m3(bits) : bits == 255 ? Float.NaN : (float) Math.scalb(1.0, bits - 127);
        }
    }

    private static float e4m3(int bits) {
        int exponent = bits >> 3 & 15;
        int mantissa = bits & 7;
        if (exponent == 15 && mantissa == 7) {
            return Float.NaN;
        }
        float magnitude = exponent == 0 ? Math.scalb((float) mantissa, -9) : Math.scalb((float) (8 + mantissa), exponent - 10);
        return bits < 128 ? magnitude : -magnitude;
    }

    /** The type that says so itself; U8 is used too. */
    public TensorType type() {
        return type;
    }

    /** The number of a byte; NaN if it has none. */
    public float value(byte bits) {
        return values[bits & 0xff];
    }

    /** Elements {@code [from, to)} of a tensor of bytes taken as one dimension; NaN is refused where it stands. */
    public float[] read(Tensor tensor, long from, long to) {
        int count = Math.toIntExact(to - from);
        ByteBuffer bytes = tensor.slice(from, count);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = value(bytes.get(i));
            if (Float.isNaN(values[i])) {
                throw tensor.malformed(from + i, this + " 0x" + Integer.toHexString(bytes.get(i) & 0xff) + " (NaN)", "must be a number");
            }
        }
        return values;
    }
}
