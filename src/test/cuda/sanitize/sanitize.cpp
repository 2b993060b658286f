// Runs every instance of the striped kernel, and on compute capability 9.0 of the Hopper kernel, on a real device, from the
// library's own images and without Java: the program that compute-sanitizer watches. Small products of small numbers, whose
// results are exact in any order of summation, so that each must come out bit for bit; twice, so that a counter left behind
// shows.
//
//   sanitize IMAGES [NAME_FILTER]       exit code 0: all right, 1: wrong results, 2: could not run
#define JMARLIN_PTX_CUH   // only the kernels' constants and arguments are wanted, not their instructions
#define JMARLIN_PTX_SM90_CUH
#include <map>

#include "driver.hpp"
#include "suites/problem.hpp"

namespace jmarlin {
struct Half;
struct Bfloat16;
}  // namespace jmarlin

#include <cstddef>

#include "gemm_args.cuh"
#include "hopper/shape.cuh"
#include "hopper/tiles.cuh"
#include "striped/shape.cuh"

using namespace suites;

namespace {

struct Instance {
    std::string family, name;
    bool bf16, zeros, group32;
    int batch, columns;
    int neighbours, cluster;         // blocks of a cluster side by side in n, and in all
    int least_stages, most_stages;
    unsigned threads;
    u32 (*shared_bytes)(u32 stages);
};

template <class T, bool kZeros, bool kGroup32>
std::string name(const char* family, int batch, int columns) {
    return std::string(family) + (std::is_same<T, jmarlin::Bfloat16>::value ? "_bf16" : "_f16") + (kZeros ? "_zp" : "_sym") +
           (kGroup32 ? "_g32" : "_g64") + "_m" + std::to_string(batch) + "_n" + std::to_string(columns);
}

template <class T, bool kZeros, bool kGroup32, int kBatch, int kColumns>
void add(std::vector<Instance>& instances) {
    using Shape = jmarlin::StripedShape<T, kZeros, kGroup32, kBatch, kColumns>;
    instances.push_back({"striped", name<T, kZeros, kGroup32>("striped", kBatch, kColumns),
                         std::is_same<T, jmarlin::Bfloat16>::value, kZeros, kGroup32, kBatch, kColumns, 1, 1, 2, 4, Shape::kThreads,
                         [](u32 stages) { return Shape::shared_bytes(stages); }});
}

template <class T, bool kZeros, bool kGroup32, int kBatch, int kColumns, int kNeighbours, int kSplit>
void add_hopper(std::vector<Instance>& instances) {
    using Shape = jmarlin::hopper::Shape<T, kZeros, kGroup32, kBatch, kColumns, kNeighbours, kSplit>;
    instances.push_back({"hopper", name<T, kZeros, kGroup32>("hopper", kBatch, kColumns) + "_p" + std::to_string(kNeighbours) + "_s" +
                         std::to_string(kSplit), std::is_same<T, jmarlin::Bfloat16>::value, kZeros, kGroup32, kBatch, kColumns,
                         kNeighbours, Shape::kCluster, jmarlin::hopper::kLeastStages, Shape::kStages, jmarlin::hopper::kThreads,
                         [](u32 stages) { return Shape::shared_bytes(stages); }});
}

template <class T, bool kZeros, bool kGroup32>
void add_tiles(std::vector<Instance>& all) {
    add<T, kZeros, kGroup32, 8, 64>(all);
    add<T, kZeros, kGroup32, 8, 128>(all);
    add<T, kZeros, kGroup32, 16, 128>(all);
    add<T, kZeros, kGroup32, 16, 256>(all);
    add<T, kZeros, kGroup32, 32, 128>(all);
    add<T, kZeros, kGroup32, 32, 256>(all);
    add<T, kZeros, kGroup32, 48, 256>(all);
    add<T, kZeros, kGroup32, 64, 256>(all);
}

template <class T, bool kZeros, bool kGroup32>
void add_hopper_tiles(std::vector<Instance>& all) {
#define ADD(all, batch, columns, neighbours, split) add_hopper<T, kZeros, kGroup32, batch, columns, neighbours, split>(all);
    JMARLIN_HOPPER_TILES(ADD, all)
#undef ADD
}

template <class T>
void add_forms(std::vector<Instance>& all, bool hopper_too) {
    add_tiles<T, false, false>(all);
    add_tiles<T, false, true>(all);
    add_tiles<T, true, false>(all);
    add_tiles<T, true, true>(all);
    if (!hopper_too) return;
    add_hopper_tiles<T, false, false>(all);
    add_hopper_tiles<T, false, true>(all);
    add_hopper_tiles<T, true, false>(all);
    add_hopper_tiles<T, true, true>(all);
}

/** The first image that the driver takes, in the order of cuda.KernelImages: machine code, then PTX. */
driver::Handle load(const std::string& folder, const std::string& name, int major, int minor) {
    const int capability = 10 * major + minor;
    std::vector<std::string> targets{"sm_" + std::to_string(capability) + "a.cubin"};
    for (int older = capability; older >= 10 * major; --older) targets.push_back("sm_" + std::to_string(older) + ".cubin");
    targets.push_back("compute_" + std::to_string(capability) + "a.ptx");
    targets.push_back("compute_80.ptx");
    for (const std::string& target : targets) {
        const std::vector<char> image = driver::image(folder + "/" + name + "." + target);
        driver::Handle module;
        if (!image.empty() && driver::module_load.attempt(&module, image.data()) == 0) return module;
    }
    driver::fail("the driver takes no image of " + name + " in " + folder);
}

/** The image that holds an instance: its family and its tile. */
std::string module_of(const Instance& instance) { return instance.family + instance.name.substr(instance.name.find("_m")); }

/** One product by one instance. Returns what is wrong, or nothing. */
std::string run(driver::Handle kernel, const Instance& instance, const Problem& problem, int grid, int stages) {
    const Packed packed(problem);
    const Size& s = problem.size;
    const int lda = ceil_div(s.k, 8) * 8, ldc = s.n + 3;
    std::vector<u16> a(static_cast<std::size_t>(s.m) * lda, 0x7fff);   // NaN behind the k elements of a row
    for (int m = 0; m < s.m; ++m) {
        std::memcpy(&a[static_cast<std::size_t>(m) * lda], &problem.activations[static_cast<std::size_t>(m) * s.k], 2 * s.k);
    }
    const int n_tiles = ceil_div(s.n, instance.columns * instance.neighbours), m_tiles = ceil_div(s.m, instance.batch);
    const std::vector<u16> poison(static_cast<std::size_t>(s.m) * ldc, 0xffff);
    const std::vector<u32> zero_counters(static_cast<std::size_t>(n_tiles) * m_tiles * 4, 0);   // of any kernel at most

    const driver::Memory activations(a), codes(packed.codes), scales(packed.scales), zeros(packed.zeros), factors(packed.factors),
        bias(packed.bias), c(poison), counters(zero_counters);
    const int blocks = grid * instance.cluster;
    // Left as it comes: initcheck sees what is read before it is written.
    const driver::Memory partials(std::size_t{8} * blocks * instance.batch * instance.columns);
    jmarlin::GemmArgs args{activations.address(), codes.address(), scales.address(), instance.zeros ? zeros.address() : 0,
                           factors.address(), problem.has_bias ? bias.address() : 0, c.address(), partials.address(),
                           counters.address(),
                           {codes.address(), packed.k_blocks, packed.strips, instance.columns / 64, m_tiles,
                            packed.k_blocks, blocks, packed.k_blocks},
                           lda, ldc, s.m, s.n, s.k, packed.k_blocks, packed.scale_rows,
                           packed.group_shift, n_tiles, m_tiles, ceil_div(n_tiles * m_tiles * packed.k_blocks, grid), stages};
    std::vector<double> expected = problem.expected();
#ifdef SANITIZE_EXPECT_WRONG   // shows that this program can fail
    expected[0] += 8 + std::fabs(expected[0]);
#endif
    for (int time = 1; time <= 2; ++time) {
        driver::to_device(c.address(), poison.data(), 2 * poison.size());
        void* parameters[] = {&args};
        driver::launch_kernel(kernel, static_cast<unsigned>(blocks), 1, 1, instance.threads, 1, 1,
                instance.shared_bytes(static_cast<u32>(stages)), nullptr,
                              parameters, nullptr);
        driver::synchronize();
        const std::vector<u16> result = c.read<u16>();
        for (std::size_t i = 0; i < result.size(); ++i) {
            const std::size_t row = i / ldc, column = i % ldc;
            const u32 wanted = column < static_cast<std::size_t>(s.n) ? problem.format.round(expected[row * s.n + column])
                    : 0xffff;
            if (result[i] != wanted) {
                return "launch " + std::to_string(time) + ": C[" + std::to_string(row) + "][" + std::to_string(column)
                        + "] has bits " +
                       std::to_string(result[i]) + ", expected " + std::to_string(wanted);
            }
        }
        for (u32 counter : counters.read<u32>()) {
            if (counter != 0) return "launch " + std::to_string(time) + " left a counter at " + std::to_string(counter);
        }
    }
    return "";
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2 || count > 3) driver::fail("usage: sanitize IMAGES [NAME_FILTER]");
    const std::string filter = count == 3 ? arguments[2] : "";
    int device, major, minor, shared;
    char name[256];
    driver::Handle context;
    driver::init(0);
    driver::device_get(&device, 0);
    driver::device_name(name, sizeof name, device);
    driver::device_attribute(&major, driver::kComputeMajor, device);
    driver::device_attribute(&minor, driver::kComputeMinor, device);
    driver::device_attribute(&shared, driver::kSharedOptin, device);
    driver::primary_context_retain(&context, device);
    driver::context_set_current(context);
    std::printf("%s, compute capability %d.%d\n", name, major, minor);

