// The decoder's kernels that add up: attention, and products with a matrix of 16-bit numbers. A row's bits must not depend on the batch.
#include "decoder.hpp"

namespace suites {

namespace {

// ---- Attention ----

constexpr int kChunk = 128;

struct Heads {
    int q, kv, d;
};

/** Caches of some sequences, and rows that attend to them. */
struct Attended {
    Draw draw;
    Heads heads;
    int capacity, slots;
    std::vector<u32> positions, slot;
    std::vector<u16> q, keys, values;

    Attended(const Kernel& kernel, Heads h, int capacity_, std::vector<u32> at, double size)
        : draw(kernel, 17), heads(h), capacity(capacity_), slots(static_cast<int>(at.size()) + 1), positions(std::move(at)) {
        q = draw.numbers(positions.size() * h.q * h.d, size);
        const std::size_t cached = static_cast<std::size_t>(slots) * h.kv * capacity * h.d;
        keys = draw.numbers(cached);
        values = draw.numbers(cached);
        for (std::size_t i = 0; i < positions.size(); ++i) slot.push_back(static_cast<u32>(positions.size() - i));
        for (std::size_t i = 0; i + 1 < positions.size(); i += 2) slot[i + 1] = slot[i];    // two rows of a sequence, as in a prefill
        // What is behind the last position was never written: NaN.
        std::vector<u32> ends(slots);
        for (std::size_t i = 0; i < positions.size(); ++i) ends[slot[i]] = std::max(ends[slot[i]], positions[i] + 1);
        for (std::size_t i = 0; i < cached; ++i) {
            const std::size_t row = i / h.d;
            if (row % capacity >= ends[row / capacity / h.kv]) keys[i] = values[i] = 0x7fff;
        }
    }

    std::size_t cache_row(std::size_t i, int kv_head) const { return (static_cast<std::size_t>(slot[i]) * heads.kv + kv_head) * capacity; }

