// Runs the PTX machine on snippets whose outcome is known, and on the same snippets with a defect.
//
//   machine_selftest FILE.ptxcases...                prints a line per case, mutant and table; exits 1 if one is wrong
//   machine_selftest --ptx FOLDER FILE.ptxcases...   writes the snippets as a module per target, for ptxas to judge
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "cases.hpp"

namespace jmarlin::selftest {

using namespace machine;

namespace {

int failures = 0;
std::set<std::string> provoked;   // kinds of findings that mutants were caught by

struct Policy {
    const char* name;
    Schedule schedule;
    u64 seed;
};

constexpr Policy kPolicies[] = {{"greedy", Schedule::kGreedy, 1},          {"reversed", Schedule::kReversed, 1},
                                {"round robin", Schedule::kRoundRobin, 1}, {"random 1", Schedule::kRandom, 1},
                                {"random 2", Schedule::kRandom, 2}};

struct Arguments {
    u64 in, out, counts, part, gone;
    u32 bytes[4];
};

/** Everything that a body may touch. */
struct Setup {
    Buffer in{8192, Role::kInput}, out{4096, Role::kOutput}, counts{256, Role::kInOut}, part{16384, Role::kWorkspace};
    Arguments arguments{};

    explicit Setup(const Case& c) {
        for (u32 i = 0; i < 2048; ++i) in.as<u32>()[i] = 1000 + i;
        for (const auto& [first, words] : c.input)
            for (u32 i = 0; i < words.size(); ++i) in.as<u32>()[first + i] = static_cast<u32>(words[i]);
        u64 gone = Buffer(4096, Role::kInput).address();   // the buffer ends here
        arguments = {in.address(), out.address(), counts.address(), part.address(), gone, {0xfffffffb, 0x84838281, 0x11, 0x22}};
    }

