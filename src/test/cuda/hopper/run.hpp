// One launch of a Hopper kernel in the emulator, and the judgement of its result.
#pragma once

#include <cstring>
#include <memory>

#include "emulator.hpp"
#include "hopper/hopper.cuh"
#include "../prefetch/next.hpp"

namespace hopper_test {

using namespace jmarlin::emulator;
using jmarlin::Bfloat16;
using jmarlin::Half;
using striped_test::Packed;
using striped_test::Problem;
using striped_test::Size;
using striped_test::ceil_div;

/** How a product is run: nothing of this may change a bit of the result. */
struct Launch {
    int clusters = 0;      // of the grid; 0: one per tile. With the striped schedule about as many
    int stages = 0;        // 0: as many as fit
    int lda_padding = 8;   // columns between the rows of A, of NaN
    int ldc_padding = 0;
    jmarlin::Prefetch next{};   // what runs next; the same product again if empty
};

template <class Shape>
void kernel(jmarlin::GemmArgs args) { jmarlin::hopper::multiply<Shape>(args); }

/** The operands of a problem on the device. May be launched many times. */
template <class Shape>
class Run {
public:
    Run(const Problem& problem, const Launch& launch) : problem_(problem), next_(launch.next), packed_(problem) {
        const Size& s = problem.size;
        lda_ = ceil_div(s.k, 8) * 8 + launch.lda_padding;
        ldc_ = s.n + launch.ldc_padding;
        n_tiles_ = ceil_div(s.n, Shape::kN * Shape::kNeighbours);
        m_tiles_ = ceil_div(s.m, Shape::kM);
        stages_ = launch.stages ? launch.stages : Shape::kStages;
        clusters_ = launch.clusters ? launch.clusters : n_tiles_ * m_tiles_;
        if (Shape::kStriped) {
            units_ = ceil_div(n_tiles_ * m_tiles_ * packed_.k_blocks, clusters_);
            clusters_ = ceil_div(n_tiles_ * m_tiles_ * packed_.k_blocks, units_);
        }

        // A ends with its last element, at an unmapped page.
        std::vector<jmarlin::u16> a(std::size_t(s.m - 1) * lda_ + s.k, 0x7fff);
        for (int m = 0; m < s.m; ++m) std::memcpy(&a[std::size_t(m) * lda_], &problem.activations[std::size_t(m) * s.k], 2 * s.k);
        a_ = input(a);
        codes_ = input(packed_.codes);
        scales_ = input(packed_.scales);
        zeros_ = input(packed_.zeros);
        factors_ = input(packed_.factors);
        bias_ = input(packed_.bias);
        c_ = std::make_unique<Buffer>(2 * (std::size_t(s.m - 1) * ldc_ + s.n), Role::kOutput);
        if (!Shape::kStriped) return;
        partials_ = std::make_unique<Buffer>(std::size_t{8} * clusters_ * Shape::kNeighbours * Shape::kM * Shape::kN, Role::kOutput);
        counters_ = std::make_unique<Buffer>(std::size_t{4} * n_tiles_ * m_tiles_ * Shape::kNeighbours, Role::kInOut);
    }

    /** What the kernel before this one is told. */
    jmarlin::Prefetch as_next(int units) const {
        int units_per_start = Shape::kStriped ? units_ : ceil_div(packed_.k_blocks, Shape::kSplit);
        return striped_test::next_product(codes_->address(), packed_, Shape::kN * Shape::kNeighbours, m_tiles_, units_per_start,
                                          clusters_ * Shape::kSplit, units);
    }

    Result launch(Options options) {
        options.cluster = Shape::kCluster;
        c_->reset();
        return jmarlin::emulator::launch(kernel<Shape>, jmarlin::u32(clusters_ * Shape::kCluster), jmarlin::hopper::kThreads,
                                         Shape::shared_bytes(jmarlin::u32(stages_)), args(), options);
    }

    std::vector<jmarlin::u16> output() const { return {c_->as<jmarlin::u16>(), c_->as<jmarlin::u16>() + c_->size() / 2}; }

    /** The first element of C that is not the expected number's bits, or was written and is no result. Empty if none. */
    std::string exact(const std::vector<double>& expected) const {
        const jmarlin::u16* c = c_->as<jmarlin::u16>();
        for (std::size_t i = 0; i < c_->size() / 2; ++i) {
            std::size_t m = i / ldc_, n = i % ldc_;
            bool inside = n < std::size_t(problem_.size.n);
            double want = inside ? expected[m * problem_.size.n + n] : 0;
            jmarlin::u32 bits = inside ? problem_.format.round(want) : 0xffff;
            if (c[i] != bits)
                return "C[" + std::to_string(m) + "][" + std::to_string(n) + "] is " + std::to_string(problem_.format.value(c[i])) + ", expected " +
                       (inside ? std::to_string(want) : "nothing there");
        }
        return "";
    }

    /** The counters are zero again. Empty if so. */
    std::string workspace() const {
        for (std::size_t i = 0; counters_ && i < counters_->size() / 4; ++i) {
            jmarlin::u32 left = counters_->as<jmarlin::u32>()[i];
            if (left != 0) return "left counter " + std::to_string(i) + " at " + std::to_string(left);
        }
        return "";
    }

    /** Relative Frobenius error. */
    double error(const std::vector<double>& expected) const {
        double difference = 0, norm = 0;
        for (int m = 0; m < problem_.size.m; ++m) {
            for (int n = 0; n < problem_.size.n; ++n) {
                double want = expected[std::size_t(m) * problem_.size.n + n];
                double is = problem_.format.value(c_->as<jmarlin::u16>()[std::size_t(m) * ldc_ + n]);
                difference += (is - want) * (is - want);
                norm += want * want;
            }
        }
        return std::sqrt(difference / norm);
    }

private:

    jmarlin::GemmArgs args() const {
        const Size& s = problem_.size;
        jmarlin::GemmArgs args{};
        args.a = a_->address();
        args.codes = codes_->address();
        args.scales = scales_->address();
        args.zeros = Shape::kZeroPoints ? zeros_->address() : 0;
        args.factors = factors_->address();
        args.bias = problem_.has_bias ? bias_->address() : 0;
        args.c = c_->address();
        args.next = next_.starts ? next_ : as_next(packed_.k_blocks);
        args.partials = partials_ ? partials_->address() : 0;
        args.counters = counters_ ? counters_->address() : 0;
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
        args.units_per_block = units_;
        args.stages = stages_;
        return args;
    }

    template <class E>
    static std::unique_ptr<Buffer> input(const std::vector<E>& values) {
        auto buffer = std::make_unique<Buffer>(values.size() * sizeof(E), Role::kInput);
        std::memcpy(buffer->template as<void>(), values.data(), values.size() * sizeof(E));
        return buffer;
    }

    const Problem& problem_;
    jmarlin::Prefetch next_;
    Packed packed_;
    int lda_, ldc_, n_tiles_, m_tiles_, stages_, clusters_, units_ = 0;
    std::unique_ptr<Buffer> a_, codes_, scales_, zeros_, factors_, bias_, c_, partials_, counters_;
};

}  // namespace hopper_test
