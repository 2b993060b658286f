// The small kernels: weights expanded to a dense matrix, sums of a dense product finished, columns in another order. All bit for bit.
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
        const Problem problem(size, {kernel.bf16}, kernel.form, false, values, 11);
        const Packed packed(problem);
        const auto codes = input(packed.codes), scales = input(packed.scales), zeros = input(packed.zeros), factors = input(packed.factors);
        const int k8 = ceil_div(size.k, 8) * 8, ldw = k8 + padding;
        Buffer w(2 * (static_cast<std::size_t>(size.n - 1) * ldw + k8), Role::kOutput);
        const DequantizeArgs args{codes->address(), scales->address(), kernel.form.has_offsets() ? zeros->address() : 0, factors->address(), w.address(), ldw,
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

// What an epilogue makes of sums and bias, or of the sums alone, rounded once.
void finish_sums(Runner& runner, const Kernel& kernel, int m, int n, int grid, int padding, bool unaligned, bool has_bias, Epilogue epilogue) {
    std::ostringstream name;
    name << kernel.name << " m=" << m << " n=" << n << " grid=" << grid << " ldc=+" << padding << (unaligned ? " c+1" : "")
         << (has_bias ? " bias" : "") << epilogue.name();
    runner.run(name.str(), [&]() -> std::string {
        std::mt19937 random(13);
        auto number = [&] { return static_cast<float>(static_cast<int>(random() % 128) - 64) / 8; };
        const Finish finish(epilogue, m, n, {kernel.bf16}, 29);
        const int lds = ceil_div(n, 8) * 8, ldc = finish.columns + padding, bytes = epilogue.bytes();
        std::vector<float> sums(static_cast<std::size_t>(m) * lds), bias(ceil_div(n, 64) * 64);
        for (float& v : sums) v = number();
        for (float& v : bias) v = has_bias ? number() : 0;
        const auto sums_in = input(sums), bias_in = input(bias), factors = input(finish.row_factors);
        const std::vector<u8> residual = finish.residual_bytes(epilogue.in_place ? ldc : finish.columns + epilogue.ldr_padding,
                                                               epilogue.in_place ? unaligned : epilogue.unaligned);
        const auto residual_in = input(residual);
        Buffer c(bytes * (unaligned + static_cast<std::size_t>(m - 1) * ldc + finish.columns), epilogue.in_place ? Role::kInOut : Role::kOutput);
        if (epilogue.in_place) std::memcpy(c.as<void>(), residual.data(), residual.size());
        const u64 c_at = c.address() + bytes * unaligned;
        const EpilogueArgs steps{epilogue.in_place ? c_at : residual_in->address() + bytes * epilogue.unaligned, factors->address(),
                                 epilogue.in_place ? ldc : finish.columns + epilogue.ldr_padding, epilogue.steps};
        const FinishArgs args{sums_in->address(), has_bias ? bias_in->address() : 0, c_at, steps, lds, ldc, m, n};
        const std::string wrong = launch_error(runner, kernel, grid, args, Schedule::kRandom);
        if (!wrong.empty()) return wrong;
        std::vector<double> product(static_cast<std::size_t>(m) * n);
        for (std::size_t i = 0; i < product.size(); ++i) product[i] = sums[i / n * lds + i % n];
        const std::vector<double> want = finish.of(product, bias, n);
        for (int i = 0; i < m; ++i) {
            for (int j = 0; j < (i + 1 < m ? ldc : finish.columns); ++j) {
                const std::size_t at_element = unaligned + static_cast<std::size_t>(i) * ldc + j;
                const u32 bits = bytes == 4 ? c.as<u32>()[at_element] : c.as<u16>()[at_element];
                const double is = bytes == 4 ? static_cast<double>(c.as<float>()[at_element]) : finish.format.value(bits);
                if (j >= finish.columns ? bits != (bytes == 4 ? 0xffffffff : 0xffff) : !finish.right(is, want[static_cast<std::size_t>(i) * finish.columns + j])) {
                    return at(i, j, is, j < finish.columns ? want[static_cast<std::size_t>(i) * finish.columns + j] : NAN);
                }
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
        if (kernel.name.rfind("dequantize_finish_", 0) == 0) {
            finish_sums(runner, kernel, 5, 200, 1, 0, false, true, {});     // 16-byte stores
            finish_sums(runner, kernel, 7, 101, 2, 3, false, true, {});     // a tail, rows at any address
            for (int n = 1; n < 8; ++n) finish_sums(runner, kernel, 1, n, 3, 0, false, true, {});   // less than a piece
            int i = 0;
            for (Epilogue epilogue : Epilogue::all()) {
                epilogue.ldr_padding = i % 3 * 4;
                epilogue.unaligned = i % 5 == 4;
                finish_sums(runner, kernel, 9, 74, 2, i % 3 * 4, i % 4 == 3, i % 2 == 0, epilogue);
                finish_sums(runner, kernel, 130, 64, 5, 8, i % 4 == 2, i % 2 == 1, epilogue);         // more work than threads
                ++i;
            }
            continue;
        }
        const int group = kernel.form.group(128);
        expand(runner, kernel, {1, 100, 200, group}, 1, 0, Values::kExact, Schedule::kGreedy);
        expand(runner, kernel, {1, 64, 1096, kernel.form.group(64)}, 3, 8, Values::kExact, Schedule::kRandom);
        expand(runner, kernel, {1, 321, 2 * kernel.form.block_k() + 8, kernel.form.group(-1)}, 2, 64, Values::kReal, Schedule::kReversed);
        expand(runner, kernel, {1, 7, 520, kernel.form.group(256)}, 5, 16, Values::kReal, Schedule::kRoundRobin);
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
