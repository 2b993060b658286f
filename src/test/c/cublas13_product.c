/*
 * Stand-in for libcublas.so.13 that multiplies, slowly, in the stream it was given, where device memory is host memory: the
 * stand-in CUDA driver, which also counts the calls and makes them fail when a test asks for that. CUBLAS_WRONG in the environment
 * makes one element of every product wrong.
 *
 * As strict as the library: a context must be current, setting the stream takes the workspace away, a product wants a workspace (the
 * library would use its own, and allocate). In the default mode sums of 512 products are rounded to the type of the result.
 *
 * gcc -shared -fPIC -O2 -o libcublas.so.13 cublas13_product.c -Wl,-soname,libcublas.so.13 -Wl,--version-script=cublas13.map -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FP32 = 0, FP16 = 2, BF16 = 14, TRANSPOSED = 1, COMPUTE_32F = 68, NOT_INITIALIZED = 1, INVALID_VALUE = 7 };
enum { FP32_SUMS_ONLY = 16, SPLIT = 512, WORKSPACE_ALIGNMENT = 256 };

typedef struct {
    void *stream, *workspace;
    size_t workspace_bytes;
    int math;
} Context;

static void *driver(const char *function)
{
    return dlsym(dlopen("libcuda.so.1", RTLD_LAZY), function);
}

/* Counts a call. Returns what it must fail with, or 0. */
static int enter(const char *function)
{
    int (*command)(uint64_t *, size_t *, void *, const char *) = driver("cuModuleGetGlobal_v2");
    char words[64] = "standin.enter ";
    uint64_t address = 0;
    size_t size = 0;
    strncat(words, function, sizeof words - strlen(words) - 1);
    return command(&address, &size, NULL, words);
}

static int has_context(void)
{
    int (*current)(void **) = driver("cuCtxGetCurrent");
    void *context = NULL;
    return current(&context) == 0 && context != NULL;
}

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

/* To nearest, ties to even; finite results of the tests are normal numbers. */
static uint16_t narrow(float value, int type)
{
    if (value != value) {
        return 0x7fff;
    }
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
    int transa, m, n, k, type, lda, ldb, ldc, c_type, math;
    const uint16_t *a, *b;
    void *c;
} Product;

/* Runs once per launch of a graph that holds it, so it is never freed. */
static void multiply(void *argument)
{
    const Product *p = argument;
    for (int j = 0; j < p->n; j++) {
        for (int i = 0; i < p->m; i++) {
            size_t result = (size_t)j * p->ldc + i;
            float sum = 0;
            for (int l = 0; l < p->k; l++) {
                if (l > 0 && l % SPLIT == 0 && p->math != FP32_SUMS_ONLY && p->c_type != FP32) {
                    sum = widen(narrow(sum, p->type), p->type);
                }
                size_t at = p->transa == TRANSPOSED ? (size_t)i * p->lda + l : (size_t)l * p->lda + i;
                sum += widen(p->a[at], p->type) * widen(p->b[(size_t)j * p->ldb + l], p->type);
            }
            if (p->c_type == FP32) {
                ((float *)p->c)[result] = sum;
            } else {
                ((uint16_t *)p->c)[result] = narrow(sum, p->type);
            }
        }
    }
    if (getenv("CUBLAS_WRONG")) {
        ((uint16_t *)p->c)[0] ^= 0x4000;
    }
}

int cublasCreate_v2(Context **context)
{
    int failed = enter("cublasCreate");
    if (!failed && !has_context()) {
        failed = NOT_INITIALIZED;
    }
    *context = failed ? NULL : calloc(1, sizeof **context);
    return failed;
}

int cublasDestroy_v2(Context *context)
{
    int failed = enter("cublasDestroy");
    free(context);
    return failed;
}

int cublasGetVersion_v2(Context *context, int *version)
{
    *version = 130002;
    return context == NULL;
}

int cublasSetStream_v2(Context *context, void *stream)
{
    context->stream = stream;
    context->workspace = NULL;
    return enter("cublasSetStream");
}

int cublasSetWorkspace_v2(Context *context, void *workspace, size_t bytes)
{
    context->workspace = workspace;
    context->workspace_bytes = bytes;
    return (uintptr_t)workspace % WORKSPACE_ALIGNMENT ? INVALID_VALUE : enter("cublasSetWorkspace");
}

int cublasSetMathMode(Context *context, int mode)
{
    context->math = mode;
    return enter("cublasSetMathMode");
}

int cublasGemmEx(Context *context, int transa, int transb, int m, int n, int k, const float *alpha,
                 const void *a, int a_type, int lda, const void *b, int b_type, int ldb, const float *beta,
                 void *c, int c_type, int ldc, int compute_type, int algo)
{
    int (*launch)(void *, void (*)(void *), void *) = driver("cuLaunchHostFunc");
    int failed = enter("cublasGemmEx");
    if (failed) {
        return failed;
    }
    if (!launch || transb || *alpha != 1 || *beta != 0 || compute_type != COMPUTE_32F || algo != -1
        || a_type != b_type || (a_type != c_type && c_type != FP32) || (a_type != FP16 && a_type != BF16) || ldb < k || ldc < m
        || lda < (transa ? k : m) || !context->workspace || !context->workspace_bytes) {
        return INVALID_VALUE;
    }
    Product *product = malloc(sizeof *product);
    *product = (Product){transa, m, n, k, a_type, lda, ldb, ldc, c_type, context->math, a, b, c};
    return launch(context->stream, multiply, product);
}
