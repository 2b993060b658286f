// fp16 and bf16 by their definition: what the machine's arithmetic is held against.
#pragma once

#include <cmath>

#include "machine/types.hpp"

namespace suites {

using namespace jmarlin;

/** fp16 or bf16. A number is sign, exponent field and mantissa; exponent field 0 counts in the same units as 1. */
struct Format {
    bool bf16;

    int mantissa() const { return bf16 ? 7 : 10; }
    int least_exponent() const { return bf16 ? -126 : -14; }
    u32 infinity() const { return bf16 ? 0x7f80 : 0x7c00; }

    /** The bits of the nearest number, of two the even one; subnormals are numbers too. */
    u32 round(double v) const {
        if (std::isnan(v)) return 0x7fff;
        const u32 sign = std::signbit(v) ? 0x8000 : 0;
        if (v == 0 || std::isinf(v)) return sign | (v == 0 ? 0 : infinity());
        const int exponent = std::max(std::ilogb(v), least_exponent());
        const double units = std::nearbyint(std::ldexp(std::fabs(v), mantissa() - exponent));
        const double bits = std::ldexp(exponent - least_exponent(), mantissa()) + units;   // a full mantissa carries into the exponent
        return sign | (bits < infinity() ? static_cast<u32>(bits) : infinity());
    }

    double value(u32 bits) const {
        const u32 magnitude = bits & 0x7fff, field = magnitude >> mantissa(), rest = magnitude & ((1u << mantissa()) - 1);
        if (magnitude >= infinity()) return magnitude > infinity() ? NAN : bits & 0x8000 ? -INFINITY : INFINITY;
        const double units = field == 0 ? rest : rest + std::ldexp(1, mantissa());
        return std::ldexp(bits & 0x8000 ? -units : units, least_exponent() + static_cast<int>(field == 0 ? 0 : field - 1) - mantissa());
    }

    /** The largest packed scale of a column lies in [2^(e - 1), 2^e). */
    int scale_exponent() const { return bf16 ? 127 : 16; }
    /** A code in the lowest bits counts in units of 2^-unit_exponent. */
    int unit_exponent() const { return bf16 ? 133 : 24; }
    /** A float of bias 1 in the lowest bits of the exponent and the highest of the mantissa counts in units of 2^-float_exponent. */
    int float_exponent() const { return bf16 ? 126 : 14; }
};

}  // namespace suites
