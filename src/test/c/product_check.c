/*
 * Multiplies one case with one instruction set, for the sanitizers and for processors that the JVM of the tests does not run on.
 *   product_check SET CASE RESULT
 * CASE holds 64-bit numbers {type, rows, k, n, blocks, code_type, segment_rows, segments, segments_per_scale, scale_type, output_type,
 * silu_mul, bytes of codes, scales, zeros, factors, factors of float zeros, bias, order, activations, residual, row factors}, then these
 * regions one after another. RESULT gets the outputs, then a byte per row: 1 refused. Every region is an allocation of its own, so that an address sanitizer sees each step out of it. Exits 3 if this machine
 * does not have the instruction set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "product.h"

enum { HEADER = 22, REGIONS = 10, FIRST_REGION = 12 };

static void *allocate(int64_t bytes)
{
    /* The kernels ask for no alignment beyond that of the elements; regions of 0 bytes are none. */
    void *memory = bytes == 0 ? 0 : malloc((size_t) bytes);
    if (bytes != 0 && memory == 0) {
        fprintf(stderr, "product_check: no memory for %lld bytes\n", (long long) bytes);
        exit(1);
    }
    return memory;
}

int main(int argc, char **argv)
{
    enum instruction_set set = argc == 4 ? (enum instruction_set) atoi(argv[1]) : NEON;
    if (argc != 4 || state_of(set) != READY) {
        return 3;
    }
    const struct product *product = product_of(set);
    int64_t header[HEADER];
    static void *regions[REGIONS];    /* static: what is never freed must stay in sight of the leak sanitizer */
    FILE *file = fopen(argv[2], "rb");
    if (file == 0 || fread(header, sizeof header, 1, file) != 1) {
        return 1;
    }
    for (int i = 0; i < REGIONS; i++) {
        int64_t bytes = header[FIRST_REGION + i];
        regions[i] = allocate(bytes);
        if (bytes != 0 && fread(regions[i], (size_t) bytes, 1, file) != 1) {
            return 1;
        }
    }
    fclose(file);
    int64_t type = header[0], rows = header[1], k = header[2], n = header[3], blocks = header[4], segment_rows = header[6],
            segments = header[7];
    int64_t strips = (n + STRIP - 1) / STRIP, units = (rows + UNIT_ROWS - 1) / UNIT_ROWS;
    static struct strip *strip;
    strip = allocate(strips * (int64_t) sizeof *strip);
    for (int64_t i = 0; i < strips; i++) {
        strip[i].codes = (const uint8_t *) regions[0] + i * (header[FIRST_REGION] / strips);
        strip[i].scales = (const uint16_t *) regions[1] + i * (header[FIRST_REGION + 1] / strips / 2);
        strip[i].zeros = regions[2] == 0 ? 0 : (const uint16_t *) regions[2] + i * (header[FIRST_REGION + 2] / strips / 2);
    }
    static struct layer layer;
    layer = (struct layer) {k, n, blocks, header[5], segment_rows, segments, header[8], header[9], regions[3], regions[4], regions[5],
            regions[6], strip};
    int64_t outputs = rows * (header[11] != 0 ? n / 2 : n) * element_bytes(header[10]);
    static struct call call;
    call = (struct call) {
        .layer = &layer, .type = type, .rows = rows, .a = regions[7], .c = allocate(outputs),
        .digits = allocate(rows * segments * segment_bytes(&layer) * digits_of(type)),
        .units = allocate(rows * segments * 4), .sums = allocate(rows * segments * 8),
        .refused = allocate(rows), .output_type = header[10], .residual = regions[8], .row_factors = regions[9], .silu_mul = header[11],
    };
    memset(call.c, 0, (size_t) outputs);    /* rows that are refused are not written */
    for (int64_t unit = 0; unit < units; unit++) {
        product->read(&call, unit);
    }
    for (int64_t i = strips - 1; i >= 0; i--) {
        product->multiply(&call, i);
    }
    file = fopen(argv[3], "wb");
    if (file == 0 || fwrite(call.c, (size_t) outputs, 1, file) != 1
            || fwrite(call.refused, (size_t) rows, 1, file) != 1 || fclose(file) != 0) {
        return 1;
    }
    return 0;
}
