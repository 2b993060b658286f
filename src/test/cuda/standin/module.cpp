// Modules, functions, launches. An image is a text file that names a family and a target; the code is in this library.
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "../emulator/emulator.hpp"
#include "../emulator/memory.hpp"
#include "control.hpp"
#include "driver.hpp"

namespace standin {

Handles<Module> modules;
Handles<Function> functions;

namespace {

constexpr char kMark[] = "JMARLIN-EMULATED";
constexpr std::size_t kLargestArguments = 512;

/** Arguments of any size by value: a callee with a smaller struct finds it at the same place of the stack. */
struct alignas(8) Arguments {
    unsigned char bytes[kLargestArguments];
};

/** This library, wherever it was loaded from: the entry points are its own symbols. */
void* own_library() {
    static void* handle = [] {
        Dl_info info;
        return dladdr(reinterpret_cast<void*>(&own_library), &info) ? dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD) : nullptr;
    }();
    return handle;
}

std::size_t symbol_size(void* address) {
    Dl_info info;
    ElfW(Sym)* symbol = nullptr;
    return dladdr1(address, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) && symbol ? symbol->st_size : 0;
}

/** "sm_80" runs on 8.0 and later of the same major, "sm_90a" on 9.0 only, "compute_80" on everything from 8.0 on. */
bool runs_here(const std::string& target) {
    int number = 0;
    char suffix = 0;
    int capability = settings.major * 10 + settings.minor;
    if (std::sscanf(target.c_str(), "compute_%d", &number) == 1) return capability >= number;
    if (std::sscanf(target.c_str(), "sm_%d%c", &number, &suffix) < 1) return false;
    return suffix ? capability == number : capability / 10 == number / 10 && capability >= number;
}

CUresult load(CUmodule* module, const void* image) {
    DRIVER_REQUIRE(module && image, CUDA_ERROR_INVALID_VALUE);
    const char* text = static_cast<const char*>(image);
    // A cubin or a fat binary is for another device, anything else is no image.
    if (std::strncmp(text, kMark, sizeof kMark - 1) != 0)
        return std::strncmp(text, "\177ELF", 4) == 0 || std::strncmp(text, "\x50\xed\x55\xba", 4) == 0
                ? CUDA_ERROR_NO_BINARY_FOR_GPU
                                                                                                    : CUDA_ERROR_INVALID_IMAGE;
    const char* end = static_cast<const char*>(std::memchr(text, '\n', 200));
    DRIVER_REQUIRE(end, CUDA_ERROR_INVALID_IMAGE);
    std::string mark, family, target;
    std::istringstream words(std::string(text, end));
    words >> mark >> family >> target;
    DRIVER_REQUIRE(!family.empty() && runs_here(target), CUDA_ERROR_NO_BINARY_FOR_GPU);
    auto fresh = std::make_unique<Module>();
    fresh->context = current_context();
    fresh->family = family;
    *module = modules.add(std::move(fresh));
    return CUDA_SUCCESS;
}

CUresult error_of(const jmarlin::emulator::Result& result) {
    using jmarlin::emulator::ErrorKind;
    if (result.has(ErrorKind::kMisaligned)) return CUDA_ERROR_MISALIGNED_ADDRESS;
    if (result.has(ErrorKind::kOutOfBounds) || result.has(ErrorKind::kReadOnly)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    return CUDA_ERROR_LAUNCH_FAILED;
}

/**
 * What a compiled image says of its entry points and this library's symbols do not: the Hopper kernels' names end in
 * _p<blocks along n>_s<blocks along k>.
 */
void describe(Function& function) {
    if (function.module->family != "hopper") return;
    function.max_threads = 384;
    for (const char* axis : {"_p", "_s"})
        function.cluster *= static_cast<unsigned>(std::strtoul(function.name.c_str() + function.name.rfind(axis) + 2, nullptr, 10));
}

/** Runs the kernel. As on a device, its errors are the later calls' to report. */
CUresult run_kernel(const Function& function, unsigned grid, unsigned threads, unsigned shared, const Arguments& arguments) {
    if (settings.fast) return CUDA_SUCCESS;
    ++settings.kernels_run;
    jmarlin::emulator::Options options;
    options.races = settings.races;
    options.device = static_cast<unsigned>(function.context->device);
    options.cluster = function.cluster;
    auto entry = [](void* kernel, const void* args) {
        reinterpret_cast<void (*)(Arguments)>(kernel)(*static_cast<const Arguments*>(args));
    };
    jmarlin::emulator::Result result =
            jmarlin::emulator::launch_raw(entry, function.entry, &arguments, grid, threads, shared, options);
    settings.prefetched = 0;
    for (const jmarlin::emulator::Range& range : result.prefetches) settings.prefetched += range.bytes;
    if (!result.ok()) {
        settings.last_errors = function.name + "\n" + result.text();
        std::fprintf(stderr, "stand-in driver: %s", settings.last_errors.c_str());
        function.context->sticky = error_of(result);
    }
    return CUDA_SUCCESS;
}

/** Copies what is mapped of the bytes from there on: as many as a kernel's arguments can have. */
void copy_mapped(const void* from, Arguments& arguments) {
    iovec to{arguments.bytes, kLargestArguments};
    iovec source{const_cast<void*>(from), kLargestArguments};
    if (process_vm_readv(getpid(), &to, 1, &source, 1, 0) < 0) std::memset(arguments.bytes, 0, kLargestArguments);
}

/**
 * Collects the arguments from kernelParams (one pointer per parameter; ours have one) or from extra. A family without a
 * jmarlin_FAMILY_abi does not say how many bytes they are, and may have none.
 */
CUresult collect(const Function& function, void** params, void** extra, Arguments& arguments) {
    std::size_t bytes = function.argument_bytes;
    if (bytes == 0) {
        if (params) copy_mapped(params[0], arguments);
        return extra ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
    }
    DRIVER_REQUIRE((params != nullptr) != (extra != nullptr), CUDA_ERROR_INVALID_VALUE);
    const void* from = nullptr;
    if (params) {
        from = params[0];
    } else {
        for (; extra[0]; extra += 2) {   // 1: pointer, 2: pointer to the size
            if (extra[0] == reinterpret_cast<void*>(1)) from = extra[1];
            else if (extra[0] == reinterpret_cast<void*>(2)) bytes = *static_cast<std::size_t*>(extra[1]);
            else return CUDA_ERROR_INVALID_VALUE;
        }
    }
    DRIVER_REQUIRE(from && bytes == function.argument_bytes, CUDA_ERROR_INVALID_VALUE);
    std::memcpy(arguments.bytes, from, bytes);
    return CUDA_SUCCESS;
}

/** Blocks of a function that fit one multiprocessor. */
int blocks_per_multiprocessor(int threads, std::size_t shared) {
    long available = settings.shared_optin + 1024;
    long by_shared = available / (static_cast<long>(shared) + 1024);
    return static_cast<int>(std::min<long>({2048 / threads, by_shared, 32}));
}

}  // namespace

void unload(Module* module) {
    for (CUdeviceptr global : module->globals) jmarlin::emulator::deallocate(global);
    functions.remove_if([&](const Function& f) { return f.module == module; });
    modules.remove(module);
}

}  // namespace standin

