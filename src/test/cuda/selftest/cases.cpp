#include "cases.hpp"

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace jmarlin::selftest {

namespace {

std::string trim(const std::string& text) {
    std::size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
    return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

/** One space for several: columns of comments may move. */
std::string squeezed(const std::string& text) {
    std::string result;
    for (char c : text)
        if (c != ' ' || result.empty() || result.back() != ' ') result += c;
    return result;
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
    std::vector<std::string> parts;
    std::size_t from = 0;
    for (std::size_t at; (at = text.find(separator, from)) != std::string::npos; from = at + separator.size())
        parts.push_back(trim(text.substr(from, at - from)));
    parts.push_back(trim(text.substr(from)));
    return parts;
}

/** A number of any base, negative too, "1.5f" as the bits of a float, or a sum of these. */
u64 word(const std::string& text) {
    std::size_t plus = text.find('+');
    if (plus != std::string::npos) return word(text.substr(0, plus)) + word(text.substr(plus + 1));
    char* end = nullptr;
    if (text.size() > 1 && text.back() == 'f' && text.compare(0, 2, "0x") != 0) {
        float value = std::strtof(text.c_str(), &end);
        u32 bits;
        std::memcpy(&bits, &value, sizeof bits);
        if (std::strcmp(end, "f") == 0) return bits;
    }
    u64 value = text[0] == '-' ? static_cast<u64>(std::strtoll(text.c_str(), &end, 0)) : std::strtoull(text.c_str(), &end, 0);
    if (text.empty() || *end) throw std::runtime_error("'" + text + "' is no number");
    return value;
}

std::vector<u64> words(const std::string& text) {
    std::istringstream stream(text);
    std::vector<u64> values;
    for (std::string one; stream >> one;) values.push_back(word(one));
    return values;
}

void read_launch(Case& c, const std::string& text) {
    std::istringstream stream(text);
    for (std::string one; stream >> one;) {
        std::size_t equals = one.find('=');
        std::string key = one.substr(0, equals);
        u32 value = equals == std::string::npos ? 0 : static_cast<u32>(word(one.substr(equals + 1)));
        if (key == "threads") c.shape.threads = value;
        else if (key == "grid") c.shape.grid = value;
        else if (key == "shared") c.shape.shared_bytes = value;
        else if (key == "cluster") c.cluster = value;
        else if (key == "resident") c.resident = value;
        else if (key.compare(0, 3, "sm_") == 0) c.target = key;
        else throw std::runtime_error("'" + one + "' says nothing of a launch");
    }
}

Expected read_expected(const std::string& text) {
    std::vector<std::string> sides = split(text, ": "), steps = split(sides.at(1), "step");
    std::istringstream left(sides[0]);
    Expected e;
    left >> e.what >> e.key;
    e.words = words(steps[0]);
    if (!e.key.empty() && std::isdigit(e.key[0])) {
        std::vector<std::string> range = split(e.key, "..");
        e.first = static_cast<u32>(word(range[0]));
        u64 step = steps.size() > 1 ? word(steps[1]) : 0;
        for (u64 i = e.first; range.size() > 1 && i < word(range[1]); ++i) e.words.push_back(e.words.back() + step);
    }
    return e;
}

void read_edits(Mutant& m, std::vector<std::string>::const_iterator from, std::vector<std::string>::const_iterator to) {
    for (; from != to; ++from) {
        std::vector<std::string> sides = split(*from, " => ");
        m.edits.push_back({sides[0], sides.size() > 1 ? sides[1] : ""});
    }
}

Mutant read_mutant(const std::string& text) {
    std::vector<std::string> parts = split(text, " | "), sides = split(parts[0], " : ");
    Mutant m;
    m.name = sides.at(0);
    m.kinds = split(sides.at(1).substr(0, sides[1].find(", ")), "/");
    for (const std::string& kind : m.kinds) m.with_races |= kind == "RACE" || kind == "PROXY" || kind == "NOT COHERENT";
    std::vector<std::string> words = split(sides[1], ", ");
    for (auto word = words.begin() + 1; word != words.end(); ++word) {
        if (*word == "with races") m.with_races = true;
        else if (word->find('=') != std::string::npos) m.launch += *word + " ";
        else m.words.push_back(*word);
    }
    read_edits(m, parts.begin() + 1, parts.end());
    return m;
}

Row read_row(const std::string& text) {
    std::vector<std::string> parts = split(text, " | ");
    return {parts.at(0), words(parts.at(1)), word(parts.at(2))};
}

}  // namespace

std::vector<Case> read_cases(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::vector<Case> cases;
    int number = 0;
    for (std::string line; std::getline(file, line);) {
        std::string place = path.substr(path.rfind('/') + 1) + ":" + std::to_string(++number);
        line = squeezed(line);
        std::string rest = line.size() > 1 ? trim(line.substr(1)) : "";
        try {
            if (line.empty() || line[0] == '#') continue;
            if (line[0] == '=') {
                std::vector<std::string> parts = split(rest, " | ");
                cases.emplace_back();
                cases.back().name = parts[0];
                cases.back().place = place;
                if (parts.size() > 1) read_launch(cases.back(), parts[1]);
                continue;
            }
            Case& c = cases.at(cases.size() - 1);
            if (line[0] == '>') c.expected.push_back(read_expected(rest));
            else if (line[0] == '*') c.rows.push_back(read_row(rest));
            else if (line[0] == '!') c.mutants.push_back(read_mutant(rest));
            else if (trim(line)[0] == '|') {
                std::vector<std::string> parts = split(" " + trim(line), " | ");
                read_edits(c.mutants.at(c.mutants.size() - 1), parts.begin() + 1, parts.end());
            }
            else if (line[0] == '<') c.input.push_back({static_cast<u32>(word(split(rest, ": ").at(0))), words(split(rest, ": ").at(1))});
            else if (line[0] == ' ') c.body += line + "\n";
            else throw std::runtime_error("what is this?");
        } catch (const std::exception& e) {
            throw std::runtime_error(place + ": " + line + ": " + e.what());
        }
    }
    return cases;
}

std::string Case::header(const std::string& target) {
    return ".version 8.5\n.target " + target + "\n.address_size 64\n.extern .shared .align 1024 .b8 smem[];\n"
           ".file 1 \"somewhere/snippet.cu\"\n";
}

std::string Case::entry(const std::string& name) const {
    std::string parameters, addresses, loads;
    for (const char* buffer : {"in", "out", "counts", "part", "gone"}) {
        parameters += std::string(".param .u64 p_") + buffer + ", ";
        addresses += std::string(addresses.empty() ? "" : ", ") + buffer;
        loads += std::string("    ld.param.u64 ") + buffer + ", [p_" + buffer + "];\n";
    }
    std::string text = ".visible .entry " + name + "(" + parameters + ".param .align 8 .b8 p_bytes[16])\n";
    if (cluster > 1) text += ".explicitcluster\n.reqnctapercluster " + std::to_string(cluster) + ", 1, 1\n";
    text += ".maxntid " + std::to_string(shape.threads) + ", 1, 1\n{\n"
            "    .reg .pred p<9>;\n    .reg .b16 h<9>;\n    .reg .b32 r<40>;\n    .reg .f32 f<20>;\n    .reg .b64 d<9>;\n"
            "    .reg .b64 " + addresses + ", src, dst;              // src, dst: the grid's words of in and out, one a thread\n"
            "    .reg .b32 t, lane, warp, block, rank, base;\n"
            "    .reg .b32 cell, chunk, opposite, facing;            // the block's words, and 16 bytes, from either end\n" + loads +
            "    mov.u32 t, %tid.x;\n    and.b32 lane, t, 31;\n    shr.u32 warp, t, 5;\n    mov.u32 block, %ctaid.x;\n"
            "    mov.u32 base, smem;\n    mov.u32 r0, %ntid.x;\n    mad.lo.s32 r1, r0, block, t;\n    mul.wide.u32 d0, r1, 4;\n"
            "    add.s64 src, in, d0;\n    add.s64 dst, out, d0;\n    shl.b32 r1, t, 2;\n    add.s32 cell, base, r1;\n"
            "    shl.b32 r1, t, 4;\n    add.s32 chunk, base, r1;\n    sub.s32 r0, r0, t;\n    add.s32 r0, r0, -1;\n"
            "    shl.b32 r1, r0, 2;\n    add.s32 opposite, base, r1;\n    shl.b32 r1, r0, 4;\n    add.s32 facing, base, r1;\n";
    if (target == "sm_90a") text += "    mov.u32 rank, %cluster_ctarank;\n";
    return text + body + "    ret;\n}\n";
}

Case Case::mutated(const Mutant& mutant) const {
    Case result = *this;
    read_launch(result, mutant.launch);
    for (const Edit& edit : mutant.edits) {
        std::size_t at = result.body.find(edit.old);
        if (at == std::string::npos || result.body.find(edit.old, at + 1) != std::string::npos)
            throw std::runtime_error(place + ", " + mutant.name + ": '" + edit.old + "' does not occur exactly once");
        result.body.replace(at, edit.old.size(), edit.fresh);
    }
    return result;
}

}  // namespace jmarlin::selftest
