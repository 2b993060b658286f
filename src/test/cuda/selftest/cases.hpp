// The self test's cases: pieces of PTX with what must come of them, and the same pieces broken in one way with what must be found.
//
// A .ptxcases file is read line by line, by the first character:
//   = NAME | threads=64 grid=2 cluster=2 shared=8192 sm_80    a case; without a word: 32 threads, 1 block, 4096 bytes, sm_90a;
//                                                             resident=1: so many blocks or clusters at once
//   < INDEX: WORDS                                            words of the input that are not 1000 + index
//     INSTRUCTIONS                                            its body; a comment at the end names a line
//   > out FIRST: WORDS   > out FIRST..LAST: WORD step N       what out, counts or part hold afterwards, 32-bit words
//   > count OPCODE: REQUESTS TRANSACTIONS EXCESS SECTORS      of the instructions with this opcode
//   > prefetches: BLOCK OFFSET BYTES ...    > reads: the same as offsets into the input    > never ran: INSTRUCTIONS
//   ! NAME : KIND, WORDS, ... | OLD => NEW | ...              a mutant: OLD, which occurs once in the body, becomes NEW, or nothing;
//     | OLD => NEW                                            more of them. It must be found as this kind (KIND/KIND: as one of these)
//                                                             with these words in the finding's text: "@text" stands for "line N" of
//                                                             the line that holds `text`; "with races": only if Options::races is on,
//                                                             as RACE, PROXY and NOT COHERENT anyway; "threads=48": another launch
//   * INSTRUCTIONS | INPUTS | RESULT                          a row of a table: r1, d1, h1, f1 are the first input's low bits, and
//                                                             so on; whichever of r0, d0, h0, f0, p0 occurs is the result
// KIND is how a finding begins, PARSE (the text is refused) or WRONG (nothing is found, but the outcome differs).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "machine/machine.hpp"

namespace jmarlin::selftest {

/** Replaces what occurs once in a body. */
struct Edit {
    std::string old, fresh;
};

struct Mutant {
    std::string name;
    std::vector<std::string> kinds;   // any of them
    std::vector<std::string> words;   // all of them in one finding
    std::vector<Edit> edits;
    std::string launch;               // what of the launch is different
    bool with_races = false;          // nothing is found without Options::races
};

/** What a launch must leave behind: `what` of `key` from `first` on are the words. */
struct Expected {
    std::string what, key;
    u32 first = 0;
    std::vector<u64> words;
};

struct Row {
    std::string code;
    std::vector<u64> inputs;
    u64 result;
};

struct Case {
    std::string name, place;          // place: file and line
    machine::Shape shape{1, 32, 4096};
    u32 cluster = 1, resident = 0;     // resident: Options::clusters_at_once
    std::string target = "sm_90a";
    std::string body;
    std::vector<std::pair<u32, std::vector<u64>>> input;
    std::vector<Expected> expected;
    std::vector<Row> rows;
    std::vector<Mutant> mutants;

    /** The body as an entry of a module, with what every body may use: see the text itself. */
    std::string entry(const std::string& name) const;
    /** A module of one entry, "test". */
    std::string module() const { return header(target) + entry("test"); }
    static std::string header(const std::string& target);
    /** The case with a mutant's edits. Throws if a text to replace does not occur exactly once. */
    Case mutated(const Mutant& mutant) const;
};

/** Prints "ok NAME" or "FAIL NAME: WHY". What the check returns or throws is why; nothing is good. */
void check(const std::string& name, const std::function<std::string()>& why);

/** 16-bit arithmetic against exact sums; halves.cpp. */
void check_halves();

/** Reads a file. Throws std::runtime_error with the place of what it does not understand. */
std::vector<Case> read_cases(const std::string& path);

}  // namespace jmarlin::selftest
