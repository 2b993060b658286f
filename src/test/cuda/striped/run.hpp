// One launch of a striped kernel in the emulator, and the judgement of its result.
#pragma once

#include <cstring>
#include <memory>
#include <sstream>

#include "emulator.hpp"
#include "instances.hpp"
#include "../prefetch/next.hpp"
#include "problem.hpp"

namespace striped_test {

using namespace jmarlin::emulator;

/** How a product is run: nothing of this may change a bit of the result. */
struct Launch {
    int grid = 3;
    int stages = 3;
    int row_padding = 0;       // columns of C between the rows
    bool unaligned_c = false;  // C starts two bytes after a 16-byte boundary
    jmarlin::Prefetch next{};  // what runs next; the same product again if empty
};

/** The operands of a problem on the device, and the workspace. May be launched many times. */
class Run {
public:
    Run(const Instance& instance, const Problem& problem, const Launch& launch)
        : instance_(instance), problem_(problem), launch_(launch), packed_(problem) {
        const Size& s = problem.size;
        lda_ = ceil_div(s.k, 8) * 8 + 8;
        ldc_ = s.n + launch.row_padding;
        c_offset_ = launch.unaligned_c ? 1 : 0;
        n_tiles_ = ceil_div(s.n, instance.columns);
        m_tiles_ = ceil_div(s.m, instance.batch);
        const int parts = instance.columns / 64;

        // Rows of A go on with NaN behind their k elements, and end at an unmapped page.
        std::vector<u16> a(static_cast<std::size_t>(s.m) * lda_, 0x7fff);
        for (int m = 0; m < s.m; ++m) {
            std::memcpy(&a[static_cast<std::size_t>(m) * lda_], &problem.activations[static_cast<std::size_t>(m) * s.k], 2 * s.k);
        }
        a.resize(a.size() - (lda_ - ceil_div(s.k, 8) * 8));
        a_ = input(a);
        codes_ = input(packed_.codes);
        scales_ = input(packed_.scales);
        zeros_ = input(packed_.zeros);
        factors_ = input(packed_.factors);
        bias_ = input(packed_.bias);
        c_ = std::make_unique<Buffer>(2 * (c_offset_ + static_cast<std::size_t>(s.m - 1) * ldc_ + s.n), Role::kOutput);
        partials_ = std::make_unique<Buffer>(std::size_t{8} * launch.grid * instance.batch * instance.columns, Role::kOutput);
        counters_ = std::make_unique<Buffer>(std::size_t{4} * n_tiles_ * m_tiles_ * parts, Role::kInOut);
    }

    jmarlin::GemmArgs args() const {
        const Size& s = problem_.size;
        jmarlin::GemmArgs args{};
        args.a = a_->address();
        args.codes = codes_->address();
        args.scales = scales_->address();
        args.zeros = instance_.zeros ? zeros_->address() : 0;
        args.factors = factors_->address();
        args.bias = problem_.has_bias ? bias_->address() : 0;
        args.c = c_->address() + 2 * c_offset_;
        args.partials = partials_->address();
        args.counters = counters_->address();
        args.next = launch_.next.starts ? launch_.next : as_next(packed_.k_blocks);
        args.lda = lda_;
        args.ldc = ldc_;
        args.m = s.m;
        args.n = s.n;
        args.k = s.k;
        args.k_blocks = packed_.k_blocks;
        args.scale_rows = packed_.scale_rows;
        args.group_shift = packed_.group_shift;
        args.n_tiles = n_tiles_;
        args.m_tiles = m_tiles_;
        args.units_per_block = units_per_block();
        args.stages = launch_.stages;
        return args;
    }

    /** What the kernel before this one is told. */
    jmarlin::Prefetch as_next(int units) const {
        return next_product(codes_->address(), packed_, instance_.columns, m_tiles_, units_per_block(), launch_.grid, units);
    }

    /** Launches; the workspace is left as the launch before left it, as in real use. */
    Result launch(const Options& options) {
        c_->reset();
        const u32 shared_bytes = instance_.shared_bytes(launch_.stages);
        return jmarlin::emulator::launch(instance_.kernel, launch_.grid, 256, shared_bytes, args(), options);
    }

    std::vector<u16> output() const { return {c_->as<u16>(), c_->as<u16>() + c_->size() / 2}; }
    u32 result_bits(int m, int n) const { return c_->as<u16>()[c_offset_ + static_cast<std::size_t>(m) * ldc_ + n]; }

    /** Nothing outside [m][n] was written, and the counters are zero again. Empty if so. */
    std::string untouched() const {
        const Size& s = problem_.size;
        for (std::size_t i = 0; i < c_->size() / 2; ++i) {
            const bool inside = i >= c_offset_ && (i - c_offset_) % ldc_ < static_cast<std::size_t>(s.n);
            if (!inside && c_->as<u16>()[i] != 0xffff) return "wrote element " + std::to_string(i) + " of C, which is no result";
        }
        for (std::size_t i = 0; i < counters_->size() / 4; ++i) {
            const u32 left = counters_->as<u32>()[i];
            if (left != 0) return "left counter " + std::to_string(i) + " at " + std::to_string(left);
        }
        return "";
    }

    /** The first result whose bits are not the expected number's. Empty if none. */
    std::string exact(const std::vector<double>& expected) const {
        for (int m = 0; m < problem_.size.m; ++m) {
            for (int n = 0; n < problem_.size.n; ++n) {
                const double want = expected[static_cast<std::size_t>(m) * problem_.size.n + n];
                const u32 bits = result_bits(m, n);
                if (bits != problem_.format.round(want)) {
                    std::ostringstream text;
                    text << "C[" << m << "][" << n << "] is " << problem_.format.value(bits) << ", expected "
                         << problem_.format.value(problem_.format.round(want)) << " (" << want << " before rounding)";
                    return text.str();
                }
            }
        }
        return "";
    }

    /** Relative Frobenius error. */
    double error(const std::vector<double>& expected) const {
        double difference = 0, norm = 0;
        for (int m = 0; m < problem_.size.m; ++m) {
            for (int n = 0; n < problem_.size.n; ++n) {
                const double want = expected[static_cast<std::size_t>(m) * problem_.size.n + n];
                const double is = problem_.format.value(result_bits(m, n));
                difference += (is - want) * (is - want);
                norm += want * want;
            }
        }
        return std::sqrt(difference / norm);
    }

private:
    int units_per_block() const { return ceil_div(n_tiles_ * m_tiles_ * packed_.k_blocks, launch_.grid); }

    template <class E>
    static std::unique_ptr<Buffer> input(const std::vector<E>& values) {
        auto buffer = std::make_unique<Buffer>(values.size() * sizeof(E), Role::kInput);
        std::memcpy(buffer->template as<void>(), values.data(), values.size() * sizeof(E));
        return buffer;
    }

    const Instance& instance_;
    const Problem& problem_;
    Launch launch_;
    Packed packed_;
    int lda_, ldc_, n_tiles_, m_tiles_;
    std::size_t c_offset_;
    std::unique_ptr<Buffer> a_, codes_, scales_, zeros_, factors_, bias_, c_, partials_, counters_;
};

}  // namespace striped_test
