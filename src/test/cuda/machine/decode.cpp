// The body of an entry to instructions (Parallel Thread Execution ISA 9.0, 4.3 statements, 5.4 variables, 6 operands).
// Registers get their numbers when they are first named, so that what no instruction names costs nothing.
#include <algorithm>
#include <cctype>
#include <cstring>

#include "program.hpp"

namespace jmarlin::machine {

namespace {

constexpr s32 kNoRegister = 0x7fffffff;

/** An operand as it is written. */
struct Raw {
    char shape;          // 'v' a name or constant, 'a' an address, '(' and ')' of a vector
    std::string name;
    s64 offset = 0;
};

struct Scope {
    std::unordered_map<std::string, std::pair<char, s32>> names;             // class r, d or p, and number
    struct Range { std::string prefix; char kind; u64 count; };
    std::vector<Range> ranges;                                               // .reg .b32 %r<10>
    std::unordered_map<std::string, u32> labels;
    std::vector<std::pair<u32, std::string>> jumps;                          // whose labels were not seen yet
};

struct Decoder {
    const Program::Impl& program;
    const EntryText& entry;
    Code& code;
    Cursor cursor;
    std::vector<Scope> scopes{1};
    std::unordered_map<std::string, s32> constants_32, constants_64;
    std::unordered_map<std::string, u32> local;
    std::unordered_map<std::string, u32> shared;     // of this entry
    u32 source_file = 0, source_line = 0;
    std::vector<std::size_t> first_operand;

    [[noreturn]] void fail(const std::string& what) const { parse_error(program.name, cursor.line, what); }

