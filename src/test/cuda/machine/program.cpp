// The outline of a PTX module (Parallel Thread Execution ISA 9.0, chapters 4, 5 and 11): variables, entries and their
// parameters. What stands in no table here stops with its text.
#include "program.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace jmarlin::machine {

void parse_error(const std::string& module, u32 line, const std::string& what) {
    throw ParseError(module + ":" + std::to_string(line) + ": " + what);
}

void Cursor::skip_blanks() {
    for (; at < end; ++at) {
        if (*at == '\n') ++line;
        else if (*at == '/' && at + 1 < end && at[1] == '/') {
            while (at + 1 < end && at[1] != '\n') ++at;
        } else if (*at == '/' && at + 1 < end && at[1] == '*') {
            for (at += 2; at + 1 < end && !(*at == '*' && at[1] == '/'); ++at)
                if (*at == '\n') ++line;
            ++at;
        } else if (*at != ' ' && *at != '\t' && *at != '\r') {
            return;
        }
    }
}

std::string Cursor::until(const char* stops) {
    const char* begin = at;
    for (; at < end && !std::strchr(stops, *at); ++at)
        if (*at == '\n') ++line;
    return {begin, at};
}

std::string Cursor::word() {
    skip_blanks();
    const char* begin = at;
    while (at < end && (std::isalnum(static_cast<u8>(*at)) || std::strchr("_$%.:", *at))) ++at;
    return {begin, at};
}

void Cursor::expect(char c, const std::string& module) {
    skip_blanks();
    if (done() || *at != c)
        parse_error(module, line, std::string("expected '") + c + "' before \"" + std::string(at, std::min(end, at + 30)) + "\"");
    ++at;
}

u32 type_bytes(const std::string& type) {
    static const std::map<std::string, u32> bytes{
        {".b8", 1}, {".u8", 1}, {".s8", 1}, {".b16", 2}, {".u16", 2}, {".s16", 2}, {".f16", 2}, {".bf16", 2}, {".b32", 4}, {".u32", 4},
        {".s32", 4}, {".f32", 4}, {".f16x2", 4}, {".bf16x2", 4}, {".b64", 8}, {".u64", 8}, {".s64", 8}, {".f64", 8}};
    auto found = bytes.find(type);
    return found == bytes.end() ? 0 : found->second;
}

Variable parse_variable(Cursor& cursor, const std::string& module) {
    Variable v{{}, 0, 0, {}};
    std::string word = cursor.word();
    if (word == ".align") {
        v.align = static_cast<u32>(std::stoul(cursor.word()));
        word = cursor.word();
    }
    u32 element = type_bytes(word);
    if (element == 0) parse_error(module, cursor.line, "\"" + word + "\" of a variable is no type that is known here");
    v.align = std::max(v.align, element);
    v.name = cursor.word();
    v.bytes = element;
    cursor.skip_blanks();
    while (!cursor.done() && *cursor.at == '[') {
        ++cursor.at;
        std::string length = cursor.until("]");
        v.bytes *= length.empty() ? 0 : std::stoull(length);
        cursor.expect(']', module);
        cursor.skip_blanks();
    }
    if (cursor.done() || *cursor.at != '=') return v;
    ++cursor.at;
    std::string values = cursor.until(";");
    std::size_t place = 0;
    v.initial.resize(v.bytes);
    for (const char* at = values.c_str(); *at;) {
        if (std::strchr(" \t\r\n{},", *at)) {
            ++at;
            continue;
        }
        char* end;
        u64 value = *at == '-' ? static_cast<u64>(std::strtoll(at, &end, 0)) : std::strtoull(at, &end, 0);
        if (end == at || place + element > v.bytes)
            parse_error(module, cursor.line, "initial value of " + v.name + " at \"" + std::string(at).substr(0, 30) + "\"");
        std::memcpy(&v.initial[place], &value, element);
        place += element;
        at = end;
    }
    return v;
}

namespace {

u32 round_up(u32 value, u32 align) { return (value + align - 1) / align * align; }

/** "(" .param ... "," ... ")" */
std::vector<Parameter> parse_parameters(Cursor& cursor, const std::string& module, u32& bytes) {
    std::vector<Parameter> parameters;
    bytes = 0;
    cursor.skip_blanks();
    if (*cursor.at != '(') return parameters;
    ++cursor.at;
    for (cursor.skip_blanks(); *cursor.at != ')'; cursor.skip_blanks()) {
        if (*cursor.at == ',') ++cursor.at;
        std::string word = cursor.word();
        if (word != ".param") parse_error(module, cursor.line, "expected .param, not \"" + word + "\"");
        Variable v = parse_variable(cursor, module);
        bytes = round_up(bytes, v.align);
        parameters.push_back({v.name, bytes});
        bytes += static_cast<u32>(v.bytes);
    }
    ++cursor.at;
    return parameters;
}

/** Past the } that closes the { before the cursor. */
void skip_body(Cursor& cursor, const std::string& module) {
    u32 first = cursor.line;
    for (u32 depth = 1; cursor.at < cursor.end; ++cursor.at) {
        char c = *cursor.at;
        if (c == '\n') ++cursor.line;
        else if (c == '{') ++depth;
        else if (c == '}' && --depth == 0) return;
        else if (c == '/' && cursor.at[1] == '/') cursor.at = std::find(cursor.at, cursor.end, '\n') - 1;
        else if (c == '"') cursor.at = std::find(cursor.at + 1, cursor.end, '"');
    }
    parse_error(module, first, "a { that nothing closes");
}

u32 product_of_three(Cursor& cursor) {
    u32 product = 1;
    do {
        cursor.skip_blanks();
        if (*cursor.at == ',') ++cursor.at;
        product *= static_cast<u32>(std::stoul(cursor.word()));
        cursor.skip_blanks();
    } while (*cursor.at == ',');
    return product;
}

}  // namespace

