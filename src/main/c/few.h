/*
 * The product of a strip with one or two rows, which an instruction set's file includes after strip.h and
 *
 * few_rows(block, blocks, quarter, digits, place_bytes, rows, places, to)
 *   what many_rows does, over the lines of 1 or 2 blocks as they lie, for 1 to FEW_ROWS rows.
 */
TARGET INLINE void add_few(const struct call *call, const uint8_t *block, int64_t segment, int rows, int blocks, int places,
        const struct scales *scales, float totals[][STRIP])
{
    for (int quarter = 0; quarter < STRIP / QUARTER; quarter++) {
        struct quarter to = quarter_of(call, segment, 0, quarter, scales, totals);
        few_rows(block, blocks, quarter, row_digits(call, segment, 0), segment_bytes(call->layer), rows, places, &to);
    }
}

TARGET INLINE void multiply_few(const struct call *call, int64_t strip, int rows, int places, int count)
{
    const struct layer *layer = call->layer;
    float totals[FEW_ROWS][STRIP] = {{0}};
    struct planes planes;
    planes.first = -1;        /* an initializer would clear the blocks */
    for (int64_t segment = 0; segment < layer->segments; segment++) {
        struct scale_row scales;
        read_scales(layer, strip, segment, count, &scales);
        for (int plane = 0; plane < count; plane++) {
            const uint8_t *block = plane_blocks(layer, strip, segment, plane, count, &planes);
            if (segment_blocks(layer, segment) == 2) {
                add_few(call, block, segment, rows, 2, places, &scales.planes[plane], totals);
            } else {
                add_few(call, block, segment, rows, 1, places, &scales.planes[plane], totals);
            }
        }
        add_zero_terms(call, segment, 0, rows, &scales, totals);
    }
    for (int row = 0; row < rows; row++) {
        write_row(call, row, strip, totals[row], widen, narrow);
    }
}

/* NOTES: functions of their own, as in strip.h; of what is the common case. */
TARGET static __attribute__((noinline)) void multiply_one(const struct call *call, int64_t strip)
{
    multiply_few(call, strip, 1, 2, 1);
}

TARGET static __attribute__((noinline)) void multiply_two(const struct call *call, int64_t strip)
{
    multiply_few(call, strip, 2, 2, 1);
}

TARGET static __attribute__((noinline)) void multiply_few_planes(const struct call *call, int64_t strip, int rows)
{
    if (call->type == FP32) {
        multiply_few(call, strip, rows, 3, PLANES);
    } else {
        multiply_few(call, strip, rows, 2, PLANES);
    }
}

TARGET static void multiply(const struct call *call, int64_t strip)
{
    bool three_places = call->type == FP32;
    if (call->rows > FEW_ROWS) {
        multiply_many(call, strip, (struct rows) {0, call->rows});
    } else if (planes_of(call->layer) != 1) {
        multiply_few_planes(call, strip, (int) call->rows);
    } else if (call->rows == 1) {
        three_places ? multiply_few(call, strip, 1, 3, 1) : multiply_one(call, strip);
    } else {
        three_places ? multiply_few(call, strip, 2, 3, 1) : multiply_two(call, strip);
    }
}
