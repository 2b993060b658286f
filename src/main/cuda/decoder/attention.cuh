// Attention of rows, each a sequence's query at a position, over that sequence's keys and values up to there:
//
//   out[i][h] = sum over p <= position of softmax(q[i][h] . k[p] * scale) * v[p]
//
// A decode step has a row per sequence, a prefill a row per token of the prompt, whose keys and values were written before: one kernel.
//
// Positions are cut into chunks of 128, whatever the batch is. A block takes one row, one head of k and v and four of the heads of q that
// share it, and every `splits`-th chunk:
//
//   position      0      128    256    384    512        position 470, splits 2
//   chunk         |  0   |  1   |  2   |  3   |
//   block           0      1      0      1               the one that comes last adds up chunk 0, 1, 2, 3
//
// Each chunk's sums, relative to its own largest score, are the same bits whichever block has them, and they are added in the order of the
// chunks: by one block in registers (splits 1, or a row of one chunk), or by the last of several out of a workspace. So a row's bits
// depend on its position and its sequence alone. Nobody waits.
//
// Bytes: 4 d a position and head of k and v, read once for four heads of q; q and out 4 d a head; with splits 16 d + 32 a chunk and four
// heads, written and read.
#pragma once

#include "rows.cuh"

namespace jmarlin {

struct AttentionArgs {
    u64 q;           // T[m][heads * d], 16-byte aligned
    u64 keys;        // T[slots][kv_heads][capacity][d], 16-byte aligned
    u64 values;      // the same
    u64 positions;   // u32[m], each below capacity
    u64 slots;       // u32[m]
    u64 out;         // T[m][heads * d], 16-byte aligned
    u64 partials;    // fp32[m][kv_heads][tiles][chunks of capacity][8 + 4 d], any content; unused with splits 1
    u64 counters;    // u32[m][kv_heads][tiles], zero before and after every launch; unused with splits 1
    s32 m;
    s32 heads;       // a multiple of kv_heads
    s32 kv_heads;
    s32 d;           // 8 .. 256, a multiple of 8
    s32 capacity;    // positions of a slot
    float scale;     // of the scores, times log2(e)
};

constexpr u32 kChunk = 128;       // positions
constexpr u32 kTileHeads = 4;     // heads of q that a block takes: its `tile`

// Shared memory: four heads of q, the chunk's scores (later their powers), two statistics per warp and head, and what the threads add up
// of the values. Sixteen bytes are a quad, half a piece:
//
//   q      [2 halves][4 heads][pieces]
//   sums   [4 heads][2 halves][threads and some]     thread = slice * pieces + piece
//
// A plane of sums, a head's half, is longer than the threads by so much that the quads of a slice lie in banks side by side, plane after
// plane.
struct AttentionShared {
    u32 pieces, q, scores, largest, totals, sums, sums_plane;

    JMARLIN_DEVICE explicit AttentionShared(u32 of_pieces)
        : pieces(of_pieces), q(dynamic_shared()), scores(q + 128 * pieces), largest(scores + 16 * kChunk), totals(largest + 64),
          sums(totals + 64), sums_plane(16 * (kDecoderThreads + pieces % 8)) {}

    JMARLIN_DEVICE u32 query(u32 head, u32 half, u32 piece) const { return q + 16 * ((kTileHeads * half + head) * pieces + piece); }
    JMARLIN_DEVICE u32 sum(u32 plane, u32 thread) const { return sums + plane * sums_plane + 16 * thread; }
};

// What a block does, from its number: rows first, then heads, then splits.
struct AttentionWork {
    u32 row, kv_head, first_head, heads, tile, split, splits, chunks, positions;
    u64 item;

    JMARLIN_DEVICE explicit AttentionWork(const AttentionArgs& args) {
        const u32 kv_heads = static_cast<u32>(args.kv_heads);
        const u32 group = static_cast<u32>(args.heads) / kv_heads;
        const u32 tiles = (group + kTileHeads - 1) / kTileHeads;
        const u32 items = static_cast<u32>(args.m) * kv_heads * tiles;
        item = block_index() % items;
        split = block_index() / items;
        splits = grid_size() / items;
        tile = static_cast<u32>(item) % tiles;
        kv_head = static_cast<u32>(item) / tiles % kv_heads;
        row = static_cast<u32>(item) / tiles / kv_heads;
        first_head = kv_head * group + tile * kTileHeads;
        heads = group - tile * kTileHeads < kTileHeads ? group - tile * kTileHeads : kTileHeads;
        positions = ld_global_4(args.positions + 4 * static_cast<u64>(row)) + 1;
        chunks = (positions + kChunk - 1) / kChunk;
    }

