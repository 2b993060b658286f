// Conversions and moves between widths (Parallel Thread Execution ISA 9.0, 9.7.9.21 cvt, 9.7.9.1 mov, 9.7.9.20 cvta).
#include <cmath>
#include <limits>

#include "half.hpp"
#include "lanewise.hpp"

namespace jmarlin::machine {

namespace {

/** Out of range is the nearest end of the range, NaN is 0 (9.7.9.21). */
template <class To, class From>
To to_integer(From v) {
    if (std::isnan(v)) return 0;
    From low = static_cast<From>(std::numeric_limits<To>::min());
    From high = std::ldexp(From(1), std::numeric_limits<To>::digits);
    return v < low ? std::numeric_limits<To>::min() : v >= high ? std::numeric_limits<To>::max() : static_cast<To>(v);
}

template <class Wide>
using Register = std::conditional_t<sizeof(Wide) == 8, Wide, std::conditional_t<std::is_signed<Wide>::value, s32, u32>>;

/** One operand wider than its type is cut off (9.4.1, operand size exceeding the instruction type); of 16 bits and less is zero above. */
template <class To, class From, class In>
void integer_row_of(Rows& row, const std::string& name) {
    if constexpr (sizeof(To) < 4) row(name.c_str(), [](In v) { return u32{static_cast<u16>(static_cast<To>(static_cast<From>(v)))}; });
    else row(name.c_str(), [](In v) { return static_cast<To>(static_cast<From>(v)); });
}

/** cvt between integers. */
template <class To, class From>
void integer_row(Rows& row, const std::string& to, const std::string& from) {
    using In = Register<From>;
    integer_row_of<To, From, In>(row, "cvt." + to + "." + from);
    if constexpr (sizeof(From) < 8) integer_row_of<To, From, u64>(row, "cvt." + to + "." + from);
    if constexpr (sizeof(To) <= sizeof(From))
        row(("cvt.sat." + to + "." + from).c_str(), [](In v) {
            __int128 wide = static_cast<From>(v);
            __int128 low = std::numeric_limits<To>::min(), high = std::numeric_limits<To>::max();
            return static_cast<Register<To>>(static_cast<To>(wide < low ? low : wide > high ? high : wide));
        });
}

template <class To>
void integer_rows(Rows& row, const std::string& to) {
    integer_row<To, u8>(row, to, "u8"), integer_row<To, s8>(row, to, "s8");
    integer_row<To, u16>(row, to, "u16"), integer_row<To, s16>(row, to, "s16");
    integer_row<To, u32>(row, to, "u32"), integer_row<To, s32>(row, to, "s32");
    integer_row<To, u64>(row, to, "u64"), integer_row<To, s64>(row, to, "s64");

    using Out = Register<To>;
    auto from_floats = [&](const char* mode, auto round) {
        using F = decltype(round);
        std::string base = std::string("cvt.") + mode + "." + to;
        row((base + ".f32").c_str(), [](float v) { return static_cast<Out>(to_integer<To>(stateless<F>()(static_cast<double>(v)))); });
        row((base + ".f64").c_str(), [](double v) { return static_cast<Out>(to_integer<To>(stateless<F>()(v))); });
        row((base + ".f16").c_str(), [](u16 v) { return static_cast<Out>(to_integer<To>(stateless<F>()(static_cast<double>(half_to_float(v))))); });
    };
    from_floats("rni", [](double v) { return std::nearbyint(v); });
    from_floats("rzi", [](double v) { return std::trunc(v); });
    from_floats("rmi", [](double v) { return std::floor(v); });
    from_floats("rpi", [](double v) { return std::ceil(v); });

    row(("cvt.rn.f32." + to).c_str(), [](Out v) { return static_cast<float>(static_cast<To>(v)); });
    row(("cvt.rn.f64." + to).c_str(), [](Out v) { return static_cast<double>(static_cast<To>(v)); });
    row(("cvt.rn.f16." + to).c_str(), [](Out v) { return static_cast<u16>(double_to_half(static_cast<double>(static_cast<To>(v)))); });
}

// cvt.rn.f16x2.f32 d, a, b: a is the upper half.
u32 half_pair(float a, float b) { return float_to_half(a) << 16 | float_to_half(b); }
u32 bfloat_pair(float a, float b) { return float_to_bfloat16(a) << 16 | float_to_bfloat16(b); }

/** mov.b32 {a, b}, c: an operand for each half. */
Next unpack_32(Warp& w, const Instruction& i, u32 lanes) {
    const u32* from = source_32(w, i.operands[2]);
    u32 known = written_32(w, i.operands[2]);
    u32 low[kWarpSize], high[kWarpSize];
    for (u32 l = 0; l < kWarpSize; ++l) low[l] = from[l] & 0xffff, high[l] = from[l] >> 16;
    store_32(w, i.operands[0], lanes, low, known);
    store_32(w, i.operands[1], lanes, high, known);
    return Next::kGo;
}

Next unpack_64(Warp& w, const Instruction& i, u32 lanes) {
    const u64* from = source_64(w, i.operands[2]);
    u32 known = written_64(w, i.operands[2]);
    u32 low[kWarpSize], high[kWarpSize];
    for (u32 l = 0; l < kWarpSize; ++l) low[l] = static_cast<u32>(from[l]), high[l] = static_cast<u32>(from[l] >> 32);
    store_32(w, i.operands[0], lanes, low, known);
    store_32(w, i.operands[1], lanes, high, known);
    return Next::kGo;
}

template <class F>
void with_vector(OpcodeTable& table, const char* name, const char* signature, F f) {
    Opcode opcode = lanewise(f);
    opcode.signature = signature;
    table.emplace(name, opcode);
}

}  // namespace

void add_conversions(OpcodeTable& table) {
    Rows row{table};
    integer_rows<u8>(row, "u8"), integer_rows<s8>(row, "s8");
    integer_rows<u16>(row, "u16"), integer_rows<s16>(row, "s16");
    integer_rows<u32>(row, "u32"), integer_rows<s32>(row, "s32");
    integer_rows<u64>(row, "u64"), integer_rows<s64>(row, "s64");

    row("cvt.f64.f32", [](float v) { return static_cast<double>(v); });
    row("cvt.rn.f32.f64", [](double v) { return static_cast<float>(v); });
    row("cvt.f32.f16", [](u16 v) { return half_to_float(v); });
    row("cvt.f32.bf16", [](u16 v) { return bfloat16_to_float(v); });
    row("cvt.f64.f16", [](u16 v) { return static_cast<double>(half_to_float(v)); });
    row("cvt.rn.f16.f32", [](float v) { return static_cast<u16>(float_to_half(v)); });
    row("cvt.rn.bf16.f32", [](float v) { return static_cast<u16>(float_to_bfloat16(v)); });
    row("cvt.rn.f16.f64", [](double v) { return static_cast<u16>(double_to_half(v)); });
    row("cvt.rn.f16x2.f32", [](float a, float b) { return half_pair(a, b); });
    row("cvt.rn.bf16x2.f32", [](float a, float b) { return bfloat_pair(a, b); });
    row("cvt.rni.f32.f32", [](float v) { return std::nearbyint(v); });
    row("cvt.rzi.f32.f32", [](float v) { return std::trunc(v); });
    row("cvt.rmi.f32.f32", [](float v) { return std::floor(v); });
    row("cvt.rpi.f32.f32", [](float v) { return std::ceil(v); });
    row("cvt.sat.f32.f32", [](float v) { return v >= 1.0f ? 1.0f : v > 0.0f ? v : 0.0f; });

    with_vector(table, "mov.b32", "R(rr)", [](u32 low, u32 high) { return (low & 0xffff) | high << 16; });
    with_vector(table, "mov.b64", "D(rr)", [](u32 low, u32 high) { return u64{high} << 32 | low; });
    table.emplace("mov.b32", instruction("(RR)r", unpack_32));
    table.emplace("mov.b64", instruction("(RR)d", unpack_64));

    row({"cvta.global.u64", "cvta.to.global.u64", "cvta.const.u64", "cvta.to.const.u64", "cvta.param.u64"}, [](u64 a) { return a; });
    row("cvta.shared.u64", [](u64 a) { return a | kSharedWindow; });
    row("cvta.to.shared.u64", [](u64 a) { return a & ~kSharedWindow; });
    row("cvta.local.u64", [](u64 a) { return a | kLocalWindow; });
    row("cvta.to.local.u64", [](u64 a) { return a & ~kLocalWindow; });
}

}  // namespace jmarlin::machine
