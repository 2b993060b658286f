// What the host must know of an image: where the arguments lie, how much shared memory a launch asks for.
#include "runner.hpp"

namespace suites {

namespace {

/** Size and offsets of a struct whose fields have these sizes, as C lays them out. */
std::vector<u32> layout(const std::string& sizes) {
    std::vector<u32> words{0};
    u32 end = 0;
    for (char digit : sizes) {
        const u32 size = static_cast<u32>(digit - '0');
        words.push_back((end + size - 1) / size * size);
        end = words.back() + size;
    }
    words[0] = (end + 7) / 8 * 8;
    return words;
}

/** What an image was made of: "striped_sp24" of ".../striped_sp24_m8_n64.compute_80.ptx". */
std::string entry_file(const Program& program) {
    std::string name = program.name().substr(program.name().rfind('/') + 1);
    name.resize(name.find('.'));
    return name.substr(0, name.find("_m"));
}

std::string folder_of(const std::string& entry_file) { return entry_file.substr(0, entry_file.find('_')); }

}  // namespace

/** An image's jmarlin_<entry file>_abi: version, then of every struct of arguments the size and the offsets of its fields. */
void abi(Runner& runner) {
    struct Family { std::string folder; u32 version; std::vector<std::string> structs; };
    static const char* const kGemm = "8888888888" "44444444" "88" "4444444444" "888" "8884";
    static const Family kFamilies[] = {{"striped", 4, {kGemm}}, {"hopper", 4, {kGemm}}, {"dequantize", 3, {"888888" "44444", "888" "8884" "88" "44"}},
                                       {"gather", 1, {"88888" "44"}},
                                       {"decoder", 1, {"888" "44", "88888" "444", "8888888888" "444444", "88888888" "444444", "88" "44",
                                                       "8888" "88" "444", "88" "8" "44"}}};
    static_assert(sizeof(GemmArgs) == 224 && sizeof(DequantizeArgs) == 72 && sizeof(FinishArgs) == 80 && sizeof(GatherArgs) == 48,
                  "as in kernel.hpp");
    for (const auto& program : runner.programs) {
        for (const Family& family : kFamilies) {
            if (folder_of(entry_file(*program)) != family.folder) continue;
            const Global* table = program->find_global("jmarlin_" + entry_file(*program) + "_abi");
            runner.run("abi of " + program->name(), [&] {
                std::vector<u32> expected{family.version};
                for (const std::string& sizes : family.structs) {
                    const std::vector<u32> words = layout(sizes);
                    expected.insert(expected.end(), words.begin(), words.end());
                }
                const std::size_t bytes = 4 * expected.size();
                if (table == nullptr) return "is missing";
                return table->bytes.size() == bytes && std::memcmp(table->bytes.data(), expected.data(), bytes) == 0 ? "" : "is another one";
            });
        }
    }
}

/** Every slot of the ring in use: what the formulas ask for is enough, and 16 bytes less are not. */
void shared(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("")) {
        if (kernel.columns == 0) continue;
        const int stages = kernel.hopper ? kernel.most_stages() : 4;
        const int columns = kernel.columns * kernel.neighbours;
        const Size size{kernel.rows, columns, kernel.form.block_k() * kernel.depth() * kernel.split * (stages + 1), kernel.form.group(64)};
        runner.run(kernel.name + " needs its shared memory", [&]() -> std::string {
            const Problem problem(size, {kernel.bf16}, kernel.form, false, Values::kExact, 5);
            Run run(kernel, problem, {1, stages});
            Options options;
            options.coverage = &runner.coverage;
            std::string wrong = finding(run.launch(options, kernel.slack()));
            if (!wrong.empty()) return "with " + std::to_string(kernel.shared_bytes(stages) - kernel.slack()) + " bytes: " + wrong;
            wrong = finding(run.launch(options, kernel.slack() + 16));
            return wrong.find("OUT OF BOUNDS") != std::string::npos ? "" : "with 16 bytes less not out of bounds, but '" + wrong + "'";
        });
    }
}

/** "tile NAME slot-bytes stages shared-bytes", for comparison with the plan's tiles. */
void tiles(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("")) {
        if (kernel.columns == 0) continue;
        const int stages = kernel.most_stages();
        std::printf("tile %s %d %d %u\n", kernel.name.c_str(), kernel.slot_bytes(), stages, kernel.shared_bytes(stages));
        ++runner.cases;
    }
}

}  // namespace suites