    /** Of one row and head, in double. */
    std::vector<double> expected(std::size_t i, int head) const {
        const int d = heads.d, kv_head = head / (heads.q / heads.kv);
        std::vector<double> weights, out(d);
        double largest = -INFINITY, total = 0;
        for (u32 p = 0; p <= positions[i]; ++p) {
            double dot = 0;
            for (int j = 0; j < d; ++j) {
                dot += draw.format.value(q[(i * heads.q + head) * d + j]) * draw.format.value(keys[(cache_row(i, kv_head) + p) * d + j]);
            }
            weights.push_back(dot / std::sqrt(d));
            largest = std::max(largest, weights.back());
        }
        for (double& w : weights) total += w = std::exp(w - largest);
        for (u32 p = 0; p <= positions[i]; ++p) {
            for (int j = 0; j < d; ++j) out[j] += weights[p] / total * draw.format.value(values[(cache_row(i, kv_head) + p) * d + j]);
        }
        return out;
    }
};

/** Attends with so many splits; the rows' bits, or what is wrong. */
std::string attend(Runner& runner, const Kernel& kernel, const Attended& a, int first, int m, int splits, Schedule schedule,
                   std::vector<u16>& bits) {
    const Heads& h = a.heads;
    const int tiles = ceil_div(h.q / h.kv, 4), items = m * h.kv * tiles;
    const auto q = input(a.q), keys = input(a.keys), values = input(a.values), positions = input(a.positions), slots = input(a.slot);
    Buffer out(2 * static_cast<std::size_t>(m) * h.q * h.d, Role::kOutput);
    Buffer partials(4 * static_cast<std::size_t>(items) * ceil_div(a.capacity, kChunk) * (8 + 4 * h.d), Role::kWorkspace);
    Buffer counters(4 * items, Role::kInOut);
    const AttentionArgs args{q->address() + 2ull * first * h.q * h.d, keys->address(), values->address(),
                             positions->address() + 4ull * first, slots->address() + 4ull * first, out.address(),
                             splits > 1 ? partials.address() : 0, splits > 1 ? counters.address() : 0, m, h.q, h.kv, h.d, a.capacity,
                             static_cast<float>(1.4426950408889634 / std::sqrt(h.d))};
    const u32 shared_bytes = 16 * h.d + 16 * kChunk + 128 + 128 * (256 + h.d / 8 % 8);
    // Keys and values once for each tile of heads, q for each block; partial sums where there are several blocks and several chunks.
    u64 positions_read = 0, blocks = 0, partial_chunks = 0;
    for (int i = first; i < first + m; ++i) {
        const int chunks = ceil_div(static_cast<int>(a.positions[i]) + 1, kChunk);
        positions_read += a.positions[i] + 1;
        blocks += std::min(splits, chunks);
        if (splits > 1 && chunks > 1) partial_chunks += chunks;
    }
    const u64 cached = positions_read * h.kv * tiles * 4 * h.d, partial = partial_chunks * h.kv * tiles * 16 * h.d;
    std::string wrong = launch_error(runner, kernel, {static_cast<u32>(items * splits), shared_bytes, schedule}, args,
                                     {{"ld.global.nc.v4.u32", cached + 2 * blocks * h.q * h.d}, {"st.global.u32", 2ull * m * h.q * h.d},
                                      {"st.global.v4.f32", partial}});
    for (int i = 0; i < items && wrong.empty(); ++i) {
        if (counters.as<u32>()[i] != 0) wrong = "left counter " + std::to_string(i) + " at " + std::to_string(counters.as<u32>()[i]);
    }
    bits.assign(out.as<u16>(), out.as<u16>() + out.size() / 2);
    return wrong;
}

void attention(Runner& runner, const Kernel& kernel, Heads h, int capacity, const std::vector<u32>& positions, int splits,
               double size = 1) {
    std::ostringstream name;
    name << kernel.name << " m=" << positions.size() << " heads=" << h.q << " kv=" << h.kv << " d=" << h.d << " capacity=" << capacity
         << " splits=" << splits << (size == 1 ? "" : " peaked");
    runner.run(name.str(), [&]() -> std::string {
        const Attended a(kernel, h, capacity, positions, size);
        std::vector<u16> bits, again, alone;
        std::string wrong = attend(runner, kernel, a, 0, static_cast<int>(positions.size()), splits, Schedule::kRandom, bits);
        for (std::size_t i = 0; i < positions.size(); ++i) {
            for (int head = 0; head < h.q && wrong.empty(); ++head) {
                const std::vector<double> want = a.expected(i, head);
                for (int j = 0; j < h.d && wrong.empty(); ++j) {
                    wrong = unless_near(a.draw.format, "out", i, head * h.d + j, bits[(i * h.q + head) * h.d + j], want[j], 2e-5 * size);
                }
            }
        }
        // The same bits over another number of blocks, and alone.
        if (wrong.empty()) wrong = attend(runner, kernel, a, 0, static_cast<int>(positions.size()), splits + 1, Schedule::kReversed, again);
        if (wrong.empty() && bits != again) wrong = "other bits with " + std::to_string(splits + 1) + " splits";
        const std::size_t last = positions.size() - 1, row = static_cast<std::size_t>(h.q) * h.d;
        if (wrong.empty()) wrong = attend(runner, kernel, a, static_cast<int>(last), 1, 3, Schedule::kRoundRobin, alone);
        if (wrong.empty() && !std::equal(alone.begin(), alone.end(), &bits[last * row])) wrong = "other bits alone";
        return wrong;
    });
}

// ---- Products ----

struct Rows {
    std::vector<u16> a, w;
    std::vector<float> bias;
};

/** The results' bits, of 16 or 32 bits each, and NaN's behind them up to ldc. */
std::string multiply(Runner& runner, const Kernel& kernel, const Rows& rows, int first, int m, int n, int k, int ldc, bool bias,
                     std::vector<u32>& bits) {
    const bool floats = kernel.name.find("_floats_") != std::string::npos;
    const int lda = k + 8, tile = kernel.rows;
    const u16* from = &rows.a[static_cast<std::size_t>(first) * k];
    const std::vector<u16> own(from, from + static_cast<std::size_t>(m) * k);
    const auto a = input(with_stride(own, m, k, lda)), w = input(rows.w), added = input(rows.bias);
    Buffer c((floats ? 4 : 2) * (static_cast<std::size_t>(m - 1) * ldc + n), Role::kOutput);
    const u32 grid = static_cast<u32>(ceil_div(m, tile) * ceil_div(n, 32)), shared_bytes = static_cast<u32>(8 * tile * 4 * 36);
    const ProductArgs args{a->address(), w->address(), bias ? added->address() : 0, c.address(), lda, ldc, m, n, k};
    const u64 w_bytes = 2ull * n * k * ceil_div(m, tile), a_bytes = 2ull * m * k * ceil_div(n, 32);
    const std::string wrong = launch_error(runner, kernel, {grid, shared_bytes}, args,
                                           {{"ld.global.nc.v4.u32", w_bytes + a_bytes},
                                            {floats ? "st.global.f32" : "st.global.u16", (floats ? 4ull : 2ull) * m * n}});
    bits.clear();
    for (std::size_t i = 0; i < c.size() / (floats ? 4 : 2); ++i) bits.push_back(floats ? c.as<u32>()[i] : c.as<u16>()[i]);
    return wrong;
}

void product(Runner& runner, const Kernel& kernel, int m, int n, int k, bool bias, Values values) {
    std::ostringstream name;
    name << kernel.name << " m=" << m << " n=" << n << " k=" << k << " bias=" << bias << (values == Values::kReal ? " real" : "");
    runner.run(name.str(), [&]() -> std::string {
        const bool floats = kernel.name.find("_floats_") != std::string::npos;
        Draw draw(kernel, 19);
        const bool exact = values == Values::kExact;
        Rows rows{exact ? draw.integers(static_cast<std::size_t>(m) * k) : draw.numbers(static_cast<std::size_t>(m) * k),
                  exact ? draw.integers(static_cast<std::size_t>(n) * k) : draw.numbers(static_cast<std::size_t>(n) * k), draw.floats(n)};
        if (exact) for (float& b : rows.bias) b = std::floor(8 * b) / 8;
        const int ldc = n + 3;
        std::vector<u32> bits, alone;
        std::string wrong = multiply(runner, kernel, rows, 0, m, n, k, ldc, bias, bits);
        for (int i = 0; i < m; ++i) {
            for (int j = 0; j < ldc && wrong.empty(); ++j) {
                const std::size_t at = static_cast<std::size_t>(i) * ldc + j;
                if (j >= n) {
                    if (i + 1 < m && bits[at] != (floats ? 0xffffffffu : 0xffffu)) wrong = "wrote behind row " + std::to_string(i);
                    continue;
                }
                double want = bias ? rows.bias[j] : 0, size = std::fabs(want);
                for (int l = 0; l < k; ++l) {
                    const std::size_t a = static_cast<std::size_t>(i) * k + l, w = static_cast<std::size_t>(j) * k + l;
                    const double term = draw.format.value(rows.a[a]) * draw.format.value(rows.w[w]);
                    want += term;
                    size += std::fabs(term);
                }
                float is;
                std::memcpy(&is, &bits[at], 4);
                const double slack = exact ? 0 : 1e-6 * size;
                if (!floats) wrong = unless_near(draw.format, "c", i, j, bits[at], want, slack);
                else if (!(std::fabs(is - want) <= slack)) wrong = unless_equal("c", i, j, is, want);
            }
        }
        if (wrong.empty()) wrong = multiply(runner, kernel, rows, m - 1, 1, n, k, ldc, bias, alone);
        if (wrong.empty() && !std::equal(alone.begin(), alone.end(), bits.end() - n)) wrong = "other bits alone";
        return wrong;
    });
}

/** A row has the same bits through both entries. */
void entries_agree(Runner& runner, const Kernel& few, const Kernel& many) {
    runner.run(few.name + " and " + many.name, [&]() -> std::string {
        Draw draw(few, 23);
        const int m = 11, n = 40, k = 344;
        const Rows rows{draw.numbers(m * k), draw.numbers(n * k), draw.floats(n)};
        std::vector<u32> bits, others;
        std::string wrong = multiply(runner, few, rows, 0, m, n, k, n, true, bits);
        if (wrong.empty()) wrong = multiply(runner, many, rows, 0, m, n, k, n, true, others);
        return !wrong.empty() || bits == others ? wrong : "the two give other bits";
    });
}

}  // namespace

void decoder_heads(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("decoder_attention_")) {
        attention(runner, kernel, {4, 1, 128}, 640, {470, 0, 127, 128, 300}, 2);
        attention(runner, kernel, {14, 2, 64}, 200, {130, 5}, 1);        // seven heads share one: a tile of four and one of three
        attention(runner, kernel, {2, 2, 8}, 300, {256, 299, 31}, 3);
        attention(runner, kernel, {2, 1, 80}, 130, {129}, 1);
        attention(runner, kernel, {1, 1, 256}, 400, {260, 399}, 2);
        attention(runner, kernel, {2, 1, 96}, 128, {77, 100}, 1);        // a single chunk
        attention(runner, kernel, {4, 1, 64}, 512, {500, 400}, 2, 12);   // almost all weight on one position
        attention(runner, kernel, {1, 1, 64}, 1100, {1050, 700}, 4);     // many chunks
        attention(runner, kernel, {1, 1, 88}, 150, {140}, 2);            // 23 slices of positions
    }
    const std::vector<Kernel> products = runner.kernels("decoder_product_");
    for (const Kernel& kernel : products) {
        product(runner, kernel, 1, 1, 8, false, Values::kExact);
        product(runner, kernel, 5, 100, 264, true, Values::kExact);
        product(runner, kernel, 9, 33, 1000, true, Values::kReal);
        product(runner, kernel, 40, 64, 520, false, Values::kReal);
        product(runner, kernel, 3, 70, 4096, true, Values::kReal);
    }
    for (const Kernel& few : products) {
        for (const Kernel& many : products) {
            const bool same = few.name.substr(0, few.name.rfind('_')) == many.name.substr(0, many.name.rfind('_'));
            if (same && few.rows < many.rows) entries_agree(runner, few, many);
        }
    }
}

}  // namespace suites