    // Blocks that have a chunk.
    JMARLIN_DEVICE u32 contributors() const { return splits < chunks ? splits : chunks; }
};

JMARLIN_DEVICE float part(const F32x4& v, u32 i) { return i < 2 ? (i == 0 ? v.x : v.y) : (i == 2 ? v.z : v.w); }

// Sums of a thread's four columns of a head, relative to 2^largest: of a chunk, or of all chunks up to one.
struct Weighted {
    float largest;
    float total;
    F32x4 sums;

    // Adds the next chunk's. Weights are at most 1.
    JMARLIN_DEVICE void add(const Weighted& next) {
        const float both = fmaxf(largest, next.largest);
        const float w = exp2_approx(largest - both);
        const float u = exp2_approx(next.largest - both);
        largest = both;
        total = fmaf(total, w, next.total * u);
        sums = {fmaf(sums.x, w, next.sums.x * u), fmaf(sums.y, w, next.sums.y * u),
                fmaf(sums.z, w, next.sums.z * u), fmaf(sums.w, w, next.sums.w * u)};
    }
};

// Scores of the chunk's positions: four lanes share a position, lane t of them has every fourth piece of its key.
template <class T>
JMARLIN_DEVICE void score(const AttentionShared& shared, u64 keys, u32 count) {
    const u32 t = lane_index() % 4;
#pragma unroll 1
    for (u32 p = warp_index() * 8 + lane_index() / 4; p < kChunk; p += kDecoderWarps * 8) {
        float dots[kTileHeads] = {};
        if (p < count) {
            for (u32 piece = t; piece < shared.pieces; piece += 4) {
                const Piece key = widen_piece<T>(ld_global_16(keys + 16 * (p * shared.pieces + piece)));
#pragma unroll
                for (u32 h = 0; h < kTileHeads; ++h) {
                    const Piece query = join(ld_shared_f32x4(shared.query(h, 0, piece)), ld_shared_f32x4(shared.query(h, 1, piece)));
#pragma unroll
                    for (int j = 0; j < 8; ++j) dots[h] = fmaf(key.v[j], query.v[j], dots[h]);
                }
            }
        }
#pragma unroll
        for (u32 h = 0; h < kTileHeads; ++h) {
            dots[h] += shuffle(dots[h], lane_index() ^ 1);
            dots[h] += shuffle(dots[h], lane_index() ^ 2);
        }
        const float mine = part({dots[0], dots[1], dots[2], dots[3]}, t);
        st_shared_f32(shared.scores + 16 * p + 4 * t, p < count ? mine : -INFINITY);
    }
}

// Scores become powers of two relative to the chunk's largest; those and the powers' sums are left per warp.
JMARLIN_DEVICE void raise(const AttentionShared& shared) {
    constexpr u32 kWarps = kChunk / 32;
    const u32 warp = warp_index();
    const u32 at = shared.scores + 16 * thread_index();
    F32x4 s{};
    if (warp < kWarps) {
        s = ld_shared_f32x4(at);
        const F32x4 most{warp_max(s.x), warp_max(s.y), warp_max(s.z), warp_max(s.w)};
        if (lane_index() == 0) st_shared_f32x4(shared.largest + 16 * warp, most);
    }
    block_sync();
    if (warp < kWarps) {
        F32x4 most = ld_shared_f32x4(shared.largest);
#pragma unroll
        for (u32 w = 1; w < kWarps; ++w) {
            const F32x4 other = ld_shared_f32x4(shared.largest + 16 * w);
            most = {fmaxf(most.x, other.x), fmaxf(most.y, other.y), fmaxf(most.z, other.z), fmaxf(most.w, other.w)};
        }
        s = {exp2_approx(s.x - most.x), exp2_approx(s.y - most.y), exp2_approx(s.z - most.z), exp2_approx(s.w - most.w)};
        st_shared_f32x4(at, s);
        const F32x4 total{warp_sum(s.x), warp_sum(s.y), warp_sum(s.z), warp_sum(s.w)};
        if (lane_index() == 0) st_shared_f32x4(shared.totals + 16 * warp, total);
    }
    block_sync();
}

// Sums of values times powers. A thread has one piece of the columns, of every `slices`-th position.
template <class T>
JMARLIN_DEVICE void weigh(const AttentionShared& shared, u64 values, u32 count) {
    const u32 pieces = shared.pieces;
    const u32 slices = kDecoderThreads / pieces;
    const u32 slice = thread_index() / pieces;
    const u32 piece = thread_index() % pieces;
    if (slice < slices) {
        float sums[kTileHeads][8] = {};
        for (u32 p = slice; p < count; p += slices) {
            const F32x4 powers = ld_shared_f32x4(shared.scores + 16 * p);
            const Piece value = widen_piece<T>(ld_global_16(values + 16 * (p * pieces + piece)));
#pragma unroll
            for (u32 h = 0; h < kTileHeads; ++h) {
#pragma unroll
                for (int j = 0; j < 8; ++j) sums[h][j] = fmaf(part(powers, h), value.v[j], sums[h][j]);
            }
        }
#pragma unroll
        for (u32 h = 0; h < kTileHeads; ++h) {
            st_shared_f32x4(shared.sum(2 * h, thread_index()), {sums[h][0], sums[h][1], sums[h][2], sums[h][3]});
            st_shared_f32x4(shared.sum(2 * h + 1, thread_index()), {sums[h][4], sums[h][5], sums[h][6], sums[h][7]});
        }
    }
    block_sync();
}

// The four columns that thread t < d of a block answers for: plane after plane, in each piece after piece.
struct Columns {
    u32 plane, piece;

