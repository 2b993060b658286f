// 16-bit arithmetic of the machine against exact sums: is a result the number nearest to the exact one?
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "cases.hpp"

namespace jmarlin::selftest {

namespace {

struct Format {
    const char* suffix;   // of opcodes
    int fraction_bits, bias;

    u32 infinity() const { return 0x7fff & ~((1u << fraction_bits) - 1); }
    bool is_nan(u32 bits) const { return (bits & 0x7fff) > infinity(); }
    double largest_and_one() const { return std::ldexp(1.0, bias + 1); }   // what would come after the largest number

    double value(u32 bits) const {
        int exponent = (bits & 0x7fff) >> fraction_bits, fraction = bits & ((1 << fraction_bits) - 1);
        double magnitude = (bits & 0x7fff) == infinity() ? HUGE_VAL : is_nan(bits) ? NAN
                           : exponent == 0 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                                           : std::ldexp(fraction | 1 << fraction_bits, exponent - bias - fraction_bits);
        return bits & 0x8000 ? -magnitude : magnitude;
    }

    /** Whether `bits` is the number nearest to product + addend, a tie to even; both terms are exact. */
    bool is_nearest(u32 bits, double product, double addend) const {
        double sum = product + addend, back = sum - product, rest = (product - (sum - back)) + (addend - back);   // exact: sum + rest
        if (std::isnan(sum)) return is_nan(bits);
        if (std::isinf(sum)) return value(bits) == sum;
        if (is_nan(bits) || (sum != 0 && bits >> 15 != std::signbit(sum))) return false;
        if (sum == 0) return bits == (std::signbit(sum) ? 0x8000u : 0);   // -0 only if both terms are: so adds a double
        u32 magnitude = bits & 0x7fff;
        double above = std::fabs(sum), rest_above = std::signbit(sum) ? -rest : rest;
        auto at = [&](u32 m) { return m == infinity() ? largest_and_one() : value(m); };
        auto distance = [&](double middle) { return (static_cast<__float128>(above) - middle) + rest_above; };
        bool odd = magnitude & 1;
        if (magnitude != 0) {
            __float128 low = distance((at(magnitude - 1) + at(magnitude)) / 2);
            if (low < 0 || (low == 0 && odd)) return false;
        }
        if (magnitude == infinity()) return true;
        __float128 high = distance((at(magnitude) + at(magnitude + 1)) / 2);
        return high < 0 || (high == 0 && !odd);
    }
};

constexpr Format kHalf{"f16", 10, 15}, kBfloat16{"bf16", 7, 127};

/** What an instruction makes of r1, r2, r3 (and f1, f2, f3, the same bits), for each of the triples: r0, or f0 if it is a float. */
std::vector<u32> results(const std::string& code, const std::vector<u32>& triples) {
    using namespace machine;
    u32 count = static_cast<u32>(triples.size() / 3), grid = (count + 255) / 256;
    Buffer in(triples.size() * 4, Role::kInput), out(count * 4, Role::kOutput);
    std::copy(triples.begin(), triples.end(), in.as<u32>());
    Case c;
    c.shape = {grid, 256, 0};
    c.body = "    mov.u32 r9, %ntid.x;\n    mad.lo.s32 r9, block, r9, t;\n    setp.ge.u32 p1, r9, " + std::to_string(count) +
             ";\n    @p1 bra end;\n    mul.wide.u32 d1, r9, 12;\n    add.s64 d1, in, d1;\n";
    for (u32 n = 1; n <= 3; ++n)
        for (const char* kind : {"u32 r", "f32 f"})
            c.body += std::string("    ld.global.nc.") + kind + std::to_string(n) + ", [d1+" + std::to_string(4 * (n - 1)) + "];\n";
    c.body += "    " + code + "\n    st.global." + (code.find("f0") == std::string::npos ? "u32 [dst], r0" : "f32 [dst], f0") + ";\n    end:\n";
    u64 arguments[7] = {in.address(), out.address()};
    Result result = launch(*Program::parse(c.module(), "halves.ptx"), "test", c.shape, arguments, sizeof arguments);
    if (!result.ok()) throw std::runtime_error(code + ": " + result.text());
    return {out.as<u32>(), out.as<u32>() + count};
}

std::string wrong_one(const std::string& code, u32 x, u32 s, u32 z, u32 actual) {
    char text[160];
    std::snprintf(text, sizeof text, "%s of 0x%x, 0x%x, 0x%x is 0x%x", code.c_str(), x, s, z, actual);
    return text;
}

/** Products and sums of both halves of random words: any, nearly cancelling, subnormal. */
std::string check_fma(const Format& format) {
    std::mt19937 generator(1);
    auto random = [&] { return static_cast<u32>(generator()); };
    std::string fma = std::string("fma.rn.") + format.suffix + "x2 r0, r1, r2, r3;", mul = std::string("mul.") + format.suffix + "x2 r0, r1, r2;";
    std::vector<u32> triples;
    for (int i = 0; i < 60000; ++i) triples.insert(triples.end(), {random(), random(), random()});
    for (int i = 0; i < 20000; ++i) triples.insert(triples.end(), {random() & 0x80ff80ff, random(), random() & 0x80ff80ff});
    std::vector<u32> products = results(mul, triples);
    std::size_t count = products.size();
    for (std::size_t i = 0; i < count; ++i)
        for (u32 z : {products[i] ^ 0x80008000, (products[i] ^ 0x80008000) + 0x00010001, 0x80000001u})
            triples.insert(triples.end(), {triples[3 * i], triples[3 * i + 1], z});
    std::vector<u32> sums = results(fma, triples);
    for (std::size_t i = 0; i < sums.size(); ++i)
        for (u32 shift : {0, 16}) {
            u32 x = triples[3 * i] >> shift & 0xffff, s = triples[3 * i + 1] >> shift & 0xffff, z = triples[3 * i + 2] >> shift & 0xffff;
            double product = format.value(x) * format.value(s);
            if (!format.is_nearest(sums[i] >> shift & 0xffff, product, format.value(z))) return wrong_one(fma, x, s, z, sums[i] >> shift & 0xffff);
            if (i < count && !format.is_nearest(products[i] >> shift & 0xffff, product, -0.0))
                return wrong_one(mul, x, s, 0, products[i] >> shift & 0xffff);
        }
    return "";
}

/** Every number, the middles between neighbours, and what lies next to either: to 16 bits and back. */
std::string check_conversions(const Format& format) {
    std::string narrow = std::string("cvt.rn.") + format.suffix + "x2.f32 r0, f1, f2;";
    std::string widen = "mov.b32 {h1, h2}, r3; cvt.f32." + std::string(format.suffix) + " f0, h1;";
    std::vector<u32> triples;
    auto bits = [](double value) {
        float narrowed = static_cast<float>(value);
        u32 word;
        std::memcpy(&word, &narrowed, 4);
        return word;
    };
    for (u32 h = 0; h < format.infinity(); ++h) {
        double here = format.value(h), next = h + 1 == format.infinity() ? format.largest_and_one() : format.value(h + 1);
        u32 middle = bits((here + next) / 2);
        triples.insert(triples.end(), {middle, middle | 0x80000000, h});
        triples.insert(triples.end(), {middle + 1, middle - 1, h | 0x8000});
        triples.insert(triples.end(), {bits(here) | 0x80000000, bits(here), h});
    }
    triples.insert(triples.end(), {0x7f800000, 0xff800000, format.infinity(), 0x7fc00000, 0x7f7fffff, format.infinity() | 1});
    std::vector<u32> narrowed = results(narrow, triples), widened = results(widen, triples);
    for (std::size_t i = 0; i < narrowed.size(); ++i) {
        for (u32 half : {0, 1}) {   // the first operand makes the upper half
            float value;
            std::memcpy(&value, &triples[3 * i + 1 - half], 4);
            u32 actual = narrowed[i] >> 16 * half & 0xffff;
            if (!format.is_nearest(actual, value, std::copysign(0.0, value)))
                return wrong_one(narrow, triples[3 * i], triples[3 * i + 1], half, actual);
        }
        float value;
        std::memcpy(&value, &widened[i], 4);
        double expected = format.value(triples[3 * i + 2] & 0xffff);
        bool same = std::isnan(expected) ? std::isnan(value) : value == expected && std::signbit(value) == std::signbit(expected);
        if (!same) return wrong_one(widen, triples[3 * i + 2], 0, 0, widened[i]);
    }
    return "";
}

}  // namespace

void check_halves() {
    for (const Format& format : {kHalf, kBfloat16}) {
        std::string name = format.suffix;
        check(name + ": products and sums are rounded once", [&] { return check_fma(format); });
        check(name + ": every number and the middles between neighbours, from and to f32", [&] { return check_conversions(format); });
    }
}

}  // namespace jmarlin::selftest
