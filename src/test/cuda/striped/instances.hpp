// The kernels under test, by name. With STRIPED_FEW, for a mutation, only a handful compiled from striped.cuh.
#pragma once

#include <vector>

#include "striped/striped.cuh"

namespace striped_test {

struct Instance {
    const char* name;
    void (*kernel)(jmarlin::GemmArgs);
    bool bf16, zeros, group32;
    int batch, columns, depth;
    jmarlin::u32 (*shared_bytes)(jmarlin::u32 stages);
};

using jmarlin::Bfloat16;
using jmarlin::Half;

template <class T, bool kZeros, bool kGroup32, int kBatch, int kColumns>
Instance instance(const char* name, void (*kernel)(jmarlin::GemmArgs)) {
    using Shape = jmarlin::StripedShape<T, kZeros, kGroup32, kBatch, kColumns>;
    return {name, kernel, std::is_same<T, Bfloat16>::value, kZeros, kGroup32, kBatch, kColumns, Shape::kDepth, Shape::shared_bytes};
}

#ifdef STRIPED_FEW

template <class T, bool kZeros, bool kGroup32, int kBatch, int kColumns>
void entry(jmarlin::GemmArgs args) {
    jmarlin::striped_gemm<jmarlin::StripedShape<T, kZeros, kGroup32, kBatch, kColumns>>(args);
}

inline std::vector<Instance> instances() {
    return {instance<Half, true, true, 8, 64>("few_f16_zp_g32_m8_n64", entry<Half, true, true, 8, 64>),
            instance<Half, false, false, 16, 128>("few_f16_sym_g64_m16_n128", entry<Half, false, false, 16, 128>),
            instance<Bfloat16, true, false, 32, 256>("few_bf16_zp_g64_m32_n256", entry<Bfloat16, true, false, 32, 256>)};
}

#else

#define TILES(X, name, ...)                                                                                 \
    X(name##_m8_n64, __VA_ARGS__, 8, 64) X(name##_m8_n128, __VA_ARGS__, 8, 128)                             \
    X(name##_m16_n128, __VA_ARGS__, 16, 128) X(name##_m16_n256, __VA_ARGS__, 16, 256)                       \
    X(name##_m32_n128, __VA_ARGS__, 32, 128) X(name##_m32_n256, __VA_ARGS__, 32, 256)                       \
    X(name##_m48_n256, __VA_ARGS__, 48, 256) X(name##_m64_n256, __VA_ARGS__, 64, 256)
#define ALL(X)                                                                                              \
    TILES(X, striped_f16_sym_g64, Half, false, false) TILES(X, striped_f16_sym_g32, Half, false, true)      \
    TILES(X, striped_f16_zp_g64, Half, true, false) TILES(X, striped_f16_zp_g32, Half, true, true)          \
    TILES(X, striped_bf16_sym_g64, Bfloat16, false, false) TILES(X, striped_bf16_sym_g32, Bfloat16, false, true) \
    TILES(X, striped_bf16_zp_g64, Bfloat16, true, false) TILES(X, striped_bf16_zp_g32, Bfloat16, true, true)

#define DECLARE(name, ...) extern "C" void name(jmarlin::GemmArgs args);
ALL(DECLARE)

#define LIST(name, ...) instance<__VA_ARGS__>(#name, name),
inline std::vector<Instance> instances() { return {ALL(LIST)}; }

#endif

}  // namespace striped_test