    JMARLIN_DEVICE explicit Columns(u32 pieces) : plane(thread_index() / pieces), piece(thread_index() % pieces) {}

    JMARLIN_DEVICE u32 head() const { return plane / 2; }
    JMARLIN_DEVICE u32 first() const { return 8 * piece + 4 * (plane % 2); }
};

JMARLIN_DEVICE Weighted chunk_sums(const AttentionShared& shared, const Columns& mine) {
    constexpr u32 kWarps = kChunk / 32;
    Weighted w{-INFINITY, 0.f, {0.f, 0.f, 0.f, 0.f}};
#pragma unroll
    for (u32 warp = 0; warp < kWarps; ++warp) {
        w.largest = fmaxf(w.largest, ld_shared_f32(shared.largest + 16 * warp + 4 * mine.head()));
        w.total += ld_shared_f32(shared.totals + 16 * warp + 4 * mine.head());
    }
    const u32 slices = kDecoderThreads / shared.pieces;
    for (u32 slice = 0; slice < slices; ++slice) {
        const F32x4 s = ld_shared_f32x4(shared.sum(mine.plane, slice * shared.pieces + mine.piece));
        w.sums = {w.sums.x + s.x, w.sums.y + s.y, w.sums.z + s.z, w.sums.w + s.w};
    }
    return w;
}

// A chunk's sums in the workspace: four largest scores, four totals, then the sums as the threads have them.
JMARLIN_DEVICE void publish(u64 partial, const Columns& mine, const Weighted& w) {
    st_global_f32x4(partial + 32 + 16 * static_cast<u64>(thread_index()), w.sums);
    if (mine.piece != 0 || mine.plane % 2 != 0) return;     // once for each head
    st_global_f32(partial + 4 * mine.head(), w.largest);
    st_global_f32(partial + 16 + 4 * mine.head(), w.total);
}

JMARLIN_DEVICE Weighted published(u64 partial, const Columns& mine) {
    return {part(ld_global_cg_f32x4(partial), mine.head()), part(ld_global_cg_f32x4(partial + 16), mine.head()),
            ld_global_cg_f32x4(partial + 32 + 16 * static_cast<u64>(thread_index()))};
}

// Whether this block is the last of a row's contributors, known to all its threads; what the others published is then theirs to read.
JMARLIN_DEVICE bool arrives_last(u64 counter, u32 contributors, u32 buffer) {
    block_sync();
    if (thread_index() == 0) st_shared_4(buffer, atomic_inc_acq_rel(counter, contributors - 1));
    block_sync();
    return ld_shared_4(buffer) == contributors - 1;
}

template <class T>
JMARLIN_DEVICE void store_attended(const AttentionArgs& args, const AttentionWork& work, const Columns& mine, const Weighted& w) {
    if (mine.head() >= work.heads) return;
    const u32 d = static_cast<u32>(args.d);
    const u64 column = (static_cast<u64>(work.row) * static_cast<u32>(args.heads) + work.first_head + mine.head()) * d + mine.first();
    const float factor = divide(1.f, w.total);
    st_global_4(args.out + 2 * column, pack2<T>(w.sums.x * factor, w.sums.y * factor));
    st_global_4(args.out + 2 * column + 4, pack2<T>(w.sums.z * factor, w.sums.w * factor));
}

// Grid: m * kv_heads * tiles * splits, tiles being the fours of q's heads that share a head of k and v.
template <class T>
JMARLIN_DEVICE void attention(const AttentionArgs& args) {
    const AttentionWork work(args);
    if (work.split >= work.chunks) return;
    const u32 d = static_cast<u32>(args.d);
    const u32 pieces = d / 8;
    const AttentionShared shared(pieces);
    const Columns mine(pieces);
    const bool has_columns = thread_index() < d;

    // Heads that the tile lacks are zeros, and nobody stores what becomes of them.
    if (thread_index() < kTileHeads * pieces) {
        Piece q{};
        if (thread_index() < work.heads * pieces) {
            const u64 row = static_cast<u64>(work.row) * static_cast<u32>(args.heads) + work.first_head;
            q = widen_piece<T>(ld_global_16(args.q + 16 * (row * pieces + thread_index())));
        }
        const u32 head = thread_index() / pieces;
        const u32 piece = thread_index() % pieces;
        st_shared_f32x4(shared.query(head, 0, piece), {q.v[0] * args.scale, q.v[1] * args.scale, q.v[2] * args.scale, q.v[3] * args.scale});
        st_shared_f32x4(shared.query(head, 1, piece), {q.v[4] * args.scale, q.v[5] * args.scale, q.v[6] * args.scale, q.v[7] * args.scale});
    }
    block_sync();

    const u64 slot = ld_global_4(args.slots + 4 * static_cast<u64>(work.row));
    const u64 cached = 16 * (slot * static_cast<u32>(args.kv_heads) + work.kv_head) * static_cast<u32>(args.capacity) * pieces;
    const u64 chunk_bytes = 16 * kChunk * pieces;
    const u64 partial_bytes = 32 + 16 * static_cast<u64>(d);
    const u64 partials = args.partials + work.item * ((static_cast<u32>(args.capacity) + kChunk - 1) / kChunk) * partial_bytes;
    const bool alone = work.contributors() == 1;
    Weighted all{};
    for (u32 chunk = work.split; chunk < work.chunks; chunk += work.splits) {
        const u32 left = work.positions - chunk * kChunk;
        const u32 count = left < kChunk ? left : kChunk;
        score<T>(shared, args.keys + cached + chunk * chunk_bytes, count);
        block_sync();
        raise(shared);
        weigh<T>(shared, args.values + cached + chunk * chunk_bytes, count);
        if (!has_columns) continue;
        const Weighted sums = chunk_sums(shared, mine);
        if (!alone) publish(partials + chunk * partial_bytes, mine, sums);
        else if (chunk == 0) all = sums;
        else all.add(sums);
    }
    if (!alone) {
        if (!arrives_last(args.counters + 4 * work.item, work.contributors(), shared.sums)) return;
        if (!has_columns) return;
        all = published(partials, mine);
        for (u32 chunk = 1; chunk < work.chunks; ++chunk) all.add(published(partials + chunk * partial_bytes, mine));
    }
    if (has_columns) store_attended<T>(args, work, mine, all);
}

}  // namespace jmarlin