void Program::Impl::index() {
    Cursor cursor{text.data(), text.data() + text.size(), 1};
    std::string kind;   // of the variable or entry that follows
    for (cursor.skip_blanks(); !cursor.done(); cursor.skip_blanks()) {
        u32 line = cursor.line;
        std::string word = cursor.word();
        if (word == ".version") {
            std::string number = cursor.word();
            version = static_cast<u32>(std::stoul(number)) * 10 + static_cast<u32>(std::stoul(number.substr(number.find('.') + 1)));
        } else if (word == ".target") {
            target = cursor.word();
            if (target.compare(0, 3, "sm_") == 0) target.erase(0, 3);
            if (cursor.until("\n").find_first_not_of(" \t\r") != std::string::npos)
                parse_error(name, line, ".target with options that are not known here");
        } else if (word == ".address_size") {
            if (cursor.word() != "64") parse_error(name, line, "addresses of other than 64 bits");
        } else if (word == ".file") {
            std::size_t number = std::stoul(cursor.word());
            cursor.until("\"");
            ++cursor.at;
            if (files.size() <= number) files.resize(number + 1);
            files[number] = cursor.until("\"");
            files[number].erase(0, files[number].rfind('/') + 1);
            cursor.until("\n");
        } else if (word == ".section") {
            cursor.until("{");
            cursor.expect('{', name);
            skip_body(cursor, name);
            ++cursor.at;
        } else if (word == ".visible" || word == ".extern" || word == ".weak") {
            kind = word;
        } else if (word == ".global" || word == ".const" || word == ".shared") {
            Variable v = parse_variable(cursor, name);
            cursor.expect(';', name);
            if (word == ".shared") {
                // A variable of unknown length begins where all others end (7.5.2).
                static_shared = v.bytes ? round_up(static_shared, v.align) : static_shared;
                shared[v.name] = v.bytes ? static_shared : ~0u;
                static_shared += static_cast<u32>(v.bytes);
                continue;
            }
            v.initial.resize(v.bytes);
            globals.push_back({v.name, v.initial});
            auto buffer = std::make_unique<Buffer>(v.bytes, word == ".const" ? Role::kInput : Role::kInOut);
            if (v.bytes) std::memcpy(buffer->as<u8>(), v.initial.data(), v.bytes);
            memory[v.name] = {std::move(buffer), 0};
        } else if (word == ".entry") {
            Entry entry{cursor.word(), 0, 1024, 1, 0};
            EntryText body{};
            body.parameters = parse_parameters(cursor, name, entry.parameter_bytes);
            for (cursor.skip_blanks(); *cursor.at != '{'; cursor.skip_blanks()) {
                u32 at = cursor.line;
                std::string directive = cursor.word();
                if (directive == ".maxntid" || directive == ".reqntid") entry.max_threads = product_of_three(cursor);
                else if (directive == ".reqnctapercluster") entry.cluster = product_of_three(cursor);
                else if (directive == ".minnctapersm" || directive == ".maxnreg" || directive == ".maxclusterrank") cursor.word();
                else if (directive != ".explicitcluster" && directive != ".noreturn")
                    parse_error(name, at, "\"" + directive + "\" of " + entry.name + " is no directive that is known here");
            }
            ++cursor.at;
            body.body = static_cast<std::size_t>(cursor.at - text.data());
            body.line = cursor.line;
            skip_body(cursor, name);
            body.end = static_cast<std::size_t>(cursor.at - text.data());
            ++cursor.at;
            entries.push_back(entry);
            texts.push_back(std::move(body));
        } else {
            parse_error(name, line, "\"" + word + std::string(cursor.at, std::min(cursor.end, cursor.at + 40)) +
                        "\" is no directive that is known here");
        }
    }
}

Program::Program(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Program::~Program() = default;

std::shared_ptr<const Program> Program::parse(std::string text, std::string name) {
    auto impl = std::make_unique<Impl>();
    impl->text = std::move(text);
    impl->name = std::move(name);
    impl->index();
    return std::shared_ptr<const Program>(new Program(std::move(impl)));
}

const std::string& Program::name() const { return impl_->name; }
u32 Program::ptx_version() const { return impl_->version; }
const std::string& Program::target() const { return impl_->target; }
const std::vector<Entry>& Program::entries() const { return impl_->entries; }

const Entry* Program::find(const std::string& entry) const {
    for (const Entry& each : impl_->entries)
        if (each.name == entry) return &each;
    return nullptr;
}

const Global* Program::find_global(const std::string& name) const {
    for (const Global& each : impl_->globals)
        if (each.name == name) return &each;
    return nullptr;
}

const Code& Program::code(const Entry& entry) const {
    std::lock_guard<std::mutex> hold(impl_->lock);
    std::unique_ptr<Code>& code = impl_->decoded[entry.name];
    if (!code) {
        std::size_t number = static_cast<std::size_t>(find(entry.name) - impl_->entries.data());
        code = decode(*impl_, number);
        impl_->entries[number].instructions = static_cast<u32>(code->instructions.size());
    }
    return *code;
}

}  // namespace jmarlin::machine
