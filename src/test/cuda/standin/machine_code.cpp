// Machine code as a driver meets it: the version of its ELF container, its architecture, its kernels and variables. Nothing here
// executes it; with the setting machine_code it can be loaded, so that tests see which image a driver would take.
#include "machine_code.hpp"

#include <elf.h>

#include <cstring>
#include <sstream>

#include "driver.hpp"

namespace standin {

namespace {

constexpr unsigned char kMaxThreads[] = {4, 5};   // format and attribute of an entry of .nv.info.<kernel>: .maxntid

const Elf64_Ehdr& header(const char* elf) { return *reinterpret_cast<const Elf64_Ehdr*>(elf); }

/** Compute capability times ten: the low byte of the flags in containers of version 7, the next one since. */
unsigned architecture(const char* elf) {
    return (header(elf).e_ident[EI_ABIVERSION] < 8 ? header(elf).e_flags : header(elf).e_flags >> 8) & 0xff;
}

/** Version 8 came with R580 for the architectures that older drivers know, with R570 for those that need that one anyway. */
int first_driver(unsigned abi, unsigned architecture) {
    if (abi <= 7) return 12000;
    return architecture >= 100 ? 12080 : 13000;
}

struct Sections {
    explicit Sections(const char* elf)
        : elf(elf), table(reinterpret_cast<const Elf64_Shdr*>(elf + header(elf).e_shoff)), count(header(elf).e_shnum) {}

    const Elf64_Shdr* named(const std::string& name) const {
        const char* names = elf + table[header(elf).e_shstrndx].sh_offset;
        for (int i = 0; i < count; ++i)
            if (names + table[i].sh_name == name) return &table[i];
        return nullptr;
    }

    const char* elf;
    const Elf64_Shdr* table;
    int count;
};

void variable(std::ostringstream& ptx, const std::string& name, const unsigned char* bytes, std::size_t size) {
    ptx << ".global .align 4 .b8 " << name << "[" << size << "] = {";
    for (std::size_t i = 0; i < size; ++i) ptx << (i ? ", " : "") << unsigned{bytes[i]};
    ptx << "};\n";
}

void kernel(std::ostringstream& ptx, const Sections& sections, const std::string& name) {
    ptx << ".visible .entry " << name << "()\n";
    if (const Elf64_Shdr* info = sections.named(".nv.info." + name)) {
        const char* at = sections.elf + info->sh_offset;
        for (const char* end = at + info->sh_size; at < end;) {
            unsigned short size;
            std::memcpy(&size, at + 2, 2);
            if (std::memcmp(at, kMaxThreads, 2) == 0) {
                unsigned threads;
                std::memcpy(&threads, at + 4, 4);
                ptx << ".maxntid " << threads << ", 1, 1\n";
            }
            at += 4 + (*at == 4 ? size : 0);   // of other formats the two bytes are the value itself
        }
    }
    ptx << "{\n\t.reg .b32 %r<2>;\n\t.reg .b64 %rd<2>;\n\tmov.u32 %r1, 0;\n\tmov.u64 %rd1, 0;\n"
           "\tst.global.v4.u32 [%rd1], {%r1, %r1, %r1, %r1};\n\tret;\n}\n";
}

}  // namespace

CUresult check_machine_code(const char* elf) {
    // Machine code is for others, whatever its architecture: these devices execute PTX.
    DRIVER_REQUIRE(settings.machine_code, CUDA_ERROR_NO_BINARY_FOR_GPU);
    const unsigned number = architecture(elf);
    DRIVER_REQUIRE(settings.driver_version >= first_driver(header(elf).e_ident[EI_ABIVERSION], number), CUDA_ERROR_INVALID_IMAGE);
    DRIVER_REQUIRE(number / 10 == static_cast<unsigned>(settings.major) && number % 10 <= static_cast<unsigned>(settings.minor),
        CUDA_ERROR_NO_BINARY_FOR_GPU);
    return CUDA_SUCCESS;
}

std::string describe_machine_code(const char* elf) {
    const Sections sections(elf);
    std::ostringstream ptx;
    ptx << ".version 7.4\n.target sm_80\n.address_size 64\n";
    const Elf64_Shdr* symbols = sections.named(".symtab");
    if (!symbols) return ptx.str();
    const char* names = elf + sections.table[symbols->sh_link].sh_offset;
    const auto* symbol = reinterpret_cast<const Elf64_Sym*>(elf + symbols->sh_offset);
    for (const Elf64_Sym* end = symbol + symbols->sh_size / sizeof(Elf64_Sym); symbol < end; ++symbol) {
        if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= sections.count) continue;
        const Elf64_Shdr& section = sections.table[symbol->st_shndx];
        if (ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT && section.sh_type == SHT_PROGBITS)
            variable(ptx, names + symbol->st_name,
                    reinterpret_cast<const unsigned char*>(elf + section.sh_offset + symbol->st_value), symbol->st_size);
        else if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && ELF64_ST_BIND(symbol->st_info) == STB_GLOBAL)
            kernel(ptx, sections, names + symbol->st_name);
    }
    return ptx.str();
}

}  // namespace standin