    const bool is_hopper = major == 9 && minor == 0;
    std::map<std::string, driver::Handle> modules;
    std::vector<Instance> instances;
    add_forms<jmarlin::Half>(instances, is_hopper);
    add_forms<jmarlin::Bfloat16>(instances, is_hopper);
    int products = 0, wrong = 0;
    for (const Instance& instance : instances) {
        if (instance.name.find(filter) == std::string::npos) continue;
        driver::Handle& module = modules[module_of(instance)];
        if (!module) module = load(arguments[1], module_of(instance), major, minor);
        driver::Handle kernel;
        driver::module_function(&kernel, module, instance.name.c_str());
        driver::function_set(kernel, driver::kMaxDynamicShared, shared);
        // A whole tile and more rows than one; a k tail and odd columns; more blocks than tiles, and fewer.
        const Size sizes[] = {{instance.batch, instance.columns, 256, instance.group32 ? 32 : 64},
                              {instance.batch + 3, instance.columns + 65, 200, instance.group32 ? 32 : 128},
                              {1, 70, 333, instance.group32 ? 32 : -1}};
        int stages = instance.least_stages;
        while (stages < instance.most_stages &&
               instance.shared_bytes(static_cast<u32>(stages) + 1) <= static_cast<u32>(shared)) {
            ++stages;
        }
        for (const Size& size : sizes) {
            for (int grid : {1, 5}) {
                const Problem problem(size, Format{instance.bf16}, instance.zeros, true, Values::kExact, 7);
                const std::string what = run(kernel, instance, problem, grid, stages);
                ++products;
                if (!what.empty()) {
                    ++wrong;
                    std::printf("WRONG %s, m %d, n %d, k %d, grid %d: %s\n", instance.name.c_str(), size.m, size.n, size.k, grid,
                            what.c_str());
                }
            }
        }
    }
    if (products == 0) driver::fail("no instance has \"" + filter + "\" in its name");
    std::printf("%d products, %d wrong\n", products, wrong);
    return wrong == 0 ? 0 : 1;
}
