// The CUDA driver, opened at run time, so that this program is built where there is none; and device memory with guard bytes.
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace driver {

using Result = int;
using Handle = void*;
using Address = unsigned long long;

[[noreturn]] inline void fail(const std::string& message) {
    std::fprintf(stderr, "sanitize: %s\n", message.c_str());
    std::exit(2);
}

/** A function of libcuda.so.1; a call that does not return 0 ends the program. */
template <class... Parameters>
class Function {
public:
    explicit Function(const char* name) : name_(name) {
        static void* library = dlopen("libcuda.so.1", RTLD_NOW);
        if (!library) fail(std::string("no CUDA driver: ") + dlerror());
        function_ = reinterpret_cast<Result (*)(Parameters...)>(dlsym(library, name));
        if (!function_) fail(std::string("the CUDA driver has no ") + name);
    }

    Result status(Parameters... arguments) const { return function_(arguments...); }

    void operator()(Parameters... arguments) const {
        if (Result code = function_(arguments...)) fail(std::string(name_) + " failed with " + std::to_string(code));
    }

private:
    const char* name_;
    Result (*function_)(Parameters...);
};

inline const Function<unsigned> init("cuInit");
inline const Function<int*, int> device_get("cuDeviceGet");
inline const Function<char*, int, int> device_name("cuDeviceGetName");
inline const Function<int*, int, int> device_attribute("cuDeviceGetAttribute");
inline const Function<Handle*, int> primary_context_retain("cuDevicePrimaryCtxRetain");
inline const Function<Handle> context_set_current("cuCtxSetCurrent");
inline const Function<> synchronize("cuCtxSynchronize");
inline const Function<Handle*, const void*> module_load("cuModuleLoadData");
inline const Function<Handle*, Handle, const char*> module_function("cuModuleGetFunction");
inline const Function<Handle, int, int> function_set("cuFuncSetAttribute");
inline const Function<Address*, std::size_t> allocate("cuMemAlloc_v2");
inline const Function<Address> release("cuMemFree_v2");
inline const Function<Address, const void*, std::size_t> to_device("cuMemcpyHtoD_v2");
inline const Function<void*, Address, std::size_t> to_host("cuMemcpyDtoH_v2");
inline const Function<Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Handle, void**, void**>
    launch_kernel("cuLaunchKernel");

constexpr int kComputeMajor = 75, kComputeMinor = 76, kSharedOptin = 97, kMaxDynamicShared = 8;

/** Device memory that begins as given bytes. */
class Memory {
public:
    explicit Memory(std::size_t bytes) : bytes_(bytes) { allocate(&address_, bytes); }

    template <class E>
    explicit Memory(const std::vector<E>& values) : Memory(values.size() * sizeof(E)) {
        to_device(address_, values.data(), bytes_);
    }

    Memory(const Memory&) = delete;
    ~Memory() { release(address_); }

    Address address() const { return address_; }

    template <class E>
    std::vector<E> read() const {
        std::vector<E> values(bytes_ / sizeof(E));
        to_host(values.data(), address_, bytes_);
        return values;
    }

private:
    std::size_t bytes_;
    Address address_ = 0;
};

/** A file's bytes and a zero, which ends PTX. */
inline std::vector<char> image(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) fail("cannot read " + file);
    std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    bytes.push_back(0);
    return bytes;
}

}  // namespace driver
