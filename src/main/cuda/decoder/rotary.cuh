// What becomes of the joined product q | k | v: heads of q and k are normalised where the model does that (Qwen3), rotated by their
// position's angles, and k and v go into the cache.
//
//   y[i] = x[i] cos[i] - x[i + d/2] sin[i]     y[i + d/2] = x[i + d/2] cos[i] + x[i] sin[i]     i < d/2
//
// (the halves of a head turn against each other, as Hugging Face stores the weights). All in fp32, rounded once.
// Bytes: 2 d a head of q, k and v, read and written, and the angles.
#pragma once

#include "rows.cuh"

namespace jmarlin {

struct RotaryArgs {
    u64 qkv;         // T[m][ld], 4-byte aligned: heads of q, then of k, then of v
    u64 q_weight;    // fp32[d]: RMSNorm of each head of q, or 0
    u64 k_weight;    // fp32[d], of k, or 0
    u64 angles;      // fp32[capacity][d]: d/2 cosines, d/2 sines
    u64 positions;   // u32[m], each below capacity
    u64 slots;       // u32[m]: whose cache; no two rows have both the same
    u64 q;           // T[m][heads * d], 4-byte aligned
    u64 keys;        // T[slots][kv_heads][capacity][d], 4-byte aligned
    u64 values;      // the same
    s64 ld;          // even
    s32 m;
    s32 heads;
    s32 kv_heads;
    s32 d;           // 8 .. 256, a multiple of 8
    s32 capacity;    // positions of a slot
    float epsilon;
};

// A warp's head: lane l holds words l and l + 32 of both halves, a word two numbers. What is beyond d/4 words is zero.
struct HeadHalves {
    static constexpr int kWords = 2;
    float low[kWords][2];
    float high[kWords][2];

    template <class T>
    JMARLIN_DEVICE static HeadHalves load(u64 address, u32 d) {
        HeadHalves h{};
#pragma unroll
        for (u32 i = 0; i < kWords; ++i) {
            const u32 word = lane_index() + 32 * i;
            if (word >= d / 4) continue;
            const u32 low = ld_global_4(address + 4 * word);
            const u32 high = ld_global_4(address + d + 4 * word);
            h.low[i][0] = widen<T>(low & 0xffff), h.low[i][1] = widen<T>(low >> 16);
            h.high[i][0] = widen<T>(high & 0xffff), h.high[i][1] = widen<T>(high >> 16);
        }
        return h;
    }

    template <class T>
    JMARLIN_DEVICE void store(u64 address, u32 d) const {
#pragma unroll
        for (u32 i = 0; i < kWords; ++i) {
            const u32 word = lane_index() + 32 * i;
            if (word >= d / 4) continue;
            st_global_4(address + 4 * word, pack2<T>(low[i][0], low[i][1]));
            st_global_4(address + d + 4 * word, pack2<T>(high[i][0], high[i][1]));
        }
    }

    JMARLIN_DEVICE void normalise(u64 weight, u32 d, float epsilon) {
        float squares = 0.f;
#pragma unroll
        for (u32 i = 0; i < kWords; ++i) {
#pragma unroll
            for (u32 j = 0; j < 2; ++j) squares = fmaf(low[i][j], low[i][j], fmaf(high[i][j], high[i][j], squares));
        }
        const float mean = divide(warp_sum(squares), static_cast<float>(d));
        const float factor = divide(1.f, square_root(mean + epsilon));
#pragma unroll
        for (u32 i = 0; i < kWords; ++i) {
            const u32 word = lane_index() + 32 * i;
            if (word >= d / 4) continue;
#pragma unroll
            for (u32 j = 0; j < 2; ++j) {
                low[i][j] *= factor * ld_global_f32(weight + 4 * (2 * word + j));
                high[i][j] *= factor * ld_global_f32(weight + 4 * (d / 2 + 2 * word + j));
            }
        }
    }

    JMARLIN_DEVICE void rotate(u64 angles, u32 d) {
#pragma unroll
        for (u32 i = 0; i < kWords; ++i) {
            const u32 word = lane_index() + 32 * i;
            if (word >= d / 4) continue;
#pragma unroll
            for (u32 j = 0; j < 2; ++j) {
                const float cosine = ld_global_f32(angles + 4 * (2 * word + j));
                const float sine = ld_global_f32(angles + 4 * (d / 2 + 2 * word + j));
                const float x = low[i][j], y = high[i][j];
                low[i][j] = fmaf(x, cosine, -y * sine);
                high[i][j] = fmaf(y, cosine, x * sine);
            }
        }
    }
};

// A warp takes a head of a row at a time. Any grid.
template <class T>
JMARLIN_DEVICE void rotary(const RotaryArgs& args) {
    const u32 d = static_cast<u32>(args.d);
    const u32 heads = static_cast<u32>(args.heads);
    const u32 kv_heads = static_cast<u32>(args.kv_heads);
    const u32 all = heads + 2 * kv_heads;
    const u32 work = static_cast<u32>(args.m) * all;
    for (u32 i = block_index() * kDecoderWarps + warp_index(); i < work; i += grid_size() * kDecoderWarps) {
        const u32 row = i / all;
        const u32 head = i % all;
        const u64 position = ld_global_4(args.positions + 4 * static_cast<u64>(row));
        HeadHalves h = HeadHalves::load<T>(args.qkv + 2 * (row * static_cast<u64>(args.ld) + head * d), d);
        if (head < heads + kv_heads) {
            const u64 weight = head < heads ? args.q_weight : args.k_weight;
            if (weight != 0) h.normalise(weight, d, args.epsilon);
            h.rotate(args.angles + 4 * position * d, d);
        }
        if (head < heads) {
            h.store<T>(args.q + 2 * (static_cast<u64>(row) * heads + head) * d, d);
            continue;
        }
        const u64 slot = ld_global_4(args.slots + 4 * static_cast<u64>(row));
        const u32 kv_head = (head - heads) % kv_heads;
        const u64 cached = 2 * ((slot * kv_heads + kv_head) * static_cast<u64>(args.capacity) + position) * d;
        h.store<T>((head < heads + kv_heads ? args.keys : args.values) + cached, d);
    }
}

}  // namespace jmarlin
