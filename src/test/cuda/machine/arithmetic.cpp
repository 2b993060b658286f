// Arithmetic, logic, comparison and selection (Parallel Thread Execution ISA 9.0, 9.7.1 to 9.7.8). A new instruction is a line here.
// Float arithmetic is IEEE with one rounding to nearest; the .approx functions are the host's, more exact than the device's.
#include <algorithm>
#include <cmath>

#include "half.hpp"
#include "lanewise.hpp"

namespace jmarlin::machine {

namespace {

/** min and max of 9.7.3: the other one if one is NaN. */
float smaller(float a, float b) { return std::isnan(a) ? b : std::isnan(b) ? a : std::signbit(a) != std::signbit(b) ? (std::signbit(a) ? a : b) : std::min(a, b); }
float larger(float a, float b) { return -smaller(-a, -b); }

template <class T>
T shift_right(T value, u32 by) {
    u32 bits = sizeof(T) * 8;
    return by >= bits ? (value < T(0) ? T(-1) : T(0)) : static_cast<T>(value >> by);
}
template <class T>
T shift_left(T value, u32 by) { return by >= sizeof(T) * 8 ? T(0) : static_cast<T>(value << by); }

u32 lop3(u32 a, u32 b, u32 c, u32 table) {
    u32 result = 0;
    for (u32 row = 0; row < 8; ++row)
        if (table >> row & 1) result |= (row & 4 ? a : ~a) & (row & 2 ? b : ~b) & (row & 1 ? c : ~c);
    return result;
}

/** Default mode, 9.7.9.7: a nibble of the selector names a byte, or with its top bit that byte's sign. */
u32 permute(u32 a, u32 b, u32 selector) {
    u64 bytes = u64{b} << 32 | a;
    u32 result = 0;
    for (u32 i = 0; i < 4; ++i) {
        u32 nibble = selector >> (4 * i) & 15;
        u32 byte = static_cast<u32>(bytes >> (8 * (nibble & 7))) & 0xff;
        result |= (nibble & 8 ? (byte & 0x80 ? 0xffu : 0u) : byte) << (8 * i);
    }
    return result;
}

template <class T>
T insert_bits(T from, T into, u32 at, u32 length) {
    constexpr u32 kBits = sizeof(T) * 8;
    at &= 0xff, length &= 0xff;
    if (at >= kBits || length == 0) return into;
    T mask = static_cast<T>((length >= kBits ? ~T(0) : (T(1) << length) - 1) << at);
    return static_cast<T>((into & ~mask) | ((from << at) & mask));
}

template <class T>
T extract_bits(T from, u32 at, u32 length) {
    constexpr u32 kBits = sizeof(T) * 8;
    using Unsigned = std::make_unsigned_t<T>;
    at &= 0xff, length &= 0xff;
    if (length == 0) return 0;
    u32 sign_at = std::min(at + length - 1, kBits - 1);
    bool sign = std::is_signed<T>::value && (static_cast<Unsigned>(from) >> sign_at & 1);
    Unsigned value = at >= kBits ? 0 : static_cast<Unsigned>(from) >> at;
    if (length < kBits) value &= (Unsigned(1) << length) - 1;
    u32 filled = at >= kBits ? 0 : std::min(length, kBits - at);
    if (sign && filled < kBits) value |= ~Unsigned(0) << filled;
    return static_cast<T>(value);
}

/** Two numbers of 16 bits in a register, and one (9.7.4). */
template <class F>
void binary_16(Rows& row, std::initializer_list<const char*> operations, const std::string& type, F) {
    for (const std::string operation : operations) {
        row((operation + type + "x2").c_str(), [](u32 a, u32 b) { return stateless<F>()(a & 0xffff, b & 0xffff) | stateless<F>()(a >> 16, b >> 16) << 16; });
        row((operation + type).c_str(), [](u16 a, u16 b) { return static_cast<u16>(stateless<F>()(a, b)); });
    }
}

template <class Fma, class Widen, class Round>
void numbers_16(Rows& row, const std::string& type, u32 one, Fma, Widen, Round) {
    row(("fma.rn." + type + "x2").c_str(), [](u32 a, u32 b, u32 c) {
        return stateless<Fma>()(a & 0xffff, b & 0xffff, c & 0xffff) | stateless<Fma>()(a >> 16, b >> 16, c >> 16) << 16;
    });
    row(("fma.rn." + type).c_str(), [](u16 a, u16 b, u16 c) { return static_cast<u16>(stateless<Fma>()(a, b, c)); });
    // By fma with one, so that there is one rounding.
    if (one == 0x3c00) {
        binary_16(row, {"add.", "add.rn."}, type, [](u32 a, u32 b) { return stateless<Fma>()(a, 0x3c00u, b); });
        binary_16(row, {"sub.", "sub.rn."}, type, [](u32 a, u32 b) { return stateless<Fma>()(b, 0xbc00u, a); });
    } else {
        binary_16(row, {"add.", "add.rn."}, type, [](u32 a, u32 b) { return stateless<Fma>()(a, 0x3f80u, b); });
        binary_16(row, {"sub.", "sub.rn."}, type, [](u32 a, u32 b) { return stateless<Fma>()(b, 0xbf80u, a); });
    }
    binary_16(row, {"min."}, type, [](u32 a, u32 b) { return stateless<Round>()(smaller(stateless<Widen>()(a), stateless<Widen>()(b))); });
    binary_16(row, {"max."}, type, [](u32 a, u32 b) { return stateless<Round>()(larger(stateless<Widen>()(a), stateless<Widen>()(b))); });
}

/** selp d, a, b, p: whether somebody wrote the value that is not selected does not matter. */
template <class T>
Next select(Warp& w, const Instruction& i, u32 lanes) {
    const Operand* o = i.operands;
    Source<T> a(w, o[1]), b(w, o[2]);
    u32 p = source_p(w, o[3]);
    u32 known = ((written<T>(w, o[1]) & p) | (written<T>(w, o[2]) & ~p)) & written_p(w, o[3]);
    Lane<T> results[kWarpSize];
    for (u32 l = 0; l < kWarpSize; ++l) results[l] = p >> l & 1 ? a.at[l] : b.at[l];
    if constexpr (kWide<T>) store_64(w, o[0], lanes, results, known);
    else store_32(w, o[0], lanes, results, known);
    return Next::kGo;
}

/** Integer rows of a type of any width. */
template <class T>
void integers(Rows& row, const std::string& type) {
    auto name = [&](const char* base) { return (base + type); };
    auto add = [&](const std::string& n, auto f) { row(n.c_str(), f); };
    add(name("add."), [](T a, T b) { return static_cast<T>(a + b); });
    add(name("sub."), [](T a, T b) { return static_cast<T>(a - b); });
    add(name("mul.lo."), [](T a, T b) { return static_cast<T>(a * b); });
    add(name("mad.lo."), [](T a, T b, T c) { return static_cast<T>(a * b + c); });
    // Division by zero has an unspecified result (9.7.1.7); all ones here. So has the most negative number by -1.
    add(name("div."), [](T a, T b) { return b == 0 ? static_cast<T>(-1) : std::is_signed<T>::value && b == static_cast<T>(-1) ? static_cast<T>(T(0) - a) : static_cast<T>(a / b); });
    add(name("rem."), [](T a, T b) { return b == 0 ? a : std::is_signed<T>::value && b == static_cast<T>(-1) ? T(0) : static_cast<T>(a % b); });
    add(name("min."), [](T a, T b) { return std::min(a, b); });
    add(name("max."), [](T a, T b) { return std::max(a, b); });
    add(name("shr."), [](T a, u32 by) { return shift_right<T>(a, by); });
    add(name("setp.eq."), [](T a, T b) { return a == b; });
    add(name("setp.ne."), [](T a, T b) { return a != b; });
    add(name("setp.lt."), [](T a, T b) { return a < b; });
    add(name("setp.le."), [](T a, T b) { return a <= b; });
    add(name("setp.gt."), [](T a, T b) { return a > b; });
    add(name("setp.ge."), [](T a, T b) { return a >= b; });
    add(name("mov."), [](T a) { return a; });
    if constexpr (std::is_signed<T>::value) {
        add(name("abs."), [](T a) { return static_cast<T>(a < 0 ? T(0) - a : a); });
        add(name("neg."), [](T a) { return static_cast<T>(T(0) - a); });
    }
}

template <class T>
void bits(Rows& row, const std::string& type) {
    auto add = [&](const char* base, auto f) { row((base + type).c_str(), f); };
    add("and.", [](T a, T b) { return static_cast<T>(a & b); });
    add("or.", [](T a, T b) { return static_cast<T>(a | b); });
    add("xor.", [](T a, T b) { return static_cast<T>(a ^ b); });
    add("not.", [](T a) { return static_cast<T>(~a); });
    add("shl.", [](T a, u32 by) { return shift_left<T>(a, by); });
    add("shr.", [](T a, u32 by) { return shift_right<T>(a, by); });
    add("setp.eq.", [](T a, T b) { return a == b; });
    add("setp.ne.", [](T a, T b) { return a != b; });
    add("mov.", [](T a) { return a; });
}

template <class T>
void floats(Rows& row, const std::string& type) {
    auto add = [&](const char* base, auto f) { row((base + type).c_str(), f); };
    for (const char* base : {"add.", "add.rn."}) add(base, [](T a, T b) { return a + b; });
    for (const char* base : {"sub.", "sub.rn."}) add(base, [](T a, T b) { return a - b; });
    for (const char* base : {"mul.", "mul.rn."}) add(base, [](T a, T b) { return a * b; });
    add("div.rn.", [](T a, T b) { return a / b; });
    add("fma.rn.", [](T a, T b, T c) { return std::fma(a, b, c); });
    add("rcp.rn.", [](T a) { return T(1) / a; });
    add("sqrt.rn.", [](T a) { return std::sqrt(a); });
    add("abs.", [](T a) { return std::fabs(a); });
    add("neg.", [](T a) { return -a; });
    add("min.", [](T a, T b) { return std::fmin(a, b); });
    add("max.", [](T a, T b) { return std::fmax(a, b); });
    // The ordered comparisons are false for NaN, those with a u true (9.7.6).
    add("setp.eq.", [](T a, T b) { return a == b; });
    add("setp.ne.", [](T a, T b) { return a < b || a > b; });
    add("setp.lt.", [](T a, T b) { return a < b; });
    add("setp.le.", [](T a, T b) { return a <= b; });
    add("setp.gt.", [](T a, T b) { return a > b; });
    add("setp.ge.", [](T a, T b) { return a >= b; });
    add("setp.equ.", [](T a, T b) { return !(a < b || a > b); });
    add("setp.neu.", [](T a, T b) { return a != b; });
    add("setp.ltu.", [](T a, T b) { return !(a >= b); });
    add("setp.leu.", [](T a, T b) { return !(a > b); });
    add("setp.gtu.", [](T a, T b) { return !(a <= b); });
    add("setp.geu.", [](T a, T b) { return !(a < b); });
    add("setp.num.", [](T a, T b) { return !std::isnan(a) && !std::isnan(b); });
    add("setp.nan.", [](T a, T b) { return std::isnan(a) || std::isnan(b); });
    add("mov.", [](T a) { return a; });
}

}  // namespace

void add_arithmetic(OpcodeTable& table) {
    Rows row{table};
    integers<s16>(row, "s16"), integers<u16>(row, "u16");
    integers<s32>(row, "s32"), integers<u32>(row, "u32");
    integers<s64>(row, "s64"), integers<u64>(row, "u64");
    bits<u16>(row, "b16"), bits<u32>(row, "b32"), bits<u64>(row, "b64");
    floats<float>(row, "f32"), floats<double>(row, "f64");

    row("mul.wide.s16", [](s16 a, s16 b) { return s32{a} * s32{b}; });
    row("mul.wide.u16", [](u16 a, u16 b) { return u32{a} * u32{b}; });
    row("mul.wide.s32", [](s32 a, s32 b) { return s64{a} * s64{b}; });
    row("mul.wide.u32", [](u32 a, u32 b) { return u64{a} * u64{b}; });
    row("mad.wide.s32", [](s32 a, s32 b, s64 c) { return s64{a} * s64{b} + c; });
    row("mad.wide.u32", [](u32 a, u32 b, u64 c) { return u64{a} * u64{b} + c; });
    row("mul.hi.s32", [](s32 a, s32 b) { return static_cast<s32>(s64{a} * s64{b} >> 32); });
    row("mul.hi.u32", [](u32 a, u32 b) { return static_cast<u32>(u64{a} * u64{b} >> 32); });
    row("mul.hi.u64", [](u64 a, u64 b) { return static_cast<u64>(static_cast<unsigned __int128>(a) * b >> 64); });
    row("mul.hi.s64", [](s64 a, s64 b) { return static_cast<s64>(static_cast<__int128>(a) * b >> 64); });

    row("and.pred", [](bool a, bool b) { return a && b; });
    row("or.pred", [](bool a, bool b) { return a || b; });
    row("xor.pred", [](bool a, bool b) { return a != b; });
    row("not.pred", [](bool a) { return !a; });
    row("mov.pred", [](bool a) { return a; });

    row("bfi.b32", [](u32 a, u32 b, u32 at, u32 length) { return insert_bits<u32>(a, b, at, length); });
    row("bfi.b64", [](u64 a, u64 b, u32 at, u32 length) { return insert_bits<u64>(a, b, at, length); });
    row("bfe.u32", [](u32 a, u32 at, u32 length) { return extract_bits<u32>(a, at, length); });
    row("bfe.s32", [](s32 a, u32 at, u32 length) { return extract_bits<s32>(a, at, length); });
    row("bfe.u64", [](u64 a, u32 at, u32 length) { return extract_bits<u64>(a, at, length); });
    row("bfe.s64", [](s64 a, u32 at, u32 length) { return extract_bits<s64>(a, at, length); });
    row("popc.b32", [](u32 a) { return static_cast<u32>(__builtin_popcount(a)); });
    row("popc.b64", [](u64 a) { return static_cast<u32>(__builtin_popcountll(a)); });
    row("clz.b32", [](u32 a) { return a ? static_cast<u32>(__builtin_clz(a)) : 32u; });
    row("clz.b64", [](u64 a) { return a ? static_cast<u32>(__builtin_clzll(a)) : 64u; });
    row("brev.b32", [](u32 a) { u32 r = 0; for (u32 i = 0; i < 32; ++i) r |= (a >> i & 1) << (31 - i); return r; });
    row("bfind.u32", [](u32 a) { return a ? 31u - static_cast<u32>(__builtin_clz(a)) : ~0u; });
    row("bfind.shiftamt.u32", [](u32 a) { return a ? static_cast<u32>(__builtin_clz(a)) : ~0u; });
    row("lop3.b32", [](u32 a, u32 b, u32 c, u32 t) { return lop3(a, b, c, t); });
    row("prmt.b32", [](u32 a, u32 b, u32 s) { return permute(a, b, s); });
    row("shf.l.wrap.b32", [](u32 a, u32 b, u32 c) { c &= 31; return static_cast<u32>((u64{b} << 32 | a) << c >> 32); });
    row("shf.r.wrap.b32", [](u32 a, u32 b, u32 c) { c &= 31; return static_cast<u32>((u64{b} << 32 | a) >> c); });
    row("shf.l.clamp.b32", [](u32 a, u32 b, u32 c) { c = std::min(c, 32u); return c == 32 ? a : static_cast<u32>((u64{b} << 32 | a) << c >> 32); });
    row("shf.r.clamp.b32", [](u32 a, u32 b, u32 c) { c = std::min(c, 32u); return static_cast<u32>((u64{b} << 32 | a) >> c); });
    row("sad.u32", [](u32 a, u32 b, u32 c) { return c + (a > b ? a - b : b - a); });
    row("sad.s32", [](s32 a, s32 b, u32 c) { return c + (a > b ? static_cast<u32>(a) - static_cast<u32>(b) : static_cast<u32>(b) - static_cast<u32>(a)); });
    row({"dp4a.s32.s32"}, [](u32 a, u32 b, s32 c) { for (u32 i = 0; i < 32; i += 8) c += s32{static_cast<signed char>(a >> i)} * s32{static_cast<signed char>(b >> i)}; return c; });
    row({"dp4a.u32.u32"}, [](u32 a, u32 b, u32 c) { for (u32 i = 0; i < 32; i += 8) c += (a >> i & 255) * (b >> i & 255); return c; });
    row("min.NaN.f32", [](float a, float b) { return std::isnan(a) || std::isnan(b) ? std::nanf("") : smaller(a, b); });
    row("max.NaN.f32", [](float a, float b) { return std::isnan(a) || std::isnan(b) ? std::nanf("") : larger(a, b); });
    row("copysign.f32", [](float a, float b) { return std::copysign(b, a); });
    row({"div.approx.f32", "div.full.f32"}, [](float a, float b) { return a / b; });
    row("rcp.approx.f32", [](float a) { return 1.0f / a; });
    row({"rcp.approx.ftz.f32"}, [](float a) { return std::fabs(1.0f / a) < 0x1p-126f ? std::copysign(0.0f, a) : 1.0f / (std::fabs(a) < 0x1p-126f ? std::copysign(0.0f, a) : a); });
    row("sqrt.approx.f32", [](float a) { return std::sqrt(a); });
    row("rsqrt.approx.f32", [](float a) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(a))); });
    row("ex2.approx.f32", [](float a) { return std::exp2(a); });
    row("ex2.approx.ftz.f32", [](float a) { float r = std::exp2(a); return r < 0x1p-126f ? 0.0f : r; });
    row("lg2.approx.f32", [](float a) { return std::log2(a); });
    row("sin.approx.f32", [](float a) { return std::sin(a); });
    row("cos.approx.f32", [](float a) { return std::cos(a); });
    row("tanh.approx.f32", [](float a) { return std::tanh(a); });

    for (const char* type : {"b16", "u16", "s16", "b32", "u32", "s32", "f32"}) table.emplace(std::string("selp.") + type, instruction("Rrrp", select<u32>));
    for (const char* type : {"b64", "u64", "s64", "f64"}) table.emplace(std::string("selp.") + type, instruction("Dddp", select<u64>));

    // 9.7.4, two numbers of 16 bits in a register, or one.
    numbers_16(row, "f16", 0x3c00, [](u32 a, u32 b, u32 c) { return half_fma(a, b, c); }, [](u32 a) { return half_to_float(a); },
               [](float v) { return float_to_half(v); });
    numbers_16(row, "bf16", 0x3f80, [](u32 a, u32 b, u32 c) { return bfloat16_fma(a, b, c); }, [](u32 a) { return bfloat16_to_float(a); },
               [](float v) { return float_to_bfloat16(v); });
    binary_16(row, {"mul.", "mul.rn."}, "f16", [](u32 a, u32 b) { return half_mul(a, b); });
    binary_16(row, {"mul.", "mul.rn."}, "bf16", [](u32 a, u32 b) { return bfloat16_mul(a, b); });
    row({"neg.f16x2", "neg.bf16x2"}, [](u32 a) { return a ^ 0x80008000u; });
    row({"abs.f16x2", "abs.bf16x2"}, [](u32 a) { return a & 0x7fff7fffu; });
    row({"neg.f16", "neg.bf16"}, [](u16 a) { return static_cast<u16>(a ^ 0x8000u); });
    row({"abs.f16", "abs.bf16"}, [](u16 a) { return static_cast<u16>(a & 0x7fffu); });
}

}  // namespace jmarlin::machine
