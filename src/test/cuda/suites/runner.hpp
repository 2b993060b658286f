// Cases: which of them run, what they print, what they have in common.
#pragma once

#include <functional>
#include <optional>

#include "run.hpp"

namespace suites {

inline const char* name_of(Schedule schedule) {
    static const char* const kNames[] = {"greedy", "reversed", "round robin", "random"};
    return kNames[static_cast<int>(schedule)];
}

/** A product and how it is run. */
struct Case {
    Size size;
    Launch launch{};
    Schedule schedule = Schedule::kGreedy;
    u64 seed = 1;
    Values values = Values::kExact;
    bool bias = true;
    u32 data = 0;            // seed of the operands; 0: one that depends on their size

    Options options() const {
        Options options;
        options.schedule = schedule;
        options.seed = seed;
        options.races = true;
        return options;
    }
};

class Runner {
public:
    std::vector<std::shared_ptr<const Program>> programs;
    std::string prefix;              // of the cases that are run; they begin with the entry's name
    std::string until;               // stop at a failure with this text in it
    int part = 0, parts = 1;         // every parts-th case
    int cases = 0, failures = 0;
    bool stopped = false;
    Coverage coverage;

    /** The entries whose names begin so. */
    std::vector<Kernel> kernels(const std::string& family) const {
        std::vector<Kernel> found;
        for (const auto& program : programs) {
            for (const Entry& entry : program->entries()) {
                if (entry.name.rfind(family, 0) == 0) found.emplace_back(entry.name, program.get());
            }
        }
        return found;
    }

    /** Runs a case if it belongs to this part; `check` returns what is wrong. */
    void run(const std::string& name, const std::function<std::string()>& check) {
        if (stopped || name.rfind(prefix, 0) != 0 || cases++ % parts != part) return;
        const std::string wrong = check();
        const std::string line = wrong.empty() ? "ok " + name : "FAIL " + name + ": " + wrong;
        std::puts(line.c_str());
        std::fflush(stdout);
        failures += !wrong.empty();
        stopped = !until.empty() && !wrong.empty() && line.find(until) != std::string::npos;
    }

    /** A product that must come out right; `also` may find more in what its launch returned. */
    void product(const Kernel& kernel, const Case& c, const std::string& more = "", Options* with = nullptr,
                 const std::function<std::string(const Result&)>& also = [](const Result&) { return ""; }) {
        run(describe(kernel, c) + more, [&] {
            const u32 data = c.data ? c.data : static_cast<u32>(c.size.m * 7 + c.size.n * 3 + c.size.k);
            const Problem problem(c.size, {kernel.bf16}, kernel.form, c.bias, c.values, data);
            Run run(kernel, problem, c.launch);
            Options options = with ? *with : c.options();
            options.coverage = &coverage;
            const Result result = run.launch(options);
            std::string wrong = finding(result);
            if (wrong.empty()) wrong = run.wrong(run.expected(), c.values);
            return wrong.empty() ? also(result) : wrong;
        });
    }

    static std::string describe(const Kernel& kernel, const Case& c) {
        std::ostringstream text;
        text << kernel.name << " m=" << c.size.m << " n=" << c.size.n << " k=" << c.size.k << " g=" << c.size.group
             << " starts=" << c.launch.starts << " stages=" << c.launch.stages;
        if (c.launch.lda_padding != 8) text << " lda=k+" << c.launch.lda_padding;
        if (c.launch.ldc_padding) text << " ldc=n+" << c.launch.ldc_padding;
        text << (c.launch.unaligned_c ? " c+2 " : " ") << name_of(c.schedule) << ' ' << c.seed << (c.values == Values::kReal ? " real" : "") << c.launch.epilogue.name();
        return text.str();
    }
};

/** A member of a list for the i-th case; lists of coprime lengths meet in every combination. */
template <class T, std::size_t kCount>
const T& pick(const T (&list)[kCount], int i) { return list[i % kCount]; }

// Defined each in a file of its own, listed in main.cpp.
void exact(Runner&), real(Runner&), shapes(Runner&), schedules(Runner&), banks(Runner&), once(Runner&), every(Runner&);   // products.cpp
void shared(Runner&), tiles(Runner&), abi(Runner&);   // images.cpp
void dense(Runner&);
void finish(Runner&), epilogues(Runner&);   // epilogues.cpp
void decoder_rows(Runner&), decoder_heads(Runner&);
void prefetch(Runner&);
void stripes(Runner&), golden(Runner&), fragments(Runner&), quotients(Runner&);   // probes.cpp

}  // namespace suites