    Result run(const Case& c, const Policy& policy, bool races, Coverage* coverage = nullptr) {
        Options options;
        options.schedule = policy.schedule;
        options.seed = policy.seed;
        options.races = options.counters = options.reads = races;
        options.clusters_at_once = c.resident;
        options.step_limit = 30000;
        options.coverage = coverage;
        return launch(*Program::parse(c.module(), "test.ptx"), "test", c.shape, &arguments, sizeof arguments, options);
    }
};

std::string text_of(const Result& result) { return (result.completed ? "" : "did not complete: ") + result.text(); }

// ---- Cases that are right ----

std::string differs(const std::string& what, u64 expected, u64 actual) {
    char text[120];
    std::snprintf(text, sizeof text, ": 0x%llx (%llu), expected 0x%llx (%llu)", actual, actual, expected, expected);
    return expected == actual ? "" : what + text;
}

/** What became of what a case expects something of. */
std::vector<u64> actual(const Expected& e, const Setup& setup, const Result& result, const Coverage& coverage) {
    std::vector<u64> words;
    if (e.what == "count") {
        u64 requests = 0, transactions = 0, excess = 0, sectors = 0;
        for (const SiteCounters& site : result.counters) {
            if (site.operation != e.key && site.operation + "@" + site.site != e.key) continue;
            requests += site.requests, transactions += site.transactions, excess += site.excess, sectors += site.sectors;
        }
        return {requests, transactions, excess, sectors};
    }
    if (e.what == "prefetches" || e.what == "reads") {
        for (const Range& range : e.what == "reads" ? result.reads : result.prefetches)
            words.insert(words.end(), {range.block, range.address - setup.in.address(), range.bytes});
        return words;
    }
    if (e.what == "never") {
        u64 never = 0;
        for (bool ran : coverage.of("test")) never += !ran;
        return {never};
    }
    const Buffer* buffer = e.what == "out" ? &setup.out : e.what == "counts" ? &setup.counts : e.what == "part" ? &setup.part : nullptr;
    if (!buffer) throw std::runtime_error("nothing is called '" + e.what + "'");
    return {buffer->as<u32>() + e.first, buffer->as<u32>() + e.first + e.words.size()};
}

std::string outcome_differs(const Case& c, const Setup& setup, const Result& result, const Coverage& coverage) {
    for (const Expected& e : c.expected) {
        std::vector<u64> words = actual(e, setup, result, coverage);
        std::string what = e.what + " " + e.key + " ";
        if (words.size() != e.words.size()) return differs(what + "has words", e.words.size(), words.size());
        for (u32 i = 0; i < words.size(); ++i) {
            std::string wrong = differs(what + "word " + std::to_string(i), static_cast<u32>(e.words[i]), words[i]);
            if (!wrong.empty()) return wrong;
        }
    }
    return "";
}

/** Right under every schedule with all checks on, and again with what the first launch left. */
std::string check_clean(const Case& c) {
    for (const Policy& policy : kPolicies) {
        Setup setup(c);
        Coverage coverage;
        for (int launch = 0; launch < 2; ++launch) {
            Result result = setup.run(c, policy, true, &coverage);
            std::string wrong = result.ok() ? outcome_differs(c, setup, result, coverage) : text_of(result);
            if (!wrong.empty()) return std::string(policy.name) + (launch ? ", second launch: " : ": ") + wrong;
        }
    }
    return "";
}

std::string check_row(const Case& c, const Row& row) {
    Case with = c;
    with.body = "    setp.ne.s32 p8, t, 0;\n    @p8 bra end;\n";
    for (u32 i = 0; i < row.inputs.size(); ++i) {
        std::string n = std::to_string(i + 1), at = n + ", [in+" + std::to_string(8 * i) + "];\n";
        for (const char* kind : {"u64 d", "u32 r", "u16 h", "f32 f"}) with.body += std::string("    ld.global.nc.") + kind + at;
        with.input.push_back({2 * i, {row.inputs[i], row.inputs[i] >> 32}});
    }
    with.body += "    " + row.code + "\n";
    auto uses = [&](const char* name) { return row.code.find(name) != std::string::npos; };
    if (uses("p0")) with.body += "    selp.u32 r0, 1, 0, p0;\n";
    if (uses("h0")) with.body += "    cvt.u32.u16 r0, h0;\n";
    with.body += std::string("    st.global.") + (uses("d0") ? "u64 [out], d0" : uses("f0") ? "f32 [out], f0" : "u32 [out], r0") + ";\n    end:\n";

    Setup setup(with);
    Result result = setup.run(with, kPolicies[0], true);
    if (!result.ok()) return text_of(result);
    if (uses("d0")) return differs(row.code, row.result, setup.out.as<u64>()[0]);
    return differs(row.code, static_cast<u32>(row.result), setup.out.as<u32>()[0]);
}

// ---- Mutants ----

/** The words with "@text" as a finding, or a refusal, names the line of the module that holds the text. */
std::vector<std::string> located(const std::vector<std::string>& words, const std::string& module, bool refused) {
    std::vector<std::string> result;
    for (const std::string& word : words) {
        if (word[0] != '@') {
            result.push_back(word);
            continue;
        }
        std::size_t at = module.find(word.substr(1)), line = 1;
        if (at == std::string::npos) throw std::runtime_error("no line holds '" + word.substr(1) + "'");
        for (std::size_t i = 0; i < at; ++i) line += module[i] == '\n';
        result.push_back((refused ? "test.ptx:" : "line ") + std::to_string(line) + ": ");
    }
    return result;
}

bool says(const std::string& text, const std::vector<std::string>& words) {
    for (const std::string& word : words)
        if (text.find(word) == std::string::npos) return false;
    return true;
}

/** Whether the result is what the mutant must come to, as one of its kinds. */
bool caught(const Mutant& m, const std::vector<std::string>& words, const Result& result) {
    for (const Error& error : result.errors)
        for (const std::string& kind : m.kinds)
            if (kind == error_kind_name(error.kind) && says(error.text, words)) return provoked.insert(kind), true;
    return false;
}

std::string check_mutant(const Case& c, const Mutant& m) {
    Case mutant = c.mutated(m);
    bool refused = m.kinds[0] == "PARSE";
    std::vector<std::string> words = located(m.words, mutant.module(), refused);
    for (const Policy& policy : kPolicies)
        for (bool races : {true, false}) {
            if (m.with_races && !races) continue;
            Setup setup(c);
            std::string found;
            try {
                Result result = setup.run(mutant, policy, races);
                if (m.kinds[0] == "WRONG" ? result.ok() && !outcome_differs(c, setup, result, {}).empty() : caught(m, words, result)) continue;
                found = text_of(result);
            } catch (const ParseError& e) {
                if (refused && says(e.what(), words)) continue;
                found = std::string("the text is refused: ") + e.what();
            }
            std::string wanted;
            for (const std::string& kind : m.kinds) wanted += (wanted.empty() ? "" : " or ") + kind;
            for (const std::string& word : words) wanted += ", '" + word + "'";
            return std::string(policy.name) + (races ? "" : ", no races") + ": not found as " + wanted + ": " + found;
        }
    return "";
}

void check_case(const Case& c) {
    check(c.name, [&] {
        if (c.rows.empty()) return check_clean(c);
        for (const Row& row : c.rows) {
            std::string wrong = check_row(c, row);
            if (!wrong.empty()) return wrong;
        }
        return std::string();
    });
    for (const Mutant& m : c.mutants) check(c.name + ": " + m.name, [&] { return check_mutant(c, m); });
}

void check_kinds() {
    for (int kind = 0; kind <= static_cast<int>(ErrorKind::kBadArgument); ++kind) {
        std::string name = error_kind_name(static_cast<ErrorKind>(kind));
        check("some mutant is caught as " + name, [&] { return provoked.count(name) ? "" : "none"; });
    }
}

// ---- For ptxas ----

void write_modules(const std::string& folder, const std::vector<Case>& cases) {
    std::map<std::string, std::string> modules;
    int number = 0;
    auto add = [&](const Case& c) {
        modules.try_emplace(c.target, Case::header(c.target)).first->second += c.entry("body_" + std::to_string(++number));
    };
    for (Case c : cases) {
        for (const Row& row : c.rows) c.body += "    " + row.code + "\n";
        add(c);
        for (const Mutant& m : c.mutants)
            if (m.kinds[0] != "PARSE" && m.kinds[0] != "BAD ARGUMENT") add(c.mutated(m));
    }
    for (const auto& [target, text] : modules) std::ofstream(folder + "/" + target + ".ptx") << text;
}

}  // namespace

void check(const std::string& name, const std::function<std::string()>& why) {
    std::string wrong;
    try {
        wrong = why();
    } catch (const std::exception& e) {
        wrong = e.what();
    }
    for (char& c : wrong) c = c == '\n' ? ' ' : c;
    if (wrong.empty()) std::printf("ok %s\n", name.c_str());
    else std::printf("FAIL %s: %s\n", name.c_str(), wrong.c_str());
    std::fflush(stdout);
    failures += !wrong.empty();
}

}  // namespace jmarlin::selftest

int main(int count, char** words) {
    using namespace jmarlin::selftest;
    bool ptx = count > 3 && std::string(words[1]) == "--ptx";
    std::vector<Case> cases;
    try {
        for (int i = ptx ? 3 : 1; i < count; ++i)
            for (Case& c : read_cases(words[i])) cases.push_back(std::move(c));
        if (ptx) write_modules(words[2], cases);
    } catch (const std::exception& e) {
        std::printf("FAIL %s\n", e.what());
        return 2;
    }
    if (ptx) return 0;
    for (const Case& c : cases) check_case(c);
    check_halves();
    check_kinds();
    return failures != 0;
}
