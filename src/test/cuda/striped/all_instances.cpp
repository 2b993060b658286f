// Every entry point of striped.cu, which is compiled beside this file.
#include "instances.hpp"

#define TILES(X, name, ...)                                                                 \
    X(name##_m8_n64, __VA_ARGS__, 8, 64) X(name##_m8_n128, __VA_ARGS__, 8, 128)             \
    X(name##_m16_n128, __VA_ARGS__, 16, 128) X(name##_m16_n256, __VA_ARGS__, 16, 256)       \
    X(name##_m32_n128, __VA_ARGS__, 32, 128) X(name##_m32_n256, __VA_ARGS__, 32, 256)       \
    X(name##_m48_n256, __VA_ARGS__, 48, 256) X(name##_m64_n256, __VA_ARGS__, 64, 256)

#define ALL(X)                                                                              \
    TILES(X, striped_f16_sym_g64, Half, false, false)                                       \
    TILES(X, striped_f16_sym_g32, Half, false, true)                                        \
    TILES(X, striped_f16_zp_g64, Half, true, false)                                         \
    TILES(X, striped_f16_zp_g32, Half, true, true)                                          \
    TILES(X, striped_bf16_sym_g64, Bfloat16, false, false)                                  \
    TILES(X, striped_bf16_sym_g32, Bfloat16, false, true)                                   \
    TILES(X, striped_bf16_zp_g64, Bfloat16, true, false)                                    \
    TILES(X, striped_bf16_zp_g32, Bfloat16, true, true)

#define DECLARE(name, ...) extern "C" void name(jmarlin::GemmArgs args);
ALL(DECLARE)

namespace striped_test {

#define LIST(name, ...) instance<__VA_ARGS__>(#name, name),
std::vector<Instance> instances() { return {ALL(LIST)}; }

}  // namespace striped_test
