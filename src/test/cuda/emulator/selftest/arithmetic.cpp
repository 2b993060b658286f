// 16-bit arithmetic against exact integers.
#include <cmath>
#include <limits>
#include <random>

#include "expect.hpp"
#include "half.hpp"

namespace selftest {

namespace {

using Wide = __int128;

std::string hex(u32 v) {
    char text[16];
    std::snprintf(text, sizeof text, "0x%04x", v);
    return text;
}

bool is_half_nan(u32 h) { return (h & 0x7fff) > 0x7c00; }
bool is_half_finite(u32 h) { return (h & 0x7c00) != 0x7c00; }

/** A finite fp16 number in units of 2^-24. */
Wide half_units(u32 h) {
    u32 exponent = h >> 10 & 31, fraction = h & 0x3ff;
    Wide magnitude = exponent == 0 ? fraction : static_cast<Wide>(fraction | 0x400) << (exponent - 1);
    return h & 0x8000 ? -magnitude : magnitude;
}

/** The nearest fp16 number to value * 2^-48, by counting. */
u32 nearest_half(Wide value, u32 sign_of_zero) {
    if (value == 0) return sign_of_zero;
    u32 sign = value < 0 ? 0x8000 : 0;
    Wide magnitude = value < 0 ? -value : value;
    int shift = 24;   // of the last place of the result, in units of 2^-48: subnormals count in 2^-24
    while (magnitude >> shift >= 0x800) ++shift;
    Wide quotient = magnitude >> shift, rest = magnitude - (quotient << shift), half = static_cast<Wide>(1) << (shift - 1);
    if (rest > half || (rest == half && (quotient & 1))) ++quotient;
    if (quotient == 0x800) { quotient = 0x400; ++shift; }
    u32 exponent = quotient >= 0x400 ? static_cast<u32>(shift - 24 + 1) : 0;
    if (exponent >= 31) return sign | 0x7c00;
    return sign | exponent << 10 | static_cast<u32>(quotient & 0x3ff);
}

std::string check_half_fma(u32 x, u32 s, u32 z) {
    if (!is_half_finite(x) || !is_half_finite(s) || !is_half_finite(z)) return "";
    Wide exact = half_units(x) * half_units(s) + (half_units(z) << 24);
    u32 zero = ((x ^ s) & 0x8000) & (z & 0x8000);   // -0 only if both terms are
    u32 expected = nearest_half(exact, zero), actual = half_fma(x, s, z);
    if (expected == actual) return "";
    return hex(x) + " * " + hex(s) + " + " + hex(z) + ": expected " + hex(expected) + ", got " + hex(actual);
}

/** Whether r is the nearest bf16 number to x * s + z: no neighbour is nearer, and a tie went to even. */
std::string check_bfloat16_fma(u32 x, u32 s, u32 z) {
    double product = static_cast<double>(bfloat16_to_float(x)) * static_cast<double>(bfloat16_to_float(s));
    double addend = static_cast<double>(bfloat16_to_float(z));
    u32 r = bfloat16_fma(x, s, z);
    std::string call = hex(x) + " * " + hex(s) + " + " + hex(z) + " = " + hex(r);
    if (std::isnan(product + addend)) return (r & 0x7fff) > 0x7f80 ? "" : call + ": expected NaN";
    if (std::isinf(product + addend))
        return bfloat16_to_float(r) == static_cast<float>(product + addend) ? "" : call + ": expected infinity";
    double sum = product + addend, back = sum - product;
    double rest = (product - (sum - back)) + (addend - back);   // exact: sum + rest
    // The distance to the middle between r and each neighbour must not change sign.
    for (int step : {-1, 1}) {
        u32 magnitude = r & 0x7fff;
        double value = bfloat16_to_float(r), neighbour;
        if (magnitude >= 0x7f80) {
            if (step > 0) continue;
            value = std::ldexp(r & 0x8000 ? -1.0 : 1.0, 128);   // what would come after the largest
            neighbour = bfloat16_to_float(r - 1);
        } else if (magnitude == 0 && step < 0) {
            neighbour = -bfloat16_to_float(1) * (r & 0x8000 ? -1 : 1);
        } else if (magnitude == 0x7f7f && step > 0) {
            neighbour = std::ldexp(r & 0x8000 ? -1.0 : 1.0, 128);
        } else {
            neighbour = bfloat16_to_float(r + static_cast<u32>(step));
        }
        double middle = (value + neighbour) / 2;
        __float128 distance = (static_cast<__float128>(sum) - middle) + rest;   // positive: above the middle
        bool towards = neighbour > value ? distance > 0 : distance < 0;
        bool tie = distance == 0 && (r & 1);
        if (towards || tie) return call + ": " + (tie ? "a tie that did not go to even" : "a neighbour is nearer");
    }
    return "";
}

}  // namespace

void add_arithmetic() {
    add("half to float, all of them", [] {
        for (u32 h = 0; h < 0x10000; ++h) {
            float actual = half_to_float(h), portable = half_to_float_portable(h);
            if (is_half_nan(h) ? !std::isnan(actual) || !std::isnan(portable) : float_bits(actual) != float_bits(portable))
                return hex(h);
            if (is_half_finite(h) && static_cast<double>(actual) != static_cast<double>(half_units(h)) * 0x1p-24)
                return hex(h) + " is not its value";
        }
        return std::string();
    });
    add("double to half: every half, and the middles between neighbours", [] {
        for (u32 h = 0; h < 0x7c00; ++h) {
            double v = half_to_float(h), next = h == 0x7bff ? 65536.0 : static_cast<double>(half_to_float(h + 1));
            double middle = (v + next) / 2;
            u32 even = h & 1 ? h + 1 : h;
            if (double_to_half(v) != h || double_to_half(-v) != (h | 0x8000)) return hex(h);
            if (double_to_half(middle) != even) return "middle above " + hex(h) + " goes to " + hex(double_to_half(middle));
            if (double_to_half(std::nextafter(middle, 0.0)) != h) return "below the middle above " + hex(h);
            if (double_to_half(std::nextafter(middle, 1e9)) != h + 1) return "above the middle above " + hex(h);
        }
        return std::string();
    });
    add("half fma: random", [] {
        std::mt19937 random(1);
        for (int i = 0; i < 2000000; ++i) {
            std::string wrong = check_half_fma(random() & 0xffff, random() & 0xffff, random() & 0xffff);
            if (!wrong.empty()) return wrong;
        }
        return std::string();
    });
    add("half fma: terms that nearly cancel, ties, and far apart", [] {
        std::mt19937 random(2);
        for (int i = 0; i < 1000000; ++i) {
            u32 x = random() & 0xffff, s = random() & 0xffff;
            u32 z = half_mul(x, s) ^ 0x8000;
            for (u32 near : {z, z + 1, z - 1, 0x0001u, 0x8001u, 0x0200u}) {
                std::string wrong = check_half_fma(x, s, near & 0xffff);
                if (!wrong.empty()) return wrong;
            }
        }
        return std::string();
    });
    add("half fma: infinities and NaN", [] {
        u32 inf = 0x7c00, one = 0x3c00;
        if (half_fma(inf, one, one) != inf || half_fma(one, one, inf | 0x8000) != (inf | 0x8000))
            return std::string("infinity is lost");
        if (!is_half_nan(half_fma(inf, 0, one)) || !is_half_nan(half_fma(inf, one, inf | 0x8000)))
            return std::string("NaN is lost");
        if (half_fma(0x7bff, 0x7bff, 0) != inf) return std::string("no overflow");
        return std::string();
    });
    add("half: the dequantization of kernels.md, (q - z) * s for every code", [] {
        for (u32 z = 0; z <= 16; ++z)
            for (u32 q = 0; q < 16; ++q) {
                u32 s = 0x7800, minus_z_s = half_mul(0x8000 | z, s);   // s = 2^15; z as a subnormal is z * 2^-24
                double expected = (static_cast<double>(q) - z) * 0x1p-9;
                if (static_cast<double>(half_to_float(half_fma(q, s, minus_z_s))) != expected)
                    return std::to_string(q) + " - " + std::to_string(z);
            }
        return std::string();
    });
    add("bfloat16 fma: random, near cancellation, subnormal and far apart", [] {
        std::mt19937 random(3);
        for (int i = 0; i < 1000000; ++i) {
            u32 x = random() & 0xffff, s = random() & 0xffff;
            u32 cancel = bfloat16_mul(x, s) ^ 0x8000;
            u32 small = random() & 0x80ff;
            for (u32 z : {static_cast<u32>(random() & 0xffff), cancel, (cancel + 1) & 0xffff, small, 0x0001u, 0x8001u}) {
                std::string wrong = check_bfloat16_fma(x, s, z);
                if (!wrong.empty()) return wrong;
            }
            std::string wrong = check_bfloat16_fma(small, s, random() & 0xffff);
            if (!wrong.empty()) return wrong;
        }
        return std::string();
    });
    add("bfloat16 fma: a tie that a term beyond a double's last bit decides", [] {
        u32 half_place = 0x3b80, tiny = 0x0080;                           // 2^-8; 2^-126
        u32 tie = bfloat16_fma(half_place, 0x3f80, 0x3f80);                // 1 + 2^-8: a tie, to even: 1
        if (tie != 0x3f80) return "1 + 2^-8 goes to " + hex(tie);
        // 1.0078125 * 1.5 = 1.51171875 = 1 + 65.5 * 2^-7: a tie, decided by the addend.
        if (bfloat16_fma(0x3f81, 0x3fc0, tiny) != 0x3fc2) return std::string("the tie was not broken upwards");
        if (bfloat16_fma(0x3f81, 0x3fc0, tiny | 0x8000) != 0x3fc1) return std::string("the tie was not broken downwards");
        return std::string();
    });
    add("float to bfloat16: ties, NaN, overflow", [] {
        if (float_to_bfloat16(bits_float(0x3f808000)) != 0x3f80 || float_to_bfloat16(bits_float(0x3f818000)) != 0x3f82)
            return std::string("tie");
        if (float_to_bfloat16(bits_float(0x3f808001)) != 0x3f81) return std::string("above a tie");
        if ((float_to_bfloat16(std::numeric_limits<float>::quiet_NaN()) & 0x7fff) <= 0x7f80) return std::string("NaN");
        if (float_to_bfloat16(std::numeric_limits<float>::max()) != 0x7f80) return std::string("overflow");
        return std::string();
    });
}

}  // namespace selftest
