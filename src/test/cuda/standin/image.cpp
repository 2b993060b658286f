// From a module's bytes to a program. The devices execute PTX: machine code is for others, whatever its architecture.
#include "image.hpp"

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "driver.hpp"
#include "machine_code.hpp"

namespace standin {

using jmarlin::machine::ParseError;
using jmarlin::machine::Program;

namespace {

constexpr char kElf[] = "\177ELF";
constexpr char kFatBinary[] = "\x50\xed\x55\xba";

/** Where the text goes on after white space and comments. */
const char* skip_blank(const char* at) {
    for (;;) {
        while (std::isspace(static_cast<unsigned char>(*at))) ++at;
        const char* end = nullptr;
        if (std::strncmp(at, "//", 2) == 0) end = std::strchr(at, '\n');
        else if (std::strncmp(at, "/*", 2) == 0 && (end = std::strstr(at, "*/"))) ++end;
        if (!end) return at;
        at = end + 1;
    }
}

/** The newest PTX version, times ten, that a driver reads: that of its CUDA version, where 8.5 came with 12.5 and stayed for 12.6. */
unsigned newest_ptx(int driver) {
    int major = driver / 1000, minor = driver % 1000 / 10;
    return static_cast<unsigned>((major - 4) * 10 + minor - (major == 12 && minor > 5));
}

/** "80" runs on everything from 8.0 on, "90a" on 9.0 only. */
bool runs_here(const std::string& target) {
    char* suffix = nullptr;
    long number = std::strtol(target.c_str(), &suffix, 10);
    int capability = settings.major * 10 + settings.minor;
    return *suffix ? capability == number : capability >= number;
}

/** Decoded once: most tests load the same few texts of megabytes. By their contents, so that a test may change some. */
std::shared_ptr<const Program> parse(std::string_view text) {
    static std::map<std::pair<std::size_t, std::size_t>, std::shared_ptr<const Program>> known;
    auto& program = known[{text.size(), std::hash<std::string_view>()(text)}];
    if (!program) program = Program::parse(std::string(text), "ptx");
    return program;
}

}  // namespace

CUresult open_image(const void* image, std::shared_ptr<const Program>& program) {
    const char* bytes = static_cast<const char*>(image);
    DRIVER_REQUIRE(std::strncmp(bytes, kFatBinary, sizeof kFatBinary - 1) != 0, CUDA_ERROR_NO_BINARY_FOR_GPU);
    if (std::strncmp(bytes, kElf, sizeof kElf - 1) == 0) {
        if (CUresult refused = check_machine_code(bytes)) return refused;
        program = Program::parse(describe_machine_code(bytes), "machine code");
        return CUDA_SUCCESS;
    }
    unsigned major = 0, minor = 0;
    bool ptx = std::sscanf(skip_blank(bytes), ".version %u.%u", &major, &minor) == 2;
    DRIVER_REQUIRE(ptx, CUDA_ERROR_INVALID_IMAGE);
    DRIVER_REQUIRE(major * 10 + minor <= newest_ptx(settings.driver_version), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    try {
        program = parse(bytes);
    } catch (const ParseError& error) {
        std::fprintf(stderr, "stand-in driver: %s\n", error.what());
        return CUDA_ERROR_INVALID_PTX;
    }
    // A target that the device is too old for is ptxas's error, not a missing image.
    return runs_here(program->target()) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_PTX;
}

}  // namespace standin
