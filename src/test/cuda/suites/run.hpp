// One product by one kernel, and the judgement of its result.
#pragma once

#include <memory>
#include <sstream>

#include "epilogue.hpp"
#include "kernel.hpp"

namespace suites {

template <class E>
std::unique_ptr<Buffer> input(const std::vector<E>& values) {
    auto buffer = std::make_unique<Buffer>(values.size() * sizeof(E), Role::kInput);
    std::memcpy(buffer->template as<void>(), values.data(), values.size() * sizeof(E));
    return buffer;
}

/** Rows of 16-bit numbers, `stride` apart: NaN between them, and nothing behind the last number. */
inline std::vector<u16> with_stride(const std::vector<u16>& rows, int m, int k, int stride) {
    std::vector<u16> apart(static_cast<std::size_t>(m - 1) * stride + k, 0x7fff);
    for (int i = 0; i < m; ++i) std::copy_n(&rows[static_cast<std::size_t>(i) * k], k, &apart[static_cast<std::size_t>(i) * stride]);
    return apart;
}

/** What the machine found first in a launch, in a line. Empty if nothing. */
inline std::string finding(const Result& result) {
    if (result.ok()) return "";
    std::string text = result.errors.empty() ? "did not complete" : result.errors[0].text.substr(0, 4000);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

/** How a product is run: nothing of this may change a bit of the result. */
struct Launch {
    int starts = 3;            // thread blocks, of hopper clusters; 0: one per tile
    int stages = 3;            // 0: as many as fit
    int lda_padding = 8;       // columns between the rows of A
    int ldc_padding = 0;       // and of C
    bool unaligned_c = false;  // C starts two bytes after a 16-byte boundary
    Prefetch next{};           // what runs next; the same product again if empty
    Epilogue epilogue{};
};

/** The operands of a problem on the device, and the workspace. May be launched many times. */
class Run {
public:
    Run(const Kernel& kernel, const Problem& problem, const Launch& launch)
        : kernel_(kernel), problem_(problem), launch_(launch), packed_(problem),
          finish_(launch.epilogue, problem.size.m, problem.size.n, problem.format, 23) {
        const Size& s = problem.size;
        lda_ = ceil_div(s.k, 8) * 8 + launch.lda_padding;
        ldc_ = finish_.columns + launch.ldc_padding;
        c_offset_ = launch.unaligned_c ? 1 : 0;
        n_tiles_ = ceil_div(s.n, kernel.columns * kernel.neighbours);
        m_tiles_ = ceil_div(s.m, kernel.rows);
        if (launch.stages == 0) launch_.stages = kernel.most_stages();
        if (launch.starts == 0) launch_.starts = n_tiles_ * m_tiles_;
        units_ = ceil_div(n_tiles_ * m_tiles_ * packed_.k_blocks, launch_.starts);
        // The plan starts no cluster without work; blocks of the striped kernel that have none must know it.
        if (kernel.hopper && kernel.stripes()) launch_.starts = ceil_div(n_tiles_ * m_tiles_ * packed_.k_blocks, units_);

        a_ = input(with_stride(problem.activations, s.m, s.k, lda_));
        codes_ = input(packed_.codes);
        scales_ = input(packed_.scales);
        zeros_ = input(packed_.zeros);
        factors_ = input(packed_.factors);
        bias_ = input(packed_.bias);
        const Epilogue& epilogue = launch_.epilogue;
        c_ = std::make_unique<Buffer>(epilogue.bytes() * (c_offset_ + static_cast<std::size_t>(s.m - 1) * ldc_ + finish_.columns),
                                      epilogue.in_place ? Role::kInOut : Role::kOutput);
        row_factors_ = input(finish_.row_factors);
        if (!epilogue.in_place) residual_ = input(finish_.residual_bytes(finish_.columns + epilogue.ldr_padding, epilogue.unaligned));
        if (!kernel.stripes()) return;
        const int tile = kernel.neighbours * kernel.rows * kernel.columns;
        partials_ = std::make_unique<Buffer>(std::size_t{8} * launch_.starts * tile, Role::kWorkspace);
        counters_ = std::make_unique<Buffer>(std::size_t{4} * n_tiles_ * m_tiles_ * kernel.parts(), Role::kInOut);
    }

    GemmArgs args() const {
        const Size& s = problem_.size;
        GemmArgs args{};
        args.a = a_->address();
        args.codes = codes_->address();
        args.scales = scales_->address();
        args.zeros = kernel_.form.has_offsets() ? zeros_->address() : 0;
        args.factors = factors_->address();
        args.bias = problem_.has_bias ? bias_->address() : 0;
        args.c = c_->address() + launch_.epilogue.bytes() * c_offset_;
        args.partials = partials_ ? partials_->address() : 0;
        args.counters = counters_ ? counters_->address() : 0;
        args.next = launch_.next.starts ? launch_.next : as_next(packed_.k_blocks);
        if (!launch_.next.starts) args.next.starts += launch_.starts * kernel_.cluster();   // behind the end there is nothing to fetch
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
        args.units_per_block = kernel_.stripes() ? units_ : 0;
        args.stages = launch_.stages;
        args.epilogue = epilogue();
        args.invert();
        return args;
    }

    EpilogueArgs epilogue() const {
        const Epilogue& e = launch_.epilogue;
        EpilogueArgs args{};
        args.steps = e.steps;
        if (e.has(kScaleRows)) args.row_factors = row_factors_->address();
        if (e.has(kAddResidual)) {
            args.residual = e.in_place ? c_->address() + e.bytes() * c_offset_ : residual_->address() + e.bytes() * e.unaligned;
            args.ldr = e.in_place ? ldc_ : finish_.columns + e.ldr_padding;
        }
        return args;
    }

    /** [m][columns of C]: what must come out. */
    std::vector<double> expected() const {
        std::vector<double> y = problem_.expected();
        if (launch_.epilogue.steps == 0) return y;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] -= problem_.bias[i % problem_.size.n];
        return finish_.of(y, problem_.bias, problem_.size.n);
    }

    /** What the kernel before this one is told: where the blocks start, see prefetch.cuh. */
    Prefetch as_next(int units) const {
        return {codes_->address(), packed_.k_blocks, packed_.strips, kernel_.columns * kernel_.neighbours / 64, m_tiles_,
                kernel_.stripes() ? units_ : ceil_div(packed_.k_blocks, kernel_.split), launch_.starts * kernel_.split, units, kernel_.form.block_bytes()};
    }

    /** Launches with that much less shared memory; the workspace is left as the launch before left it, as in real use. */
    Result launch(Options options, u32 fewer_bytes = 0) {
        if (launch_.epilogue.in_place) {
            const std::vector<u8> residual = finish_.residual_bytes(ldc_, static_cast<int>(c_offset_));
            std::memcpy(c_->as<void>(), residual.data(), residual.size());
        } else {
            c_->reset();
        }
        options.step_limit = options.step_limit ? options.step_limit : 20'000'000;   // the longest takes a tenth
        const GemmArgs arguments = args();
        const Shape shape{static_cast<u32>(launch_.starts * kernel_.cluster()), static_cast<u32>(kernel_.threads()),
                          kernel_.shared_bytes(launch_.stages) - fewer_bytes};
        return machine::launch(*kernel_.program, kernel_.name, shape, &arguments, sizeof arguments, options);
    }

    std::vector<u16> output() const { return {c_->as<u16>(), c_->as<u16>() + c_->size() / 2}; }

    /**
     * What is wrong with C: a result that is not the expected number rounded once or, of real data, an error above the bound; an element
     * that is no result; a counter that is not zero again. Empty if nothing.
     */
    std::string wrong(const std::vector<double>& expected, Values values) const {
        const int columns = finish_.columns, bytes = launch_.epilogue.bytes();
        double difference = 0, norm = 0;
        std::ostringstream text;
        for (std::size_t i = 0; i < c_->size() / bytes; ++i) {
            const u32 bits = bytes == 4 ? c_->as<u32>()[i] : c_->as<u16>()[i];
            const std::size_t m = (i - c_offset_) / ldc_, n = (i - c_offset_) % ldc_;
            if (i < c_offset_ || n >= static_cast<std::size_t>(columns)) {
                if (bits == (bytes == 4 ? 0xffffffff : 0xffff)) continue;
                text << "wrote element " << i << " of C, which is no result";
                return text.str();
            }
            const double want = expected[m * columns + n], is = value(bits);
            if (values == Values::kExact && !finish_.right(is, want)) {
                text << "C[" << m << "][" << n << "] is " << is << ", expected " << want;
                return text.str();
            }
            difference += (is - want) * (is - want);
            norm += want * want;
        }
        // The expected error is 2.8e-4 in fp16, with zero points 2.9e-4; a few hundred results scatter around it.
        const double error = std::sqrt(difference / norm);
        const double allowed = kernel_.bound() * (1 + 2 / std::sqrt(expected.size()));
        if (values == Values::kReal && !(error <= allowed)) text << "relative error " << error << ", allowed " << allowed;
        for (std::size_t i = 0; counters_ && text.str().empty() && i < counters_->size() / 4; ++i) {
            if (counters_->as<u32>()[i] != 0) text << "left counter " << i << " at " << counters_->as<u32>()[i];
        }
        return text.str();
    }

private:
    double value(u32 bits) const {
        if (!launch_.epilogue.has(kFloatOutput)) return problem_.format.value(bits);
        float wide;
        std::memcpy(&wide, &bits, 4);
        return wide;
    }

    const Kernel& kernel_;
    const Problem& problem_;
    Launch launch_;
    Packed packed_;
    Finish finish_;
    int lda_, ldc_, n_tiles_, m_tiles_, units_;
    std::size_t c_offset_;
    std::unique_ptr<Buffer> a_, codes_, scales_, zeros_, factors_, bias_, residual_, row_factors_, c_, partials_, counters_;
};

}  // namespace suites
