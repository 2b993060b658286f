// The striped kernel's cases. Prints one line per case, "ok <case>" or "FAIL <case>: <why>", and exits with 1 if one failed.
//
//   striped_test exact|real|schedules|banks|all [part/parts [text]]   a suite, or every parts-th case of it, up to the
//                                                                     first failure that says so and so
//   striped_test stripes                                              the partitions of a table of launches
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>

#include "run.hpp"

using namespace striped_test;

namespace {

int part = 0, parts = 1, cases = 0, failures = 0;
std::string last_failure;  // stop at a failure with this text in it; empty: never

std::string describe(const Instance& instance, const Size& s, const Launch& l, const std::string& more = "") {
    std::ostringstream text;
    text << instance.name << " m=" << s.m << " n=" << s.n << " k=" << s.k << " g=" << s.group << " grid=" << l.grid
         << " stages=" << l.stages << (l.row_padding ? " ldc=n+" + std::to_string(l.row_padding) : "")
         << (l.unaligned_c ? " c+2" : "") << more;
    return text.str();
}

/** Runs the case if it belongs to this part; `check` returns what is wrong. */
void run_case(const std::string& name, const std::function<std::string()>& check) {
    if (cases++ % parts != part) return;
    const std::string wrong = check();
    if (wrong.empty()) std::printf("ok %s\n", name.c_str());
    else std::printf("FAIL %s: %s\n", name.c_str(), wrong.c_str());
    std::fflush(stdout);
    if (!wrong.empty()) ++failures;
    if (!last_failure.empty() && wrong.find(last_failure) != std::string::npos) std::exit(1);
}

std::string number(double v) {
    std::ostringstream text;
    text << v;
    return text.str();
}

/** The first line of a text. */
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string launch_error(Run& run, const Options& options) {
    const Result result = run.launch(options);
    return result.ok() ? run.untouched() : result.errors.empty() ? "did not complete" : first_line(result.text());
}

/** A member of a list for the i-th case; lists of coprime lengths meet in every combination. */
template <class T, std::size_t kCount>
const T& pick(const T (&list)[kCount], int i) { return list[i % kCount]; }

constexpr int kRows[] = {1, 2, 7, 8, 9, 16, 17, 33, 64, 65, 130};

// Every instance with every number of rows; the rest goes round. Greedy, reversed, round-robin and random schedules, with races.
void exact() {
    constexpr int kColumns[] = {64, 100, 320, 129, 200, 256, 72};
    constexpr int kDepths[] = {200, 64, 1096, 100, 2120};
    constexpr int kGroups[] = {128, -1, 64, 256};
    constexpr int kGrids[] = {1, 2, 3, 4, 5, 6, 7, 8, 13};
    constexpr int kStages[] = {4, 2, 8, 3, 6, 5, 7};
    constexpr Schedule kSchedules[] = {Schedule::kGreedy, Schedule::kReversed, Schedule::kRoundRobin, Schedule::kRandom,
                                       Schedule::kRandom};
    int i = 0;
    for (const Instance& instance : instances()) {
        for (int m : kRows) {
            const Size size{m, pick(kColumns, i), pick(kDepths, i), instance.group32 ? 32 : pick(kGroups, i + i / 44)};
            const int row_paddings[] = {0, 8 + (8 - size.n % 8) % 8, 3};  // rows of C: as they come, aligned, unaligned
            const Launch launch{pick(kGrids, i), pick(kStages, i / 3), pick(row_paddings, i), i % 4 == 3};
            Options options;
            options.schedule = pick(kSchedules, i / 2);
            options.seed = i;
            options.races = true;
            run_case(describe(instance, size, launch), [&] {
                const Problem problem(size, {instance.bf16}, instance.zeros, i % 3 == 0, Values::kExact, 1000 + i);
                Run run(instance, problem, launch);
                const std::string wrong = launch_error(run, options);
                return wrong.empty() ? run.exact(problem.expected()) : wrong;
            });
            ++i;
        }
    }
}

// Gaussian data against the bounds promised to users, relative Frobenius error of the rounded results.
void real() {
    constexpr int kGroups[] = {128, 64, -1, 256};
    int i = 0;
    for (const Instance& instance : instances()) {
        const bool deep = instance.batch == 8 && instance.columns == 64;  // the deepest layer of a 70B model
        const int group = instance.group32 ? 32 : pick(kGroups, i);
        const Size size = deep ? Size{8, 64, 28672, group} : Size{instance.batch + 1, 192, 1000, group};
        const Launch launch{5, 4};
        const double bound = instance.bf16 ? 3.5e-3 : 3e-4;
        run_case(describe(instance, size, launch), [&]() -> std::string {
            const Problem problem(size, {instance.bf16}, instance.zeros, true, Values::kReal, 2000 + i);
            Run run(instance, problem, launch);
            const std::string wrong = launch_error(run, {});
            if (!wrong.empty()) return wrong;
            const double error = run.error(problem.expected());
            if (!(error <= bound)) return "relative error " + number(error) + ", allowed " + number(bound);
            return "";
        });
        ++i;
    }
}

// The order in which warps run, the number of stages, launching again with the workspace as it was left: same bits.
void schedules() {
    for (const Instance& instance : instances()) {
        const Size size{instance.batch + instance.batch / 2, 200, 520, instance.group32 ? 32 : 64};
        const Launch launch{7, 2};
        run_case(describe(instance, size, launch, " schedules"), [&]() -> std::string {
            const Problem problem(size, {instance.bf16}, instance.zeros, true, Values::kReal, 3000);
            Run run(instance, problem, launch);
            std::vector<u16> first;
            for (const Schedule schedule : {Schedule::kGreedy, Schedule::kReversed, Schedule::kRoundRobin, Schedule::kRandom}) {
                Options options;
                options.schedule = schedule;
                options.seed = 17;
                const std::string wrong = launch_error(run, options);
                if (!wrong.empty()) return wrong;
                if (first.empty()) first = run.output();
                if (run.output() != first) {
                    return "schedule " + std::to_string(static_cast<int>(schedule)) + " gives other bits than greedy";
                }
            }
            Run deeper(instance, problem, {launch.grid, 5});
            const std::string wrong = launch_error(deeper, {});
            if (!wrong.empty()) return wrong;
            return deeper.output() == first ? "" : "5 stages give other bits than 2";
        });
    }
}

// Every access to shared memory takes as few passes through the banks as its size allows.
void banks() {
    for (const Instance& instance : instances()) {
        const Size size{instance.batch, 256, 512, instance.group32 ? 32 : 64};
        const Launch launch{3, 3};
        run_case(describe(instance, size, launch, " banks"), [&]() -> std::string {
            const Problem problem(size, {instance.bf16}, instance.zeros, false, Values::kExact, 4000);
            Run run(instance, problem, launch);
            Options options;
            options.counters = true;
            const Result result = run.launch(options);
            if (!result.ok()) return first_line(result.text());
            for (const char* operation : {"ld_shared_16", "cp_async_16", "ldmatrix", "st_shared_f32x4", "ld_shared_f32x4"}) {
                if (result.requests(operation) == 0) return std::string("no ") + operation + " was counted";
            }
            for (const SiteCounters& site : result.counters) {
                if (site.excess != 0) {
                    return site.operation + " at " + site.site + ": " + std::to_string(site.excess) + " excess of " +
                           std::to_string(site.transactions) + " passes";
                }
            }
            return "";
        });
    }
}

// mTiles nTiles kBlocks unitsPerBlock grid: tile begin end slot of each portion, block by block; slot -1 for a whole tile.
void stripes() {
    for (int m_tiles : {1, 2, 3}) {
        for (int n_tiles : {1, 2, 5}) {
            for (int k_blocks : {1, 4, 7, 13}) {
                const int total = m_tiles * n_tiles * k_blocks;
                std::set<int> lengths;
                for (int grid : {1, 2, 3, 5, 8, 132}) lengths.insert(ceil_div(total, grid));
                for (int units : lengths) {
                    jmarlin::GemmArgs args{};
                    args.m_tiles = m_tiles;
                    args.n_tiles = n_tiles;
                    args.k_blocks = k_blocks;
                    args.units_per_block = units;
                    const int grid = ceil_div(total, units);
                    std::printf("stripes %d %d %d %d %d:", m_tiles, n_tiles, k_blocks, units, grid);
                    for (int block = 0; block < grid; ++block) {
                        for (jmarlin::Stripe stripe(args, block); !stripe.finished(); stripe.next_portion()) {
                            const jmarlin::Contributors contributors(args, stripe.tile);
                            const long long slot = stripe.covers_tile() ? -1 : static_cast<long long>(contributors.slot(block));
                            std::printf(" %d %d %d %d %lld;", block, stripe.tile, stripe.begin, stripe.end(), slot);
                        }
                    }
                    std::printf("\n");
                }
            }
        }
    }
}

}  // namespace

int main(int count, char** words) {
    const std::string suite = count > 1 ? words[1] : "";
    if (count > 2 && std::sscanf(words[2], "%d/%d", &part, &parts) != 2) return 2;
    if (count > 3) last_failure = words[3];
    const bool all = suite == "all";
    if (all || suite == "exact") exact();
    if (all || suite == "real") real();
    if (all || suite == "schedules") schedules();
    if (all || suite == "banks") banks();
    if (suite == "stripes") return stripes(), 0;
    if (cases == 0) {
        std::fprintf(stderr, "usage: striped_test exact|real|schedules|banks|all|stripes [part/parts [text]]\n");
        return 2;
    }
    return failures != 0;
}
