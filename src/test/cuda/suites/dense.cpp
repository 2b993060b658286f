// The small kernels: weights expanded to a dense matrix, a bias added to sums, columns in another order. All bit for bit.
#include <numeric>

#include "runner.hpp"

namespace suites {

namespace {

/** Runs an entry on a grid of blocks of 256 threads. */
template <class Args>
std::string launch_error(Runner& runner, const Kernel& kernel, int grid, const Args& args, Schedule schedule) {
    Options options = Case{{}, {}, schedule, 3}.options();
    options.coverage = &runner.coverage;
    return finding(launch(*kernel.program, kernel.name, {static_cast<u32>(grid), 256, 0}, &args, sizeof args, options));
}

std::string at(int row, int column, double is, double want) {
    std::ostringstream text;
    text << "[" << row << "][" << column << "] is " << is << ", expected " << want;
    return text.str();
}

/** Element [row][column] of 16-bit numbers, and whether it is the wanted one, by value: zeros of both signs are equal. */
struct Rows {
    const u16* at;
    std::size_t stride;
    Format format;

    u32 bits(int row, int column) const { return at[row * stride + column]; }
    bool is(int row, int column, double want) const { return format.value(bits(row, column)) == format.value(format.round(want)); }
};

// W'[n][k] is W transposed, each weight rounded once; from k up to a multiple of 8 anything finite, then nothing.
void expand(Runner& runner, const Kernel& kernel, const Size& size, int grid, int padding, Values values, Schedule schedule) {
    std::ostringstream name;
    name << kernel.name << " n=" << size.n << " k=" << size.k << " g=" << size.group << " grid=" << grid << " ldw=k+" << padding
         << (values == Values::kReal ? " real" : "");
    runner.run(name.str(), [&]() -> std::string {
        const Problem problem(size, {kernel.bf16}, kernel.zeros, false, values, 11);
        const Packed packed(problem);
        const auto codes = input(packed.codes), scales = input(packed.scales), zeros = input(packed.zeros), factors = input(packed.factors);
        const int k8 = ceil_div(size.k, 8) * 8, ldw = k8 + padding;
        Buffer w(2 * (static_cast<std::size_t>(size.n - 1) * ldw + k8), Role::kOutput);
        const DequantizeArgs args{codes->address(), scales->address(), kernel.zeros ? zeros->address() : 0, factors->address(), w.address(), ldw,
                                  size.n, size.k, packed.k_blocks, packed.scale_rows, packed.group_shift};
        const std::string wrong = launch_error(runner, kernel, grid, args, schedule);
        if (!wrong.empty()) return wrong;
        const Rows rows{w.as<u16>(), static_cast<std::size_t>(ldw), problem.format};
        for (int n = 0; n < size.n; ++n) {
            for (int k = 0; k < (n + 1 < size.n ? ldw : k8); ++k) {
                const double is = problem.format.value(rows.bits(n, k));
                const bool right = k < size.k ? rows.is(n, k, problem.weight(k, n)) : k < k8 ? std::isfinite(is) : rows.bits(n, k) == 0xffff;
                if (!right) return at(n, k, is, k < size.k ? problem.weight(k, n) : NAN);
            }
        }
        return "";
    });
}

// C = round(sums + bias): one fp32 addition, one rounding.
void add_bias(Runner& runner, const Kernel& kernel, int m, int n, int grid, int padding, bool unaligned, Values values) {
    std::ostringstream name;
    name << kernel.name << " m=" << m << " n=" << n << " grid=" << grid << " ldc=n+" << padding << (unaligned ? " c+2" : "");
    runner.run(name.str(), [&]() -> std::string {
        std::mt19937 random(13);
        std::normal_distribution<float> gauss;
        auto number = [&] { return values == Values::kExact ? static_cast<float>(static_cast<int>(random() % 128) - 64) / 8 : gauss(random); };
        const int lds = ceil_div(n, 8) * 8, ldc = n + padding;
        std::vector<float> sums(static_cast<std::size_t>(m) * lds), bias(ceil_div(n, 64) * 64);
        for (float& v : sums) v = number();
        for (float& v : bias) v = number();
        const auto sums_in = input(sums), bias_in = input(bias);
        Buffer c(2 * (unaligned + static_cast<std::size_t>(m - 1) * ldc + n), Role::kOutput);
        const BiasArgs args{sums_in->address(), bias_in->address(), c.address() + 2 * unaligned, lds, ldc, m, n};
        const std::string wrong = launch_error(runner, kernel, grid, args, Schedule::kRandom);
        if (!wrong.empty()) return wrong;
        const Rows rows{c.as<u16>() + unaligned, static_cast<std::size_t>(ldc), {kernel.bf16}};
        for (int i = 0; i < m; ++i) {
            for (int j = 0; j < (i + 1 < m ? ldc : n); ++j) {
                const double want = j < n ? sums[static_cast<std::size_t>(i) * lds + j] + bias[j] : NAN;
                if (j < n ? !rows.is(i, j, want) : rows.bits(i, j) != 0xffff) return at(i, j, rows.format.value(rows.bits(i, j)), want);
            }
        }
        return "";
    });
}

// gathered[i][j] = a[i][order[j]]; zeros up to a multiple of 8, then nothing.
void gather(Runner& runner, const Kernel& kernel, int m, int k, int grid, int padding, Schedule schedule) {
    std::ostringstream name;
    name << kernel.name << " m=" << m << " k=" << k << " grid=" << grid << " ldg=k+" << padding;
    runner.run(name.str(), [&]() -> std::string {
        std::mt19937 random(17);
        std::vector<u16> a(static_cast<std::size_t>(m) * k);
        for (u16& v : a) v = static_cast<u16>(random());   // of any format: bits, NaN among them
        std::vector<u32> order(k);
        std::iota(order.begin(), order.end(), 0u);
        std::shuffle(order.begin(), order.end(), random);
        const int lda = k + padding, k8 = ceil_div(k, 8) * 8, ldg = k8 + padding / 8 * 8;
        const auto a_in = input(with_stride(a, m, k, lda)), order_in = input(order);
        Buffer gathered(2 * (static_cast<std::size_t>(m - 1) * ldg + k8), Role::kOutput);
        const GatherArgs args{a_in->address(), order_in->address(), gathered.address(), lda, ldg, m, k};
        const std::string wrong = launch_error(runner, kernel, grid, args, schedule);
        if (!wrong.empty()) return wrong;
        for (int i = 0; i < m; ++i) {
            for (int j = 0; j < (i + 1 < m ? ldg : k8); ++j) {
                const u32 is = gathered.as<u16>()[static_cast<std::size_t>(i) * ldg + j];
                const u32 want = j < k ? a[static_cast<std::size_t>(i) * k + order[j]] : j < k8 ? 0 : 0xffff;
                if (is != want) return at(i, j, is, want);
            }
        }
        return "";
    });
}

}  // namespace

void dense(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("dequantize_")) {
        if (kernel.name.rfind("dequantize_bias_", 0) == 0) {
            add_bias(runner, kernel, 5, 200, 1, 0, false, Values::kExact);     // 16-byte stores
            add_bias(runner, kernel, 7, 101, 2, 3, false, Values::kReal);      // a tail, rows at any address
            add_bias(runner, kernel, 130, 64, 5, 8, true, Values::kReal);      // more work than threads
            for (int n = 1; n < 8; ++n) add_bias(runner, kernel, 1, n, 3, 0, false, Values::kExact);   // less than a piece
            continue;
        }
        const int group = kernel.group32 ? 32 : 128;
        expand(runner, kernel, {1, 100, 200, group}, 1, 0, Values::kExact, Schedule::kGreedy);
        expand(runner, kernel, {1, 64, 1096, kernel.group32 ? 32 : 64}, 3, 8, Values::kExact, Schedule::kRandom);
        expand(runner, kernel, {1, 321, 136, kernel.group32 ? 32 : -1}, 2, 64, Values::kReal, Schedule::kReversed);
        expand(runner, kernel, {1, 7, 520, kernel.group32 ? 32 : 256}, 5, 16, Values::kReal, Schedule::kRoundRobin);
        expand(runner, kernel, {1, 129, 61, group}, 1, 0, Values::kReal, Schedule::kGreedy);
    }
    for (const Kernel& kernel : runner.kernels("gather_")) {
        gather(runner, kernel, 1, 4096, 3, 0, Schedule::kGreedy);
        gather(runner, kernel, 9, 101, 2, 24, Schedule::kRandom);
        gather(runner, kernel, 33, 200, 1, 8, Schedule::kReversed);      // more work than threads
        for (int k = 1; k < 8; ++k) gather(runner, kernel, 3, k, 4, 3, Schedule::kRoundRobin);
    }
}

}  // namespace suites