    void body();
    void directive();
    void registers();
    void instruction();
    void close_scope();
    std::vector<Raw> operands();
    bool match(const Opcode& opcode, const std::vector<Raw>& raw, std::vector<Operand>& out, std::string& label);
    bool find_register(const std::string& name, char& kind, s32& index);
    bool constant(const std::string& text, s64 offset, bool wide, s32& index);
    bool symbol(const std::string& name, u64& value);
    s32 add_constant(u64 value, bool wide);
};

const std::unordered_map<std::string, Special>& specials() {
    static const std::unordered_map<std::string, Special> table{
        {"%tid.x", Special::kTidX}, {"%tid.y", Special::kTidY}, {"%tid.z", Special::kTidZ}, {"%ntid.x", Special::kNtidX},
        {"%ntid.y", Special::kNtidY}, {"%ntid.z", Special::kNtidZ}, {"%ctaid.x", Special::kCtaidX}, {"%ctaid.y", Special::kCtaidY},
        {"%ctaid.z", Special::kCtaidZ}, {"%nctaid.x", Special::kNctaidX}, {"%nctaid.y", Special::kNctaidY},
        {"%nctaid.z", Special::kNctaidZ}, {"%laneid", Special::kLaneid}, {"%warpid", Special::kWarpid}, {"%nwarpid", Special::kNwarpid},
        {"%cluster_ctarank", Special::kClusterCtarank}, {"%cluster_nctarank", Special::kClusterNctarank},
        {"%clusterid.x", Special::kClusteridX}, {"%nclusterid.x", Special::kNclusteridX}, {"%cluster_ctaid.x", Special::kClusterCtaidX},
        {"%cluster_nctaid.x", Special::kClusterNctaidX}, {"%lanemask_eq", Special::kLanemaskEq}, {"%lanemask_lt", Special::kLanemaskLt},
        {"%lanemask_le", Special::kLanemaskLe}, {"%lanemask_gt", Special::kLanemaskGt}, {"%lanemask_ge", Special::kLanemaskGe},
        {"%dynamic_smem_size", Special::kDynamicSharedBytes}};
    return table;
}

/** Where the name's number begins, the text's length if it has none: "%rd" of "%rd12". */
std::size_t number_at(const std::string& name) {
    std::size_t at = name.size();
    while (at > 0 && std::isdigit(static_cast<u8>(name[at - 1]))) --at;
    return at;
}

bool Decoder::find_register(const std::string& name, char& kind, s32& index) {
    for (std::size_t s = scopes.size(); s-- > 0;) {
        Scope& scope = scopes[s];
        auto known = scope.names.find(name);
        if (known == scope.names.end()) {
            std::size_t digits = number_at(name);
            if (digits == name.size()) continue;
            auto range = std::find_if(scope.ranges.begin(), scope.ranges.end(), [&](const Scope::Range& r) {
                return r.prefix.size() == digits && name.compare(0, digits, r.prefix) == 0 && std::stoull(name.substr(digits)) < r.count;
            });
            if (range == scope.ranges.end()) continue;
            known = scope.names.emplace(name, std::make_pair(range->kind, kNoRegister)).first;
        }
        kind = known->second.first;
        s32& number = known->second.second;
        if (number == kNoRegister)
            number = static_cast<s32>(kind == 'r' ? code.registers_32++ : kind == 'd' ? code.registers_64++ : code.predicates++);
        index = number;
        return true;
    }
    auto special = specials().find(name);
    if (special == specials().end()) return false;
    kind = 'r';
    index = static_cast<s32>(code.registers_32++);
    scopes[0].names[name] = {kind, index};
    code.specials.push_back({special->second, static_cast<u32>(index)});
    return true;
}

s32 Decoder::add_constant(u64 value, bool wide) {
    s32 index = static_cast<s32>((wide ? code.constants_64.size() : code.constants_32.size()) / kWarpSize);
    if (wide) code.constants_64.insert(code.constants_64.end(), kWarpSize, value);
    else code.constants_32.insert(code.constants_32.end(), kWarpSize, static_cast<u32>(value));
    return ~index;
}

/** The address that a variable's or parameter's name stands for, in its own state space. */
bool Decoder::symbol(const std::string& name, u64& value) {
    for (const Parameter& p : entry.parameters)
        if (p.name == name) return value = p.offset, true;
    auto own = shared.find(name);
    if (own != shared.end()) return value = kSharedBase + own->second, true;
    auto stack = local.find(name);
    if (stack != local.end()) return value = stack->second, true;
    auto of_module = program.shared.find(name);
    if (of_module != program.shared.end())
        return value = kSharedBase + (of_module->second == ~0u ? (code.static_shared + 127) / 128 * 128 : of_module->second), true;
    auto variable = program.memory.find(name);
    if (variable != program.memory.end()) return value = variable->second.first->address(), true;
    return false;
}

bool Decoder::constant(const std::string& text, s64 offset, bool wide, s32& index) {
    auto& known = wide ? constants_64 : constants_32;
    std::string key = text + "+" + std::to_string(offset);
    auto found = known.find(key);
    if (found != known.end()) return index = found->second, true;
    u64 value;
    const char* at = text.c_str();
    char* end = nullptr;
    if (text.size() == 10 && text[0] == '0' && (text[1] == 'f' || text[1] == 'F')) value = std::strtoull(at + 2, &end, 16);
    else if (text.size() == 18 && text[0] == '0' && (text[1] == 'd' || text[1] == 'D')) value = std::strtoull(at + 2, &end, 16);
    else if (std::isdigit(static_cast<u8>(*at))) value = std::strtoull(at, &end, 0);
    else if (*at == '-') value = static_cast<u64>(std::strtoll(at, &end, 0));
    else if (!symbol(text, value)) return false;
    if (end && (*end == 'U' || *end == 'u')) ++end;
    if (end && *end) return false;
    index = known[key] = add_constant(value + static_cast<u64>(offset), wide);
    return true;
}

/** Up to the semicolon. */
std::vector<Raw> Decoder::operands() {
    std::vector<Raw> raw;
    for (;;) {
        cursor.skip_blanks();
        if (cursor.done()) fail("an instruction without its semicolon");
        char c = *cursor.at;
        if (c == ';') return ++cursor.at, raw;
        if (c == ',' || c == '|') ++cursor.at;
        else if (c == '{' || c == '}') raw.push_back({c == '{' ? '(' : ')', {}}), ++cursor.at;
        else if (c == '[') {
            ++cursor.at;
            Raw address{'a', {}};
            cursor.skip_blanks();
            address.name = *cursor.at == '-' ? std::string(1, *cursor.at++) + cursor.word() : cursor.word();
            for (cursor.skip_blanks(); *cursor.at == '+' || *cursor.at == '-'; cursor.skip_blanks()) {
                s64 sign = *cursor.at++ == '-' ? -1 : 1;
                if (*cursor.at == '-') sign = -sign, ++cursor.at;
                address.offset += sign * std::strtoll(cursor.word().c_str(), nullptr, 0);
            }
            cursor.expect(']', program.name);
            raw.push_back(address);
        } else {
            Raw value{'v', {}};
            if (c == '-' || c == '!') value.name = *cursor.at++;
            value.name += cursor.word();
            cursor.skip_blanks();
            if (value.name.empty()) fail("\"" + std::string(cursor.at, std::min(cursor.end, cursor.at + 20)) + "\" is no operand");
            if (*cursor.at == '+' && !std::isdigit(static_cast<u8>(value.name[0]))) {
                ++cursor.at;
                value.offset = std::strtoll(cursor.word().c_str(), nullptr, 0);
            }
            raw.push_back(value);
        }
    }
}

bool Decoder::match(const Opcode& opcode, const std::vector<Raw>& raw, std::vector<Operand>& out, std::string& label) {
    if (opcode.signature.size() != raw.size()) return false;
    out.clear();
    for (std::size_t i = 0; i < raw.size(); ++i) {
        char want = opcode.signature[i];
        const Raw& is = raw[i];
        Operand operand{0, 0, want};
        char kind = 0;
        if (want == '(' || want == ')') {
            if (is.shape != want) return false;
            continue;
        }
        if ((want == 'a') != (is.shape == 'a') || is.shape == '(' || is.shape == ')') return false;
        if (want == 'L') {
            label = is.name;
            continue;
        }
        if (want == 'i') {
            char* end;
            operand.offset = static_cast<s32>(std::strtoll(is.name.c_str(), &end, 0));
            if (end == is.name.c_str()) return false;
        } else if (is.name == "_") {
            if (want != 'R' && want != 'D' && want != 'P') return false;
            operand.index = static_cast<s32>(want == 'R' ? code.registers_32++ : want == 'D' ? code.registers_64++ : code.predicates++);
        } else if (find_register(is.name, kind, operand.index)) {
            operand.offset = static_cast<s32>(is.offset);
            if (want == 'a') operand.kind = kind == 'd' ? 'q' : 'a';
            else if (kind != std::tolower(want)) return false;
        } else if (want == 'a') {
            operand.kind = 'q';
            operand.offset = 0;
            if (!constant(is.name, is.offset, true, operand.index)) return false;
        } else if (want == 'p') {
            if (is.name != "0" && is.name != "1" && is.name != "-1") return false;
            operand.index = is.name == "0" ? -1 : -2;
        } else if (want != 'r' && want != 'd') {
            return false;
        } else if (!constant(is.name, is.offset, want == 'd', operand.index)) {
            return false;
        }
        out.push_back(operand);
    }
    return true;
}

void Decoder::instruction() {
    Instruction i{};
    i.guard = -1;
    i.line = cursor.line;
    i.source_file = source_file;
    i.source_line = source_line;
    i.text = static_cast<std::size_t>(cursor.at - program.text.data());
    if (*cursor.at == '@') {
        ++cursor.at;
        i.negated = *cursor.at == '!';
        if (i.negated) ++cursor.at;
        std::string name = cursor.word();
        char kind;
        if (!find_register(name, kind, i.guard) || kind != 'p') fail("guard " + name + " is no predicate");
    }
    std::string name = cursor.word();
    std::vector<Raw> raw = operands();
    i.text_length = static_cast<u32>(static_cast<std::size_t>(cursor.at - program.text.data()) - i.text);
    std::string text(program.text, i.text, i.text_length);
    auto rows = opcodes().equal_range(name);
    if (rows.first == rows.second) parse_error(program.name, i.line, "\"" + name + "\" is in no table: " + text);
    std::vector<Operand> out;
    std::string label;
    auto row = rows.first;
    while (row != rows.second && !match(row->second, raw, out, label)) ++row;
    if (row == rows.second) parse_error(program.name, i.line, "operands that are not known here: " + text);
    i.opcode = &row->second;
    i.run = i.opcode->run;
    i.aligned = i.opcode->aligned;
    i.count = static_cast<u8>(out.size());
    if (!label.empty()) scopes.back().jumps.push_back({static_cast<u32>(code.instructions.size()), label});
    first_operand.push_back(code.operands.size());
    code.operands.insert(code.operands.end(), out.begin(), out.end());
    code.instructions.push_back(i);
}

void Decoder::registers() {
    std::string type = cursor.word();
    u32 bytes = type_bytes(type);
    if (bytes == 0 && type != ".pred") fail(".reg of type " + type);
    char kind = type == ".pred" ? 'p' : bytes == 8 ? 'd' : 'r';
    do {
        cursor.skip_blanks();
        if (*cursor.at == ',') ++cursor.at;
        std::string name = cursor.word();
        cursor.skip_blanks();
        if (*cursor.at == '<') {
            ++cursor.at;
            u64 count = std::stoull(cursor.until(">"));
            ++cursor.at;
            scopes.back().ranges.push_back({name, kind, count});
        } else {
            scopes.back().names[name] = {kind, kNoRegister};
        }
        cursor.skip_blanks();
    } while (*cursor.at == ',');
    cursor.expect(';', program.name);
}

void Decoder::directive() {
    u32 line = cursor.line;
    std::string word = cursor.word();
    if (word == ".loc") {
        source_file = static_cast<u32>(std::stoul(cursor.word()));
        source_line = static_cast<u32>(std::stoul(cursor.word()));
        cursor.until("\n");
    } else if (word == ".reg") {
        registers();
    } else if (word == ".pragma") {
        cursor.until(";");
        ++cursor.at;
    } else if (word == ".shared" || word == ".local") {
        Variable v = parse_variable(cursor, program.name);
        cursor.expect(';', program.name);
        u32& used = word == ".shared" ? code.static_shared : code.local;
        used = (used + v.align - 1) / v.align * v.align;
        (word == ".shared" ? shared : local)[v.name] = used;
        used += static_cast<u32>(v.bytes);
    } else {
        parse_error(program.name, line, "\"" + word + "\" is no directive that is known here");
    }
}

void Decoder::close_scope() {
    Scope scope = std::move(scopes.back());
    scopes.pop_back();
    for (auto& jump : scope.jumps) {
        auto label = scope.labels.find(jump.second);
        if (label != scope.labels.end()) code.instructions[jump.first].target = label->second;
        else if (scopes.empty()) parse_error(program.name, code.instructions[jump.first].line, "there is no label " + jump.second);
        else scopes.back().jumps.push_back(jump);
    }
}

void Decoder::body() {
    code.static_shared = program.static_shared;
    for (cursor.skip_blanks(); !cursor.done(); cursor.skip_blanks()) {
        char c = *cursor.at;
        if (c == '{' || c == '}') {
            ++cursor.at;
            if (c == '{') scopes.emplace_back();
            else close_scope();
        } else if (c == ';') {
            ++cursor.at;
        } else if (c == '.') {
            directive();
        } else {
            const char* at = cursor.at;
            while (at < cursor.end && (std::isalnum(static_cast<u8>(*at)) || *at == '_' || *at == '$')) ++at;
            if (at < cursor.end && *at == ':' && at[1] != ':') {
                if (!scopes.back().labels.emplace(std::string(cursor.at, at), static_cast<u32>(code.instructions.size())).second)
                    fail("label " + std::string(cursor.at, at) + " is there twice");
                cursor.at = at + 1;
            } else {
                instruction();
            }
        }
    }
    close_scope();
    if (code.instructions.empty()) fail("an entry without instructions");
    for (std::size_t i = 0; i < first_operand.size(); ++i) code.instructions[i].operands = code.operands.data() + first_operand[i];
    if (code.instructions.back().opcode->name != "ret" && code.instructions.back().opcode->name != "exit") {
        cursor.line = code.instructions.back().line;
        if (code.instructions.back().opcode->name != "bra.uni" && code.instructions.back().opcode->name != "trap")
            fail("the body does not end with ret, exit or bra");
    }
}

}  // namespace

std::unique_ptr<Code> decode(const Program::Impl& program, std::size_t number) {
    auto code = std::make_unique<Code>();
    const EntryText& entry = program.texts[number];
    code->entry = program.entries[number].name;
    code->module = program.name;
    code->text = &program.text;
    code->files = &program.files;
    Decoder decoder{program, entry, *code, {program.text.data() + entry.body, program.text.data() + entry.end, entry.line}, {}, {}, {}, {}, {}, 0, 0, {}};
    decoder.scopes.resize(1);
    decoder.body();
    return code;
}

const OpcodeTable& opcodes() {
    static const OpcodeTable table = [] {
        OpcodeTable rows;
        for (auto add : {add_arithmetic, add_conversions, add_control, add_accesses, add_barriers, add_mbarriers, add_copies,
                         add_bulk_copies, add_products, add_wgmma})
            add(rows);
        for (auto& row : rows) row.second.name = row.first;
        return rows;
    }();
    return table;
}

std::string Code::site(const Instruction& i) const {
    if (i.source_line == 0 || i.source_file >= files->size()) return "line " + std::to_string(i.line);
    return (*files)[i.source_file] + ":" + std::to_string(i.source_line);
}

std::string Code::describe(const Instruction& i) const {
    std::string words;
    for (char c : text->substr(i.text, i.text_length)) {
        bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!blank) words += c;
        else if (!words.empty() && words.back() != ' ') words += ' ';
    }
    if (words.size() > 160) words = words.substr(0, 157) + "...";
    return "line " + std::to_string(i.line) + ": " + words + (i.source_line && i.source_file < files->size() ? " (" + site(i) + ")" : "");
}

}  // namespace jmarlin::machine
