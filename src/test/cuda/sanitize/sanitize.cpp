// Runs every instance of the striped kernel, and on compute capability 9.0 of the Hopper kernel, for every kind of weights, on a
// real device, from the library's own images and without Java: the program that compute-sanitizer watches. Small products of
// small numbers, whose results are exact in any order of summation, so that each must come out bit for bit; twice, so that a
// counter left behind shows.
//
//   sanitize IMAGES [NAME_FILTER]       exit code 0: all right, 1: wrong results, 2: could not run
//
// A line per tile, begun before its kernels run: after a hang the last line names it.
#include "driver.hpp"
#include "instances.hpp"
#include "suites/problem.hpp"

using namespace suites;

namespace {

/** The first image of a module that the driver takes, in the order of cuda.KernelImages; null if there is none. */
driver::Handle load(const std::string& folder, const std::string& module, int major, int minor) {
    const std::string capability = std::to_string(10 * major + minor);
    std::vector<std::string> targets{"sm_" + capability + "a.cubin"};
    for (int older = minor; older >= 0; --older) targets.push_back("sm_" + std::to_string(10 * major + older) + ".cubin");
    targets.push_back("compute_" + capability + "a.ptx");
    targets.push_back("compute_80.ptx");
    for (const std::string& target : targets) {
        const std::string file = folder + "/" + module + "." + target;
        driver::Handle loaded;
        if (std::ifstream(file).good() && driver::module_load.status(&loaded, driver::image(file).data()) == 0) return loaded;
    }
    return nullptr;
}

/** One product by one instance. Returns what is wrong, or nothing. */
std::string run(driver::Handle function, const Kernel& kernel, const Problem& problem, int grid, int stages) {
    const Packed packed(problem);
    const Size& s = problem.size;
    const int lda = ceil_div(s.k, 8) * 8, ldc = s.n + 3;
    std::vector<u16> a(static_cast<std::size_t>(s.m) * lda, 0x7fff);   // NaN behind the k elements of a row
    for (int m = 0; m < s.m; ++m) {
        std::memcpy(&a[static_cast<std::size_t>(m) * lda], &problem.activations[static_cast<std::size_t>(m) * s.k], 2 * s.k);
    }
    const int n_tiles = ceil_div(s.n, kernel.columns * kernel.neighbours), m_tiles = ceil_div(s.m, kernel.rows);
    const std::vector<u16> poison(static_cast<std::size_t>(s.m) * ldc, 0xffff);
    const std::vector<u32> zero_counters(static_cast<std::size_t>(n_tiles) * m_tiles * 8, 0);   // of any kernel at most

    const driver::Memory activations(a), codes(packed.codes), scales(packed.scales), zeros(packed.zeros), factors(packed.factors),
        bias(packed.bias), c(poison), counters(zero_counters);
    const int blocks = grid * kernel.cluster();
    // Left as it comes: initcheck sees what is read before it is written.
    const driver::Memory partials(std::size_t{8} * blocks * kernel.rows * kernel.columns);
    GemmArgs args{activations.address(), codes.address(), scales.address(), kernel.form.has_offsets() ? zeros.address() : 0, factors.address(),
                  problem.has_bias ? bias.address() : 0, c.address(), partials.address(), counters.address(),
                  {codes.address(), packed.k_blocks, packed.strips, kernel.columns / 64, m_tiles, packed.k_blocks, blocks, packed.k_blocks,
                   kernel.form.block_bytes()},
                  lda, ldc, s.m, s.n, s.k, packed.k_blocks, packed.scale_rows, packed.group_shift, n_tiles, m_tiles,
                  ceil_div(n_tiles * m_tiles * packed.k_blocks, grid), stages, 0, 0, 0, {}};
    args.invert();
    std::vector<double> expected = problem.expected();
#ifdef SANITIZE_EXPECT_WRONG   // shows that this program can fail
    expected[0] += 8 + std::fabs(expected[0]);
#endif
    for (int time = 1; time <= 2; ++time) {
        driver::to_device(c.address(), poison.data(), 2 * poison.size());
        void* parameters[] = {&args};
        driver::launch_kernel(function, static_cast<unsigned>(blocks), 1, 1, static_cast<unsigned>(kernel.threads()), 1, 1,
                              kernel.shared_bytes(stages), nullptr, parameters, nullptr);
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

struct Tally {
    int products = 0, wrong = 0;

    void add(const Tally& other) {
        products += other.products;
        wrong += other.wrong;
    }
};

/** Every product of a module's instances, with a line's end of what came out. */
Tally run(driver::Handle loaded, const std::string& module, const std::vector<Kernel>& kernels, u32 shared) {
    Tally tally;
    for (const Kernel& kernel : kernels) {
        int stages = kernel.least_stages();
        if (kernel.shared_bytes(stages) > shared) {
            std::printf("%u bytes of shared memory: left out\n", kernel.shared_bytes(stages));
            return tally;
        }
        const int most = kernel.hopper ? kernel.most_stages() : 4;
        while (stages < most && kernel.shared_bytes(stages + 1) <= shared) ++stages;
        driver::Handle function;
        driver::module_function(&function, loaded, kernel.name.c_str());
        driver::function_set(function, driver::kMaxDynamicShared, static_cast<int>(shared));
        // A whole tile and more rows than one; a k tail and odd columns; more blocks than tiles, and fewer.
        const Size sizes[] = {{kernel.rows, kernel.columns, 256, kernel.form.group(64)},
                              {kernel.rows + 3, kernel.columns + 65, 200, kernel.form.group(128)},
                              {1, 70, 333, kernel.form.group(-1)}};
        for (const Size& size : sizes) {
            for (int grid : {1, 5}) {
                const Problem problem(size, Format{kernel.bf16}, kernel.form, true, Values::kExact, 7);
                const std::string what = run(function, kernel, problem, grid, stages);
                ++tally.products;
                if (what.empty()) continue;
                ++tally.wrong;
                std::printf("\nWRONG %s, m %d, n %d, k %d, grid %d: %s", kernel.name.c_str(), size.m, size.n, size.k, grid, what.c_str());
            }
        }
    }
    if (tally.wrong == 0) std::printf("%d right\n", tally.products);
    else std::printf("\n%s: %d right, %d wrong\n", module.c_str(), tally.products - tally.wrong, tally.wrong);
    return tally;
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
    std::setvbuf(stdout, nullptr, _IONBF, 0);   // whoever ends a kernel that hangs sees all there was
    std::printf("%s, compute capability %d.%d\n", name, major, minor);

    Tally all;
    for (const Images& images : every_image(major == 9 && minor == 0)) {
        if (static_cast<u32>(shared) > images.most_shared) continue;
        for (const auto& module : images.kernels()) {
            std::vector<Kernel> wanted;
            for (const Kernel& kernel : module.second) {
                if (kernel.name.find(filter) != std::string::npos) wanted.push_back(kernel);
            }
            if (wanted.empty()) continue;
            std::printf("%s: ", module.first.c_str());
            const driver::Handle loaded = load(arguments[1], module.first, major, minor);
            if (!loaded && !images.optional) driver::fail("no image in " + std::string(arguments[1]) + " that the driver takes");
            if (!loaded) std::printf("no image that the driver takes: left out\n");
            else all.add(run(loaded, module.first, wanted, static_cast<u32>(shared)));
        }
    }
    if (all.products == 0) driver::fail("no instance has \"" + filter + "\" in its name");
    std::printf("%d products, %d wrong\n", all.products, all.wrong);
    return all.wrong == 0 ? 0 : 1;
}