using namespace standin;

JMARLIN_EXPORT CUresult cuModuleLoadData(CUmodule* module, const void* image) {
    DRIVER_CALL(true);
    return load(module, image);
}

JMARLIN_EXPORT CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, int*, void**) {
    DRIVER_CALL(true);
    return load(module, image);
}

JMARLIN_EXPORT CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
    DRIVER_CALL(true);
    return load(module, image);
}

JMARLIN_EXPORT CUresult cuModuleUnload(CUmodule module) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(modules.has(module), CUDA_ERROR_INVALID_HANDLE);
    unload(module);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(function && name, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(modules.has(module) && module->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    DRIVER_REQUIRE(std::strncmp(name, (module->family + "_").c_str(), module->family.size() + 1) == 0, CUDA_ERROR_NOT_FOUND);
    for (Function* known : functions.all())
        if (known->module == module && known->name == name) {
            *function = known;
            return CUDA_SUCCESS;
        }
    void* entry = dlsym(own_library(), name);
    auto* abi = static_cast<const unsigned*>(dlsym(own_library(), ("jmarlin_" + module->family + "_abi").c_str()));
    DRIVER_REQUIRE(entry && (!abi || abi[1] <= kLargestArguments), CUDA_ERROR_NOT_FOUND);
    auto fresh = std::make_unique<Function>();
    fresh->module = module;
    fresh->context = module->context;
    fresh->name = name;
    fresh->entry = entry;
    fresh->argument_bytes = abi ? abi[1] : 0;
    describe(*fresh);
    *function = functions.add(std::move(fresh));
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, std::size_t* size, CUmodule module, const char* name) {
    if (!module && name && is_command(name)) return run_command(name, address, size);
    DRIVER_CALL(true);
    DRIVER_REQUIRE(name, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(modules.has(module) && module->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    DRIVER_REQUIRE(std::strncmp(name, ("jmarlin_" + module->family + "_").c_str(), module->family.size() + 9) == 0,
        CUDA_ERROR_NOT_FOUND);
    void* symbol = dlsym(own_library(), name);
    std::size_t bytes = symbol ? symbol_size(symbol) : 0;
    DRIVER_REQUIRE(bytes, CUDA_ERROR_NOT_FOUND);
    CUdeviceptr copy = jmarlin::emulator::allocate(bytes, jmarlin::emulator::Role::kInput,
            static_cast<unsigned>(module->context->device));
    std::memcpy(reinterpret_cast<void*>(copy), symbol, bytes);
    module->globals.push_back(copy);
    if (address) *address = copy;
    if (size) *size = bytes;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuFuncGetModule(CUmodule* module, CUfunction function) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(module && functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    *module = function->module;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    if (attribute == 9) return CUDA_SUCCESS;                      // PREFERRED_SHARED_MEMORY_CARVEOUT
    DRIVER_REQUIRE(attribute == 8, CUDA_ERROR_INVALID_VALUE);     // MAX_DYNAMIC_SHARED_SIZE_BYTES
    DRIVER_REQUIRE(value >= 0 && value <= settings.shared_optin, CUDA_ERROR_INVALID_VALUE);
    function->max_dynamic_shared = value;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(value, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    switch (attribute) {
        case 0: *value = static_cast<int>(function->max_threads); return CUDA_SUCCESS;   // MAX_THREADS_PER_BLOCK
        case 1: case 2: case 3: *value = 0; return CUDA_SUCCESS;             // static shared, constant and local bytes
        case 4: *value = 255; return CUDA_SUCCESS;                           // NUM_REGS
        case 5: case 6: *value = settings.major * 10 + settings.minor; return CUDA_SUCCESS;   // PTX_VERSION, BINARY_VERSION
        case 7: *value = 0; return CUDA_SUCCESS;                             // CACHE_MODE_CA
        case 8: *value = function->max_dynamic_shared; return CUDA_SUCCESS;
        default: return CUDA_ERROR_INVALID_VALUE;
    }
}

JMARLIN_EXPORT CUresult cuFuncSetCacheConfig(CUfunction function, int) {
    DRIVER_CALL(true);
    return functions.has(function) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

JMARLIN_EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                       CUstream stream, void** params, void** extra) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(functions.has(function) && function->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    if (CUresult bad = check_stream(stream)) return bad;
    DRIVER_REQUIRE(grid_x > 0 && grid_x <= 0x7fffffff && grid_y == 1 && grid_z == 1, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(block_x > 0 && block_x % 32 == 0 && block_y == 1 && block_z == 1, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(block_x <= function->max_threads, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
    DRIVER_REQUIRE(shared <= static_cast<unsigned>(function->max_dynamic_shared), CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(grid_x % function->cluster == 0, CUDA_ERROR_INVALID_VALUE);
    Arguments arguments;
    if (CUresult bad = collect(*function, params, extra, arguments)) return bad;
    if (settings.fast && (is_default(stream) || !stream->capture)) return CUDA_SUCCESS;
    return submit(stream, [=]() -> CUresult {
        DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
        return run_kernel(*function, grid_x, block_x, shared, arguments);
    });
}

// ---- Occupancy ----

JMARLIN_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int threads,
        std::size_t shared) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(blocks && threads > 0, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    bool fits = threads <= static_cast<int>(function->max_threads) && shared <= static_cast<std::size_t>(function->max_dynamic_shared);
    *blocks = fits ? blocks_per_multiprocessor(threads, shared) : 0;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int threads,
                                                                            std::size_t shared, unsigned) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, shared);
}
