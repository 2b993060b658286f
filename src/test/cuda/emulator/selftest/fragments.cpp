// The register layouts of mma and ldmatrix, as the PTX manual (9.7.14.5) words them and as numbers worked out by hand.
#include <cstring>

#include "expect.hpp"
#include "half.hpp"

namespace selftest {

using namespace jmarlin;

namespace {

struct Args {
    u64 in, out;
};

// In: per lane a0-a3, b0, b1, then d0-d3 as floats. Out: d0-d3.
template <class T>
void multiply(Args args) {
    u64 from = args.in + 48 * lane_index();
    Vec16 a = ld_global_16(from), b = ld_global_16(from + 16);
    F32x4 d = ld_global_f32x4(from + 32);
    float sum[4] = {d.x, d.y, d.z, d.w};
    u32 words[4] = {a.x, a.y, a.z, a.w};
    mma_m16n8k16<T>(sum, words, b.x, b.y);
    st_global_f32x4(args.out + 16 * lane_index(), F32x4{sum[0], sum[1], sum[2], sum[3]});
}

// Lane l names row l of 32.
void load_matrices(Args args) {
    u32 base = dynamic_shared(), lane = lane_index();
    st_shared_f32x4(base + 16 * lane, ld_global_f32x4(args.in + 16 * lane));
    warp_sync();
    u32 d[4];
    ldmatrix_x4(d, base + 16 * lane);
    st_global_16(args.out + 16 * lane, Vec16{d[0], d[1], d[2], d[3]});
}

u32 encode(bool bf16, float v) { return bf16 ? float_to_bfloat16(v) : float_to_half(v); }

/** Runs the multiplication with fragments filled by the manual's formulas; returns D[16][8]. */
std::vector<float> product(bool bf16, const std::function<float(u32, u32)>& a, const std::function<float(u32, u32)>& b,
        float start) {
    Buffer in(48 * 32, Role::kInput), out(16 * 32, Role::kOutput);
    for (u32 lane = 0; lane < 32; ++lane) {
        u32 group = lane >> 2, thread = lane % 4;
        auto* halves = reinterpret_cast<u16*>(in.as<char>() + 48 * lane);
        // "row = groupID for a0, a1, a4, a5, groupID + 8 otherwise; col = threadID * 2 + (i & 1), + 8 from a4 on"
        for (u32 i = 0; i < 8; ++i) {
            u32 row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
            u32 column = thread * 2 + (i & 1) + (i >= 4 ? 8 : 0);
            halves[i] = static_cast<u16>(encode(bf16, a(row, column)));
        }
        for (u32 i = 0; i < 4; ++i) {   // "row = threadID * 2 + (i & 1), + 8 from b2 on; col = groupID"
            u32 row = thread * 2 + (i & 1) + (i >= 2 ? 8 : 0);
            halves[8 + i] = static_cast<u16>(encode(bf16, b(row, group)));
        }
        for (u32 i = 0; i < 4; ++i) reinterpret_cast<float*>(halves)[8 + i] = start;
    }
    Result result = launch(bf16 ? multiply<Bfloat16> : multiply<Half>, 1, 32, 0, Args{in.address(), out.address()});
    std::vector<float> d(16 * 8, -1);
    if (!result.ok()) return d;
    for (u32 lane = 0; lane < 32; ++lane)
        for (u32 i = 0; i < 4; ++i) {   // "row = groupID for c0, c1, groupID + 8 for c2, c3; col = threadID * 2 + (i & 1)"
            u32 row = (lane >> 2) + (i >= 2 ? 8 : 0);
            d[row * 8 + (lane % 4) * 2 + (i & 1)] = out.as<float>()[4 * lane + i];
        }
    return d;
}

std::string check_product(bool bf16) {
    auto a = [](u32 row, u32 k) { return static_cast<float>(static_cast<int>(row * 7 + k * 3) % 13 - 6); };
    auto b = [](u32 k, u32 column) { return static_cast<float>(static_cast<int>(k * 5 + column * 11) % 9 - 4); };
    std::vector<float> d = product(bf16, a, b, 0.5f);
    for (u32 row = 0; row < 16; ++row)
        for (u32 column = 0; column < 8; ++column) {
            float expected = 0.5f;
            for (u32 k = 0; k < 16; ++k) expected += a(row, k) * b(k, column);
            if (!(d[row * 8 + column] == expected))
                return "D[" + std::to_string(row) + "][" + std::to_string(column) + "]: expected " + std::to_string(expected) +
                        ", got " +
                       std::to_string(d[row * 8 + column]);
        }
    return "";
}

/**
 * A[r][k] = 16 r + k, B = the unit matrix's first 8 columns, so D[r][c] = 16 r + c.
 * Lane 5 is r = 1, t = 1; lane 31 is r = 7, t = 3.
 */
std::string check_golden_mma() {
    Buffer in(48 * 32, Role::kInput), out(16 * 32, Role::kOutput);
    auto word = [](u32 low, u32 high) {
        return float_to_half(static_cast<float>(low)) | float_to_half(static_cast<float>(high)) << 16;
    };
    for (u32 lane = 0; lane < 32; ++lane) {
        u32 r = lane / 4, t = lane % 4;
        u32* words = in.as<u32>() + 12 * lane;
        words[0] = word(16 * r + 2 * t, 16 * r + 2 * t + 1);
        words[1] = word(16 * (r + 8) + 2 * t, 16 * (r + 8) + 2 * t + 1);
        words[2] = word(16 * r + 2 * t + 8, 16 * r + 2 * t + 9);
        words[3] = word(16 * (r + 8) + 2 * t + 8, 16 * (r + 8) + 2 * t + 9);
        words[4] = r == 2 * t ? 0x00003c00 : r == 2 * t + 1 ? 0x3c000000 : 0;   // B[k][r] = 1 where k = r; r < 8
    }
    const u32* five = in.as<u32>() + 12 * 5;
    if (five[0] != 0x4cc04c80) return "lane 5, a0 should be A[1][2], A[1][3] = 18, 19";        // 0x4c80 = 18, 0x4cc0 = 19
    if (five[1] != 0x58985890) return "lane 5, a1 should be A[9][2], A[9][3] = 146, 147";      // 0x5890 = 146, 0x5898 = 147
    if (five[2] != 0x4ec04e80) return "lane 5, a2 should be A[1][10], A[1][11] = 26, 27";      // 0x4e80 = 26, 0x4ec0 = 27
    if (five[3] != 0x58d858d0) return "lane 5, a3 should be A[9][10], A[9][11] = 154, 155";    // 0x58d0 = 154, 0x58d8 = 155
    Result result = launch(multiply<Half>, 1, 32, 0, Args{in.address(), out.address()});
    if (!result.ok()) return result.text();
    const float expected_5[4] = {18, 19, 146, 147}, expected_31[4] = {118, 119, 246, 247};
    for (u32 i = 0; i < 4; ++i) {
        if (out.as<float>()[4 * 5 + i] != expected_5[i])
            return "lane 5, d" + std::to_string(i) + " is " + std::to_string(out.as<float>()[4 * 5 + i]);
        if (out.as<float>()[4 * 31 + i] != expected_31[i])
            return "lane 31, d" + std::to_string(i) + " is " + std::to_string(out.as<float>()[4 * 31 + i]);
    }
    return "";
}

/** Row r of the 32 holds 0x(r)00 .. 0x(r)07. Lane 13 = row 3, words of columns 2 and 3, of each matrix: rows 3, 11, 19, 27. */
std::string check_golden_ldmatrix() {
    Buffer in(512, Role::kInput), out(512, Role::kOutput);
    for (u32 row = 0; row < 32; ++row)
        for (u32 column = 0; column < 8; ++column) in.as<u16>()[8 * row + column] = static_cast<u16>(row << 8 | column);
    Options options;
    options.races = true;
    Result result = launch(load_matrices, 1, 32, 512, Args{in.address(), out.address()}, options);
    if (!result.ok()) return result.text();
    const u32 expected_0[4] = {0x00010000, 0x08010800, 0x10011000, 0x18011800};
    const u32 expected_13[4] = {0x03030302, 0x0b030b02, 0x13031302, 0x1b031b02};
    for (u32 i = 0; i < 4; ++i) {
        if (out.as<u32>()[i] != expected_0[i]) return "lane 0, word " + std::to_string(i);
        if (out.as<u32>()[4 * 13 + i] != expected_13[i]) return "lane 13, word " + std::to_string(i);
    }
    return "";
}

}  // namespace

void add_fragments() {
    add("mma: fragments by the manual's formulas, fp16", [] { return check_product(false); });
    add("mma: fragments by the manual's formulas, bf16", [] { return check_product(true); });
    add("mma: words and results by hand", check_golden_mma);
    add("mma: adds in the order of k, in fp32", []() -> std::string {
        // 2^24, then fifteen ones: each is lost against 2^24. In any other order some would survive.
        auto a = [](u32, u32 k) { return k == 0 ? 4096.0f : 1.0f; };
        auto b = [](u32 k, u32) { return k == 0 ? 4096.0f : 1.0f; };
        float sum = product(false, a, b, 0)[0];
        return sum == 16777216.0f ? "" : "got " + std::to_string(sum);
    });
    add("ldmatrix: words by hand", check_golden_ldmatrix);
}

}  // namespace selftest
