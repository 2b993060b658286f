// fp16 and bf16 arithmetic with one rounding, to nearest even, subnormals kept.
#pragma once

#include <cmath>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "types.hpp"

namespace jmarlin::machine {

inline u32 float_bits(float v) {
    u32 bits;
    std::memcpy(&bits, &v, 4);
    return bits;
}

inline float bits_float(u32 bits) {
    float v;
    std::memcpy(&v, &bits, 4);
    return v;
}

inline u64 double_bits(double v) {
    u64 bits;
    std::memcpy(&bits, &v, 8);
    return bits;
}

inline double bits_double(u64 bits) {
    double v;
    std::memcpy(&v, &bits, 8);
    return v;
}

/** The portable version, which a test holds against the instruction. */
inline float half_to_float_portable(u32 h) {
    u32 sign = (h & 0x8000) << 16;
    u32 magnitude = h & 0x7fff;
    if (magnitude >= 0x7c00) return bits_float(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    if (magnitude < 0x400) return bits_float(sign | float_bits(static_cast<float>(magnitude) * 0x1p-24f));
    return bits_float(sign | ((magnitude << 13) + (112u << 23)));
}

inline float half_to_float(u32 h) {
#if defined(__F16C__)
    return _cvtsh_ss(static_cast<unsigned short>(h));
#else
    return half_to_float_portable(h);
#endif
}

inline float bfloat16_to_float(u32 h) { return bits_float(h << 16); }

constexpr u32 kHalfNaN = 0x7fff;   // what the hardware returns
constexpr u32 kBfloat16NaN = 0x7fff;

/** The nearest fp16 number to a double. */
inline u32 double_to_half(double v) {
    u64 bits = double_bits(v);
    u32 sign = static_cast<u32>(bits >> 48) & 0x8000;
    double magnitude = bits_double(bits & ~(u64{1} << 63));
    if (!(magnitude < 65520.0)) return magnitude >= 65520.0 ? sign | 0x7c00 : kHalfNaN;
    if (magnitude < 0x1p-14) {   // subnormal, or rounds up to 2^-14: adding 1.5 * 2^28 leaves multiples of 2^-24
        u64 shifted = double_bits(magnitude + 0x1.8p28);
        return sign | static_cast<u32>(shifted & 0x7ff);
    }
    u64 m = bits & ~(u64{1} << 63);
    m += (u64{1} << 41) - 1 + (m >> 42 & 1);
    return sign | static_cast<u32>((m >> 42) - (u64{1008} << 10));
}

/** The nearest bf16 number to a float. */
inline u32 float_to_bfloat16(float v) {
    u32 bits = float_bits(v);
    if ((bits & 0x7fffffff) > 0x7f800000) return kBfloat16NaN;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/**
 * x * s + z of fp16 numbers. The product is exact in a double, and so is every sum that one rounding to fp16 could
 * get wrong: a term that falls off the double's end is too small to move the other, which is either an fp16 number
 * itself or, being a product beyond 53 bits of the other's last place, above the largest fp16.
 */
inline u32 half_fma(u32 x, u32 s, u32 z) {
    return double_to_half(static_cast<double>(half_to_float(x)) * static_cast<double>(half_to_float(s)) +
                          static_cast<double>(half_to_float(z)));
}

/** x * s + z of bf16 numbers: the sum is rounded to odd in a double first, so that the last rounding is the only one. */
inline u32 bfloat16_fma(u32 x, u32 s, u32 z) {
    double product = static_cast<double>(bfloat16_to_float(x)) * static_cast<double>(bfloat16_to_float(s));
    double addend = static_cast<double>(bfloat16_to_float(z));
    double sum = product + addend;
    if (std::isnan(sum)) return kBfloat16NaN;
    double back = sum - product;
    double rest = (product - (sum - back)) + (addend - back);
    u64 bits = double_bits(sum);
    if (rest != 0.0 && std::isfinite(sum) && !(bits & 1)) bits = ((rest > 0) == (sum > 0)) ? bits + 1 : bits - 1;

    // From the double to bf16: 7 bits below the leading one, at least 2^-133.
    u32 sign = static_cast<u32>(bits >> 48) & 0x8000;
    u64 m = bits & ~(u64{1} << 63);
    double magnitude = bits_double(m);
    if (magnitude < 0x1p-126) return sign | static_cast<u32>(double_bits(magnitude + 0x1.8p-81) & 0xff);
    m += (u64{1} << 44) - 1 + (m >> 45 & 1);
    u64 rounded = (m >> 45) - (u64{896} << 7);
    return sign | static_cast<u32>(rounded >= 0x7f80 ? 0x7f80 : rounded);
}

inline u32 half_mul(u32 x, u32 y) {
    return double_to_half(static_cast<double>(half_to_float(x)) * static_cast<double>(half_to_float(y)));
}

inline u32 bfloat16_mul(u32 x, u32 y) {
    u32 zero = (x ^ y) & 0x8000;   // of the product's sign, so that adding it changes nothing
    return bfloat16_fma(x, y, zero);
}

inline u32 float_to_half(float v) { return double_to_half(static_cast<double>(v)); }

}  // namespace jmarlin::machine
