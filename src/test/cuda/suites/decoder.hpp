// The kernels between a decoder's quantized products: a second version of the arguments of src/main/cuda/decoder, launches, comparisons.
#pragma once

#include "runner.hpp"

namespace suites {

struct EmbedArgs {
    u64 ids, table, x;
    s32 m, h;
};

struct NormArgs {
    u64 x, delta, weight, sources, out;
    s32 m, h;
    float epsilon;
};

struct RotaryArgs {
    u64 qkv, q_weight, k_weight, angles, positions, slots, q, keys, values;
    s64 ld;
    s32 m, heads, kv_heads, d, capacity;
    float epsilon;
};

struct AttentionArgs {
    u64 q, keys, values, positions, slots, out, partials, counters;
    s32 m, heads, kv_heads, d, capacity;
    float scale;
};

struct SiluMulArgs {
    u64 gate_up, out;
    s32 m, f;
};

struct ProductArgs {
    u64 a, w, bias, c;
    s64 lda, ldc;
    s32 m, n, k;
};

struct ArgmaxArgs {
    u64 logits, ids;
    s64 ld;
    s32 m, n;
};

/** Random operands of a case. */
struct Draw {
    Format format;
    std::mt19937 random;
    std::normal_distribution<double> gauss;

    Draw(const Kernel& kernel, u32 seed) : format{kernel.bf16}, random(seed) {}

    u32 below(u32 end) { return std::uniform_int_distribution<u32>(0, end - 1)(random); }

    std::vector<u16> numbers(std::size_t count, double size = 1) {
        std::vector<u16> v(count);
        for (u16& bits : v) bits = static_cast<u16>(format.round(size * gauss(random)));
        return v;
    }

    /** Small integers: products and sums of some thousand of them are exact in fp32. */
    std::vector<u16> integers(std::size_t count) {
        std::vector<u16> v(count);
        for (u16& bits : v) bits = static_cast<u16>(format.round(static_cast<int>(below(7)) - 3));
        return v;
    }

    std::vector<float> floats(std::size_t count, double size = 1, double middle = 0) {
        std::vector<float> v(count);
        for (float& f : v) f = static_cast<float>(middle + size * gauss(random));
        return v;
    }
};

/** Memory that a kernel reads and writes. */
template <class E>
std::unique_ptr<Buffer> in_out(const std::vector<E>& values) {
    auto buffer = std::make_unique<Buffer>(values.size() * sizeof(E), Role::kInOut);
    std::memcpy(buffer->template as<void>(), values.data(), values.size() * sizeof(E));
    return buffer;
}

/** Where and with how much shared memory an entry runs; blocks have 256 threads. */
struct Grid {
    u32 blocks;
    u32 shared_bytes;
    Schedule schedule = Schedule::kRandom;
};

/** Bytes that all lanes ask for with one kind of instruction: what the kernel's header says it costs. */
struct Cost {
    const char* operation;
    u64 bytes;
};

template <class Args>
std::string launch_error(Runner& runner, const Kernel& kernel, const Grid& grid, const Args& args, std::initializer_list<Cost> costs) {
    Options options = Case{{}, {}, grid.schedule, 5}.options();
    options.coverage = &runner.coverage;
    options.counters = true;
    const Result result = launch(*kernel.program, kernel.name, {grid.blocks, 256, grid.shared_bytes}, &args, sizeof args, options);
    const std::string wrong = finding(result);
    if (!wrong.empty()) return wrong;
    for (const Cost& cost : costs) {
        u64 bytes = 0;
        for (const SiteCounters& site : result.counters) bytes += site.operation == cost.operation ? site.bytes : 0;
        if (bytes == cost.bytes) continue;
        return std::string(cost.operation) + " " + std::to_string(bytes) + " bytes, stated " + std::to_string(cost.bytes);
    }
    for (const SiteCounters& site : result.counters) {
        if (site.excess) return site.site + " " + site.operation + " has " + std::to_string(site.excess) + " passes in excess";
    }
    return "";
}

/** "what[row][column] is .., expected ..", unless it is the wanted number rounded, give or take `slack` before the rounding. */
inline std::string unless_near(const Format& format, const char* what, std::size_t row, std::size_t column, u32 bits, double want,
                               double slack) {
    const double is = format.value(bits);
    const int exponent = std::max(want == 0 ? format.least_exponent() : std::ilogb(want), format.least_exponent());
    if (std::fabs(is - want) <= std::ldexp(0.5, exponent - format.mantissa()) + slack) return "";
    std::ostringstream text;
    text << what << "[" << row << "][" << column << "] is " << is << ", expected " << want;
    return text.str();
}

inline std::string unless_equal(const char* what, std::size_t row, std::size_t column, double is, double want) {
    if (is == want) return "";
    std::ostringstream text;
    text.precision(9);
    text << what << "[" << row << "][" << column << "] is " << is << ", expected " << want;
    return text.str();
}

}  // namespace suites
