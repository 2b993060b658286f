/*
 * Stand-in for libcublas.so.13 that multiplies, slowly, in the stream it was given, where device memory is host memory: the
 * stand-in CUDA driver. CUBLAS_WRONG in the environment makes one element of every product wrong.
 *
 * gcc -shared -fPIC -O2 -o libcublas.so.13 cublas13_product.c -Wl,-soname,libcublas.so.13 -Wl,--version-script=cublas13.map -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FP16 = 2, BF16 = 14, TRANSPOSED = 1, COMPUTE_32F = 68, INVALID_VALUE = 7 };

typedef struct { void *stream; } Context;

static float widen(uint16_t bits, int type)
{
    uint32_t wide;
    float value;
    if (type == BF16) {
        wide = (uint32_t)bits << 16;
    } else {
        uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023, sign = (uint32_t)(bits >> 15) << 31;
        if (exponent == 0) {
            value = (float)fraction / 16777216.0f;
            return sign ? -value : value;
        }
        wide = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    }
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* To nearest, ties to even; results of the tests are normal numbers. */
static uint16_t narrow(float value, int type)
{
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    int dropped = type == BF16 ? 16 : 13;
    uint32_t rounded = wide + (1u << (dropped - 1)) - 1 + (wide >> dropped & 1);
    if (type == BF16) {
        return (uint16_t)(rounded >> 16);
    }
    int exponent = (int)(rounded >> 23 & 255) - 112;
    if (exponent <= 0) {
        return (uint16_t)(wide >> 31 << 15);
    }
    return (uint16_t)(wide >> 31 << 15 | (exponent >= 31 ? 31 << 10 : exponent << 10 | (rounded >> 13 & 1023)));
}

typedef struct {
    int transa, m, n, k, type, lda, ldb, ldc;
    const uint16_t *a, *b;
    uint16_t *c;
} Product;

/* Runs once per launch of a graph that holds it, so it is never freed. */
static void multiply(void *argument)
{
    const Product *p = argument;
    for (int j = 0; j < p->n; j++) {
        for (int i = 0; i < p->m; i++) {
            float sum = 0;
            for (int l = 0; l < p->k; l++) {
                size_t at = p->transa == TRANSPOSED ? (size_t)i * p->lda + l : (size_t)l * p->lda + i;
                sum += widen(p->a[at], p->type) * widen(p->b[(size_t)j * p->ldb + l], p->type);
            }
            p->c[(size_t)j * p->ldc + i] = narrow(sum, p->type);
        }
    }
    if (getenv("CUBLAS_WRONG")) {
        p->c[0] ^= 0x4000;
    }
}

int cublasCreate_v2(Context **context) { *context = calloc(1, sizeof **context); return 0; }
int cublasDestroy_v2(Context *context) { free(context); return 0; }
int cublasGetVersion_v2(Context *context, int *version) { *version = 130002; return context == NULL; }
int cublasSetStream_v2(Context *context, void *stream) { context->stream = stream; return 0; }
int cublasSetWorkspace_v2(Context *context, void *workspace, size_t bytes) { return !context || !workspace || !bytes; }

int cublasGemmEx(Context *context, int transa, int transb, int m, int n, int k, const float *alpha,
                 const void *a, int a_type, int lda, const void *b, int b_type, int ldb, const float *beta,
                 void *c, int c_type, int ldc, int compute_type, int algo)
{
    int (*launch)(void *, void (*)(void *), void *) = dlsym(dlopen("libcuda.so.1", RTLD_LAZY), "cuLaunchHostFunc");
    if (!launch || transb || *alpha != 1 || *beta != 0 || compute_type != COMPUTE_32F || algo != -1
        || a_type != b_type || a_type != c_type || (a_type != FP16 && a_type != BF16)) {
        return INVALID_VALUE;
    }
    Product *product = malloc(sizeof *product);
    *product = (Product){transa, m, n, k, a_type, lda, ldb, ldc, a, b, c};
    return launch(context->stream, multiply, product);
}
