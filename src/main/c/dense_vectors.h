/* The product of dense.c for vectors of VECTOR floats, 4, 8 or 16: included once for each, with NAME(x) making names of its own and
   TARGET the instruction set. */

typedef float NAME(floats) __attribute__((vector_size(4 * VECTOR)));
typedef uint32_t NAME(words) __attribute__((vector_size(4 * VECTOR)));
typedef uint16_t NAME(halves) __attribute__((vector_size(2 * VECTOR)));

/* ---- elements to fp32 ---- */

/* Sign to sign, exponent and mantissa to the lower end of fp32's exponent; what is missing is a factor. Subnormals come out right, and
   infinities and NaN were refused when the matrix was read. */
TARGET INLINE void NAME(widen_fp16)(const uint16_t *from, float *to)
{
    NAME(halves) given;
    memcpy(&given, from, sizeof given);
    NAME(words) bits = __builtin_convertvector(given, NAME(words));
    bits = (bits & 0x8000) << 16 | (bits & 0x7fff) << 13;
    NAME(floats) value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    memcpy(to, &value, sizeof value);
}

TARGET INLINE void NAME(widen_bf16)(const uint16_t *from, float *to)
{
    NAME(halves) given;
    memcpy(&given, from, sizeof given);
    NAME(words) bits = __builtin_convertvector(given, NAME(words)) << 16;
    memcpy(to, &bits, sizeof bits);
}

/* count elements, and zeros up to whole lanes. */
TARGET INLINE void NAME(widen)(enum dense_type type, const uint8_t *from, int64_t count, float *to)
{
    int64_t whole = count / LANES * LANES, i = 0;
    if (type == DENSE_FP32) {
        memcpy(to, from, count * sizeof *to);
        memset(to + count, 0, (count == whole ? 0 : whole + LANES - count) * sizeof *to);
        return;
    }
    const uint16_t *element = (const uint16_t *) from;
    for (; i < whole; i += VECTOR) {
        type == DENSE_FP16 ? NAME(widen_fp16)(element + i, to + i) : NAME(widen_bf16)(element + i, to + i);
    }
    if (i < count) {
        uint16_t last[LANES] = {0};
        memcpy(last, element + i, (count - i) * sizeof *last);
        for (int j = 0; j < LANES; j += VECTOR) {
            type == DENSE_FP16 ? NAME(widen_fp16)(last + j, to + i + j) : NAME(widen_bf16)(last + j, to + i + j);
        }
    }
}

/* ---- products ---- */

/* Adds the products of one vector of activations to four sums. */
#define ADD(at) \
    { \
        NAME(floats) w0, w1, w2, w3; \
        memcpy(&w0, columns[0] + (at), sizeof w0); \
        memcpy(&w1, columns[1] + (at), sizeof w1); \
        memcpy(&w2, columns[2] + (at), sizeof w2); \
        memcpy(&w3, columns[3] + (at), sizeof w3); \
        sum0 += given * w0; \
        sum1 += given * w1; \
        sum2 += given * w2; \
        sum3 += given * w3; \
    }

/* Adds a block's products to the lanes of four columns, as many lanes at a time as a vector has. */
TARGET INLINE void NAME(add_block)(const float *a, int64_t count, const float columns[COLUMNS][PITCH], float sums[COLUMNS][LANES])
{
    int64_t whole = count / LANES * LANES;
    float last[LANES] = {0};
    memcpy(last, a + whole, (count - whole) * sizeof *last);
    for (int lane = 0; lane < LANES; lane += VECTOR) {
        NAME(floats) sum0, sum1, sum2, sum3, given;
        memcpy(&sum0, sums[0] + lane, sizeof sum0);
        memcpy(&sum1, sums[1] + lane, sizeof sum1);
        memcpy(&sum2, sums[2] + lane, sizeof sum2);
        memcpy(&sum3, sums[3] + lane, sizeof sum3);
        for (int64_t i = lane; i < whole; i += LANES) {
            memcpy(&given, a + i, sizeof given);
            ADD(i)
        }
        if (whole < count) {
            memcpy(&given, last + lane, sizeof given);
            ADD(whole + lane)
        }
        memcpy(sums[0] + lane, &sum0, sizeof sum0);
        memcpy(sums[1] + lane, &sum1, sizeof sum1);
        memcpy(sums[2] + lane, &sum2, sizeof sum2);
        memcpy(sums[3] + lane, &sum3, sizeof sum3);
    }
}

TARGET INLINE void NAME(multiply)(const struct dense_call *call, enum dense_type type, const uint8_t *weights, int64_t first, int64_t end)
{
    int64_t k = call->k, row_bytes = k * (type == DENSE_FP32 ? 4 : 2), element = type == DENSE_FP32 ? 4 : 2;
    float widened[COLUMNS][PITCH] __attribute__((aligned(64)));
    float sums[DENSE_MOST_ROWS][COLUMNS][LANES] __attribute__((aligned(64)));
    for (int64_t column = first; column < end; column += COLUMNS) {
        int columns = end - column < COLUMNS ? (int) (end - column) : COLUMNS;
        memset(sums, 0, call->rows * sizeof *sums);
        if (columns < COLUMNS) {
            memset(widened, 0, sizeof widened);
        }
        for (int64_t begin = 0; begin < k; begin += BLOCK) {
            int64_t count = k - begin < BLOCK ? k - begin : BLOCK;
            for (int i = 0; i < columns; i++) {
                NAME(widen)(type, weights + (column - first + i) * row_bytes + begin * element, count, widened[i]);
            }
            for (int64_t row = 0; row < call->rows; row++) {
                NAME(add_block)(call->a + row * k + begin, count, (const float (*)[PITCH]) widened, sums[row]);
            }
        }
        for (int64_t row = 0; row < call->rows; row++) {
            for (int i = 0; i < columns; i++) {
                call->c[row * call->n + column + i] = total(sums[row][i]) + (call->bias ? call->bias[column + i] : 0);
            }
        }
    }
}

TARGET static void NAME(dense_multiply)(const struct dense_call *call, const uint8_t *weights, int64_t first, int64_t end)
{
    switch (call->type) {
    case DENSE_FP16: NAME(multiply)(call, DENSE_FP16, weights, first, end); break;
    case DENSE_BF16: NAME(multiply)(call, DENSE_BF16, weights, first, end); break;
    default: NAME(multiply)(call, DENSE_FP32, weights, first, end);
    }
}

#undef ADD
#undef VECTOR
#undef NAME
#undef TARGET
