// Runs the kernels of PTX texts case by case. Prints "ok <case>" or "FAIL <case>: <why>"; exits with 1 if one failed.
//
//   ptx_suite FILE.ptx... SUITE...   several texts only where kernels of several are needed: prefetch
//     --part I/N                     every N-th case, from the I-th on
//     --entry PREFIX                 only the cases whose names begin so, as all do with their entry's
//     --until TEXT                   up to the first failure that says so
//     --coverage FILE                writes which instructions of the entries that ran never did
#include <cstdlib>
#include <fstream>

#include "machine/code.hpp"
#include "runner.hpp"

using namespace suites;

namespace {

const struct { const char* name; void (*run)(Runner&); } kSuites[] = {
    {"exact", exact},     {"real", real},   {"shapes", shapes}, {"schedules", schedules}, {"banks", banks},     {"once", once},
    {"every", every},     {"shared", shared}, {"tiles", tiles}, {"abi", abi},             {"dense", dense},     {"prefetch", prefetch},
    {"finish", finish}, {"epilogues", epilogues},
    {"stripes", stripes}, {"golden", golden}, {"fragments", fragments}, {"quotients", quotients},
    {"decoder_rows", decoder_rows}, {"decoder_heads", decoder_heads},
};

int usage(const std::string& wrong) {
    std::fprintf(stderr, "%s\nusage: ptx_suite FILE.ptx... SUITE... [--part I/N] [--entry PREFIX] [--until TEXT] [--coverage FILE]\n", wrong.c_str());
    return 2;
}

std::string read(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file);
    return {std::istreambuf_iterator<char>(in), {}};
}

/** "ran ENTRY INSTRUCTIONS", then "never ENTRY NUMBER SITE TEXT" of each that did not, with tabs between. */
void write_coverage(const Runner& runner, const std::string& file) {
    std::ofstream out(file);
    for (const auto& program : runner.programs) {
        for (const Entry& entry : program->entries()) {
            const std::vector<bool>& executed = runner.coverage.of(entry.name);
            if (executed.empty()) continue;
            out << "ran\t" << entry.name << '\t' << executed.size() << '\n';
            const Code& code = program->code(entry);
            for (std::size_t i = 0; i < executed.size(); ++i) {
                const Instruction& instruction = code.instructions[i];
                if (!executed[i]) {
                    out << "never\t" << entry.name << '\t' << i << '\t' << code.site(instruction) << '\t' << code.describe(instruction) << '\n';
                }
            }
        }
    }
    if (!out) throw std::runtime_error("cannot write " + file);
}

}  // namespace

int main(int count, char** words) try {
    Runner runner;
    std::string coverage;
    std::vector<void (*)(Runner&)> suites;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        if (word.rfind("--", 0) == 0) {
            if (++i == count) return usage(word + " needs a value");
            if (word == "--part") {
                if (std::sscanf(words[i], "%d/%d", &runner.part, &runner.parts) != 2) return usage(word + " " + words[i]);
            } else if (word == "--entry") runner.prefix = words[i];
            else if (word == "--until") runner.until = words[i];
            else if (word == "--coverage") coverage = words[i];
            else return usage("no option " + word);
        } else if (word.size() > 4 && word.substr(word.size() - 4) == ".ptx") {
            runner.programs.push_back(Program::parse(read(word), word.substr(word.rfind('/') + 1)));
        } else {
            const std::size_t known = suites.size();
            for (const auto& suite : kSuites) {
                if (word == suite.name) suites.push_back(suite.run);
            }
            if (suites.size() == known) return usage("no suite " + word);
        }
    }
    if (runner.programs.empty()) return usage("no PTX");
    for (auto suite : suites) suite(runner);
    if (runner.cases == 0) return usage("no case");
    if (!coverage.empty()) write_coverage(runner, coverage);
    return runner.failures != 0;
} catch (const std::exception& e) {
    std::printf("FAIL %s\n", e.what());
    return 2;
}
