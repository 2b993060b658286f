package io.github.jmarlin.llama;

import java.util.Arrays;
import java.util.List;

/**
 * The products that read the same activations, one behind the other or joined in one, and where in their results each part's outputs
 * lie. One thread at a time.
 */
final class CpuProjections {
    private final List<CpuProduct> products;
    private final int[] widths;

    /** @param widths out-features of each part: as many as products, or as many as are joined in the only one */
    CpuProjections(List<CpuProduct> products, int... widths) {
        this.products = products;
        this.widths = widths;
        if (products.stream().mapToInt(CpuProduct::n).sum() != Arrays.stream(widths).sum()
                || products.size() != 1 && products.size() != widths.length) {
            throw new IllegalArgumentException(products.size() + " products do not have the parts " + Arrays.toString(widths));
        }
    }

    /** Results of one part: row r begins at {@code at + r * stride}. */
    record Part(float[] values, int at, int stride) {
        int row(int row) {
            return at + row * stride;
        }
    }

    /** Multiplies m rows {@code [m][k]}; the parts are valid until the next call with these buffers. */
    Part[] multiply(float[] a, int m, float[][] buffers) {
        Part[] parts = new Part[widths.length];
        int at = 0;
        for (int i = 0; i < widths.length; i++) {
            if (i < products.size()) {
                int size = Math.multiplyExact(m, products.get(i).n());
                if (buffers[i] == null || buffers[i].length < size) {
                    buffers[i] = new float[size];
                }
                products.get(i).multiply(a, m, buffers[i]);
            }
            boolean joined = products.size() == 1;
            parts[i] = new Part(buffers[joined ? 0 : i], joined ? at : 0, joined ? products.get(0).n() : widths[i]);
            at += widths[i];
        }
        return parts;
    }
}
