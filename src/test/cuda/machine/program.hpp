// Inside of a Program: the text, where its entries' bodies lie, and those that were decoded.
#pragma once

#include <map>
#include <mutex>

#include "code.hpp"

namespace jmarlin::machine {

/** A position in PTX text that skips blanks and comments and counts lines. */
struct Cursor {
    const char* at;
    const char* end;
    u32 line;

    void skip_blanks();
    bool done() const { return at >= end; }
    /** The text up to a character of the set, which stays. */
    std::string until(const char* stops);
    /** Letters, digits and _ $ % . : */
    std::string word();
    void expect(char c, const std::string& module);
};

[[noreturn]] void parse_error(const std::string& module, u32 line, const std::string& what);

/** Bytes of a fundamental type (5.2.1), ".u32"; 0 if it is none. */
u32 type_bytes(const std::string& type);

struct Parameter {
    std::string name;
    u32 offset;
};

struct Variable {
    std::string name;
    u32 align;
    u64 bytes;             // 0 for an array of unknown length
    std::vector<u8> initial;
};

/** ".align 8 .b8 name[168] = {...}", behind its state space. */
Variable parse_variable(Cursor& cursor, const std::string& module);

struct EntryText {
    std::vector<Parameter> parameters;
    std::size_t body;      // behind its {
    std::size_t end;       // at its }
    u32 line;
};

struct Program::Impl {
    std::string name, text, target;
    u32 version = 0;
    std::vector<Entry> entries;
    std::vector<EntryText> texts;
    std::vector<Global> globals;
    std::map<std::string, std::pair<std::unique_ptr<Buffer>, u32>> memory;   // of .global and .const variables
    std::map<std::string, u32> shared;        // .shared variables of the module, and where they lie
    u32 static_shared = 0;
    std::vector<std::string> files;           // by the number that .file gave them

    mutable std::mutex lock;
    mutable std::map<std::string, std::unique_ptr<Code>> decoded;

    void index();
};

/** decode.cpp: the body of an entry to instructions. */
std::unique_ptr<Code> decode(const Program::Impl& program, std::size_t entry);

}  // namespace jmarlin::machine
