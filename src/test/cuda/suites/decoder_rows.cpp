// The decoder's kernels that look at one row at a time: embedding, norm, rotary embedding, activation, argmax.
#include <numeric>

#include "decoder.hpp"

namespace suites {

namespace {

std::string name_of(const Kernel& kernel, std::initializer_list<std::pair<const char*, int>> values) {
    std::ostringstream text;
    text << kernel.name;
    for (auto& value : values) text << ' ' << value.first << '=' << value.second;
    return text.str();
}

/** `count` of 0 .. end - 1 in random order, all different. */
std::vector<u32> some_of(Draw& draw, int count, int end) {
    std::vector<u32> all(end);
    std::iota(all.begin(), all.end(), 0u);
    std::shuffle(all.begin(), all.end(), draw.random);
    all.resize(count);
    return all;
}

void embed(Runner& runner, const Kernel& kernel, int m, int h, int vocabulary, u32 blocks) {
    runner.run(name_of(kernel, {{"m", m}, {"h", h}, {"grid", blocks}}), [&]() -> std::string {
        Draw draw(kernel, 3);
        std::vector<u32> ids(m);
        for (u32& id : ids) id = draw.below(vocabulary);
        ids[0] = vocabulary - 1;
        const auto table = draw.numbers(static_cast<std::size_t>(vocabulary) * h);
        const auto ids_in = input(ids), table_in = input(table);
        Buffer x(4 * static_cast<std::size_t>(m) * h, Role::kOutput);
        const EmbedArgs args{ids_in->address(), table_in->address(), x.address(), m, h};
        std::string wrong = launch_error(runner, kernel, {blocks, 0}, args,
                                         {{"ld.global.nc.v4.u32", 2ull * m * h}, {"st.global.v4.f32", 4ull * m * h}});
        for (int i = 0; i < m && wrong.empty(); ++i) {
            for (int j = 0; j < h && wrong.empty(); ++j) {
                const double want = draw.format.value(table[static_cast<std::size_t>(ids[i]) * h + j]);
                wrong = unless_equal("x", i, j, x.as<float>()[i * h + j], want);
            }
        }
        return wrong;
    });
}

// With a delta the rows named in `sources` get it; the others stay.
void norm(Runner& runner, const Kernel& kernel, int m, int h, bool delta, bool sources, double size) {
    const std::string name = name_of(kernel, {{"m", m}, {"h", h}, {"delta", delta}, {"sources", sources}}) + (size == 1 ? "" : " small");
    runner.run(name, [&]() -> std::string {
        Draw draw(kernel, 5);
        const int rows = sources ? m + 3 : m;
        const auto x = draw.floats(static_cast<std::size_t>(rows) * h, size), weight = draw.floats(h, 0.2, 1);
        const auto added = draw.numbers(static_cast<std::size_t>(rows) * h, size);
        std::vector<u32> order(m);
        std::iota(order.begin(), order.end(), 0u);
        if (sources) order = some_of(draw, m, rows);
        const auto x_io = in_out(x);
        const auto delta_in = input(added), weight_in = input(weight), order_in = input(order);
        Buffer out(2 * static_cast<std::size_t>(m) * h, Role::kOutput);
        const float epsilon = 1e-5f;
        std::string wrong = launch_error(runner, kernel, {static_cast<u32>(m), 32},
            NormArgs{x_io->address(), delta ? delta_in->address() : 0, weight_in->address(), sources ? order_in->address() : 0,
                     out.address(), m, h, epsilon},
            {{"ld.global.v4.f32", 8ull * m * h}, {"st.global.v4.f32", delta ? 4ull * m * h : 0},
             {"ld.global.nc.v4.u32", delta ? 2ull * m * h : 0}, {"ld.global.nc.v4.f32", 4ull * m * h}, {"st.global.v4.u32", 2ull * m * h}});
        std::vector<float> after = x;
        for (int i = 0; i < m && wrong.empty(); ++i) {
            const std::size_t from = static_cast<std::size_t>(order[i]) * h;
            double squares = 0;
            for (int j = 0; j < h; ++j) {
                if (delta) after[from + j] += static_cast<float>(draw.format.value(added[from + j]));
                squares += static_cast<double>(after[from + j]) * after[from + j];
            }
            const double factor = 1 / std::sqrt(squares / h + epsilon);
            for (int j = 0; j < h && wrong.empty(); ++j) {
                const double want = after[from + j] * factor * weight[j];
                wrong = unless_near(draw.format, "out", i, j, out.as<u16>()[i * h + j], want, 1e-6 * std::fabs(want));
            }
        }
        for (std::size_t i = 0; i < after.size() && wrong.empty(); ++i) {
            wrong = unless_equal("x", i / h, i % h, x_io->as<float>()[i], after[i]);
        }
        return wrong;
    });
}

struct Heads {
    int q, kv, d;
};

void rotary(Runner& runner, const Kernel& kernel, int m, Heads heads, bool normed, int padding, u32 blocks) {
    runner.run(name_of(kernel, {{"m", m}, {"heads", heads.q}, {"kv", heads.kv}, {"d", heads.d}, {"norm", normed}, {"grid", blocks}}),
               [&]() -> std::string {
        Draw draw(kernel, 7);
        const Format& format = draw.format;
        const int d = heads.d, all = heads.q + 2 * heads.kv, ld = all * d + padding, capacity = 9, slots = m + 1;
        const auto qkv = draw.numbers(static_cast<std::size_t>(m) * all * d);
        const auto weights = draw.floats(2 * d, 0.2, 1), angles = draw.floats(static_cast<std::size_t>(capacity) * d);
        const auto slot = some_of(draw, m, slots);
        std::vector<u32> position(m);
        for (u32& p : position) p = draw.below(capacity);
        const auto qkv_in = input(with_stride(qkv, m, all * d, ld));
        const auto weights_in = input(weights), angles_in = input(angles), position_in = input(position), slot_in = input(slot);
        const std::size_t cached = static_cast<std::size_t>(slots) * heads.kv * capacity * d;
        Buffer q(2 * static_cast<std::size_t>(m) * heads.q * d, Role::kOutput);
        Buffer keys(2 * cached, Role::kOutput), values(2 * cached, Role::kOutput);
        const float epsilon = 1e-6f;
        std::string wrong = launch_error(runner, kernel, {blocks, 0},
            RotaryArgs{qkv_in->address(), normed ? weights_in->address() : 0, normed ? weights_in->address() + 4 * d : 0,
                       angles_in->address(), position_in->address(), slot_in->address(), q.address(), keys.address(), values.address(), ld,
                       m, heads.q, heads.kv, d, capacity, epsilon},
            {{"ld.global.nc.f32", 4ull * m * d * (heads.q + heads.kv) * (normed ? 2 : 1)}, {"st.global.u32", 2ull * m * d * all}});
        std::vector<bool> written(2 * cached);
        for (int i = 0; i < m; ++i) {
            for (int head = 0; head < all && wrong.empty(); ++head) {
                const u16* from = &qkv[(static_cast<std::size_t>(i) * all + head) * d];
                const bool is_q = head < heads.q, is_v = head >= heads.q + heads.kv;
                std::vector<double> x(d);
                for (int j = 0; j < d; ++j) x[j] = format.value(from[j]);
                if (normed && !is_v) {
                    double squares = 0;
                    for (double v : x) squares += v * v;
                    for (int j = 0; j < d; ++j) x[j] *= weights[(is_q ? 0 : d) + j] / std::sqrt(squares / d + epsilon);
                }
                std::vector<double> want = x;
                const float* angle = &angles[static_cast<std::size_t>(position[i]) * d];
                for (int j = 0; j < d / 2 && !is_v; ++j) {
                    want[j] = x[j] * angle[j] - x[j + d / 2] * angle[j + d / 2];
                    want[j + d / 2] = x[j + d / 2] * angle[j] + x[j] * angle[j + d / 2];
                }
                const std::size_t kv_head = static_cast<std::size_t>(slot[i]) * heads.kv + (head - heads.q) % heads.kv;
                const std::size_t at = (kv_head * capacity + position[i]) * d;
                const u16* is = is_q ? q.as<u16>() + (i * heads.q + head) * d : (is_v ? values : keys).as<u16>() + at;
                for (int j = 0; j < d && wrong.empty(); ++j) {
                    if (!is_q) written[(is_v ? cached : 0) + at + j] = true;
                    const double slack = is_v ? 0 : 2e-6 * (std::fabs(x[j % (d / 2)]) + std::fabs(x[j % (d / 2) + d / 2])) * 3;
                    wrong = unless_near(format, is_q ? "q" : is_v ? "v" : "k", i, head * d + j, is[j], want[j], slack);
                }
            }
        }
        for (std::size_t i = 0; i < 2 * cached && wrong.empty(); ++i) {
            if (written[i] || (i < cached ? keys : values).as<u16>()[i % cached] == 0xffff) continue;
            wrong = "wrote another place of the cache, " + std::to_string(i);
        }
        return wrong;
    });
}

void silu_mul(Runner& runner, const Kernel& kernel, int m, int f, u32 blocks) {
    runner.run(name_of(kernel, {{"m", m}, {"f", f}, {"grid", blocks}}), [&]() -> std::string {
        Draw draw(kernel, 11);
        auto gate_up = draw.numbers(static_cast<std::size_t>(m) * 2 * f, 3);
        gate_up[0] = static_cast<u16>(draw.format.round(-200));     // e^200 is infinite in fp32: nothing is left of it
        const auto in = input(gate_up);
        Buffer out(2 * static_cast<std::size_t>(m) * f, Role::kOutput);
        std::string wrong = launch_error(runner, kernel, {blocks, 0}, SiluMulArgs{in->address(), out.address(), m, f},
                                         {{"ld.global.nc.v4.u32", 4ull * m * f}, {"st.global.v4.u32", 2ull * m * f}});
        for (int i = 0; i < m && wrong.empty(); ++i) {
            for (int j = 0; j < f && wrong.empty(); ++j) {
                const double gate = draw.format.value(gate_up[i * 2 * f + j]), up = draw.format.value(gate_up[i * 2 * f + f + j]);
                const double want = gate / (1 + std::exp(-gate)) * up;
                wrong = unless_near(draw.format, "out", i, j, out.as<u16>()[i * f + j], want, 4e-6 * std::fabs(want) + 1e-30);
            }
        }
        return wrong;
    });
}

/** What a row of logits is made to be. */
enum class Logits { kRandom, kTies, kLast, kNaN, kNegative };

void argmax(Runner& runner, const Kernel& kernel, int m, int n, Logits kind) {
    runner.run(name_of(kernel, {{"m", m}, {"n", n}, {"kind", static_cast<int>(kind)}}), [&]() -> std::string {
        Draw draw(kernel, 13);
        const int ld = ceil_div(n, 4) * 4 + 4;
        auto logits = draw.floats(static_cast<std::size_t>(m) * ld);
        std::vector<u32> want(m);
        for (int i = 0; i < m; ++i) {
            float* row = &logits[static_cast<std::size_t>(i) * ld];
            std::fill(row + n, row + ld, 100.f);     // behind the row
            if (kind == Logits::kTies) for (int j = 0; j < n; ++j) row[j] = std::floor(row[j]);
            if (kind == Logits::kNegative) std::fill(row, row + n, -INFINITY);
            if (kind == Logits::kLast) row[n - 1] = 50;
            want[i] = static_cast<u32>(std::max_element(row, row + n) - row);
            if (kind == Logits::kNaN && i != 0) row[draw.below(n)] = NAN, want[i] = ~0u;
        }
        const auto in = input(logits);
        Buffer ids(4 * m, Role::kOutput);
        std::string wrong = launch_error(runner, kernel, {static_cast<u32>(m), 64}, ArgmaxArgs{in->address(), ids.address(), ld, m, n},
                                         {{"ld.global.nc.v4.f32", 16ull * m * (n / 4)}, {"ld.global.nc.f32", 4ull * m * (n % 4)}});
        for (int i = 0; i < m && wrong.empty(); ++i) wrong = unless_equal("ids", i, 0, ids.as<u32>()[i], want[i]);
        return wrong;
    });
}

}  // namespace

void decoder_rows(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("decoder_embed_")) {
        embed(runner, kernel, 1, 8, 1, 1);
        embed(runner, kernel, 5, 520, 300, 3);
        embed(runner, kernel, 40, 64, 7, 1);      // more work than threads
    }
    for (const Kernel& kernel : runner.kernels("decoder_norm_")) {
        norm(runner, kernel, 1, 8, false, false, 1);
        norm(runner, kernel, 3, 4096, true, false, 1);     // more than a piece for each thread
        norm(runner, kernel, 2, 2104, false, false, 1e-3);
        norm(runner, kernel, 1, 8192 + 40, true, false, 1);
        norm(runner, kernel, 1, 8192 + 40, false, false, 1);
        norm(runner, kernel, 4, 200, true, true, 1);
        norm(runner, kernel, 3, 96, false, true, 1);
    }
    for (const Kernel& kernel : runner.kernels("decoder_rotary_")) {
        rotary(runner, kernel, 3, {4, 2, 128}, false, 0, 2);
        rotary(runner, kernel, 2, {3, 1, 8}, false, 2, 1);
        rotary(runner, kernel, 2, {2, 1, 256}, true, 0, 3);
        rotary(runner, kernel, 5, {6, 3, 80}, true, 6, 1);
        rotary(runner, kernel, 1, {2, 2, 64}, true, 0, 1);
    }
    for (const Kernel& kernel : runner.kernels("decoder_silu_mul_")) {
        silu_mul(runner, kernel, 1, 8, 1);
        silu_mul(runner, kernel, 7, 200, 3);
        silu_mul(runner, kernel, 3, 1432, 1);
    }
    for (const Kernel& kernel : runner.kernels("decoder_argmax")) {
        for (Logits kind : {Logits::kRandom, Logits::kTies, Logits::kLast, Logits::kNaN, Logits::kNegative}) {
            argmax(runner, kernel, 3, 1, kind);
            argmax(runner, kernel, 2, 1003, kind);
            argmax(runner, kernel, 5, 4098, kind);
        }
    }
}

}  // namespace suites
