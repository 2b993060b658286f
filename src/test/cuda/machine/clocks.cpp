#include "clocks.hpp"

#include <algorithm>
#include <unordered_map>

namespace jmarlin::machine {

u32 first_clock = 0;

namespace {

/** What atomics on one address have passed on. Numbers of mbarriers mean something inside a cluster only. */
struct Published {
    Clocks clocks;
    std::unordered_map<u32, std::vector<u32>> phases;   // by cluster
};

std::vector<std::unique_ptr<View>> all_views;
std::vector<View*> free_views;
std::unordered_map<u64, Published> atomics;
u32 last_clock = 0;   // of any warp so far
std::unordered_map<u32, std::vector<u64>> relaxed;   // addresses of a thread's relaxed atomics since its last fence

void join(std::vector<u32>& into, const std::vector<u32>& from) {
    if (into.size() < from.size()) into.resize(from.size(), 0);
    for (std::size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

void join(Clocks& into, const Clocks& from) {
    for (std::size_t block = 0; block < into.size(); ++block) join(into[block], from[block]);
}

std::shared_ptr<const Clocks> join(const std::shared_ptr<const Clocks>& a, const std::shared_ptr<const Clocks>& b) {
    if (a == b || !b) return a;
    if (!a) return b;
    auto sum = std::make_shared<Clocks>(*a);
    join(*sum, *b);
    return sum;
}

View* new_view() {
    if (free_views.empty()) {
        all_views.push_back(std::make_unique<View>());
        free_views.push_back(all_views.back().get());
    }
    View* view = free_views.back();
    free_views.pop_back();
    view->references = 0;
    view->own.assign(entities(), 0);
    view->foreign = nullptr;
    view->phases.clear();
    return view;
}

void set_view(Warp& warp, u32 lane, View* view) {
    ++view->references;
    View* old = warp.view[lane];
    if (old && --old->references == 0) free_views.push_back(old);
    warp.view[lane] = view;
}

u32 thread_of(const Warp& warp, u32 lane) { return warp.index * kWarpSize + lane; }

u32 tick(Warp& warp) {
    u32 now = warp.clock++;
    last_clock = std::max(last_clock, warp.clock);
    return now;
}

}  // namespace

void begin_clocks() {
    free_views.clear();
    for (auto& view : all_views) free_views.push_back(view.get());
    atomics.clear();
    relaxed.clear();
    last_clock = first_clock + 1;
}

void end_clocks() { first_clock = last_clock + 1; }

void start_clocks(Block& block) {
    View* nothing = new_view();
    for (Warp& warp : block.warps) {
        warp.clock = first_clock + 1;
        for (u32 lane = 0; lane < kWarpSize; ++lane) {
            warp.view[lane] = nullptr;
            warp.proxy_fence[lane] = 0;
            warp.gpu_fence[lane] = 0;
            set_view(warp, lane, nothing);
        }
    }
}

void synchronise(const std::vector<Party>& parties) {
    View* sum = new_view();
    const View* last = nullptr;
    for (const Party& party : parties)
        for (u32 lane : Lanes{party.lanes}) {
            const View* view = party.warp->view[lane];
            if (view == last) continue;
            last = view;
            join(*sum, *view);
        }
    for (const Party& party : parties)
        for (u32 lane : Lanes{party.lanes}) sum->own[thread_of(*party.warp, lane)] = party.warp->clock;
    for (const Party& party : parties) {
        tick(*party.warp);
        for (u32 lane : Lanes{party.lanes}) set_view(*party.warp, lane, sum);
    }
}

void publish_to_cluster(Knowledge& gathered, Warp& warp) {
    auto clocks = gathered.foreign ? std::const_pointer_cast<Clocks>(gathered.foreign) : std::make_shared<Clocks>(machine.grid);
    gathered.foreign = clocks;
    std::vector<u32>& own = (*clocks)[warp.block->index];
    const View* last = nullptr;
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        const View* view = warp.view[lane];
        if (view == last) continue;
        last = view;
        join(own, view->own);
        if (view->foreign) join(*clocks, *view->foreign);
        join(gathered.phases, view->phases);
    }
    for (u32 lane = 0; lane < kWarpSize; ++lane) own[thread_of(warp, lane)] = warp.clock;
    tick(warp);
}

void learn_from_cluster(const Knowledge& passed, Warp& warp) {
    Knowledge news = passed;
    news.own = (*passed.foreign)[warp.block->index];
    learn(news, warp, kAllLanes);
}

void publish_at(Warp& warp, u32 lane, u64 address) {
    Published& published = atomics[address];
    published.clocks.resize(machine.grid);
    u32 own = warp.block->index;
    const View& view = *warp.view[lane];
    join(published.clocks[own], view.own);
    published.clocks[own][thread_of(warp, lane)] = tick(warp);
    if (view.foreign)
        for (u32 b = 0; b < machine.grid; ++b)
            if (b != own) join(published.clocks[b], (*view.foreign)[b]);
    join(published.phases[own / machine.cluster_size], view.phases);
}

void learn_from(Warp& warp, u32 lane, u64 address) {
    auto found = atomics.find(address);
    if (found == atomics.end()) return;
    const Published& published = found->second;
    u32 own = warp.block->index;
    View* view = new_view();
    static_cast<Knowledge&>(*view) = *warp.view[lane];
    join(view->own, published.clocks[own]);
    auto others = std::make_shared<Clocks>(published.clocks);
    (*others)[own].clear();
    view->foreign = join(view->foreign, others);
    auto phases = published.phases.find(own / machine.cluster_size);
    if (phases != published.phases.end()) join(view->phases, phases->second);
    set_view(warp, lane, view);
}

void relaxed_atomic(Warp& warp, u32 lane, u64 address) {
    if (warp.gpu_fence[lane]) publish_at(warp, lane, address);
    std::vector<u64>& addresses = relaxed[warp.block->index * machine.threads + thread_of(warp, lane)];
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) addresses.push_back(address);
}

void fence(Warp& warp, u32 lane) {
    warp.gpu_fence[lane] = tick(warp);
    auto found = relaxed.find(warp.block->index * machine.threads + thread_of(warp, lane));
    if (found == relaxed.end()) return;
    for (u64 address : found->second) learn_from(warp, lane, address);
    relaxed.erase(found);
}

void publish(Knowledge& knowledge, Warp& warp, u32 lane, const Block& owner) {
    const View& view = *warp.view[lane];
    join(knowledge.phases, view.phases);
    if (warp.block == &owner) {
        join(knowledge.own, view.own);
        knowledge.own[thread_of(warp, lane)] = tick(warp);
        knowledge.foreign = join(knowledge.foreign, view.foreign);
        return;
    }
    // Only what the products of either block have read (an arrival of block scope, 9.7.13.15.13).
    auto foreign = knowledge.foreign ? std::make_shared<Clocks>(*knowledge.foreign) : std::make_shared<Clocks>(machine.grid);
    std::vector<u32> products(view.own.size(), 0);
    std::copy(view.own.begin() + machine.threads, view.own.end(), products.begin() + machine.threads);
    join((*foreign)[warp.block->index], products);
    knowledge.foreign = foreign;
}

void learn(const Knowledge& knowledge, Warp& warp, u32 lanes) {
    // Lanes that shared a view share the new one.
    while (lanes) {
        View* old = warp.view[first_lane(lanes)];
        View* view = new_view();
        static_cast<Knowledge&>(*view) = *old;
        join(static_cast<Knowledge&>(*view), knowledge);
        ++old->references;   // not freed while it is looked for
        for (u32 lane : Lanes{lanes}) {
            if (warp.view[lane] != old) continue;
            set_view(warp, lane, view);
            lanes &= ~(1u << lane);
        }
        if (--old->references == 0) free_views.push_back(old);
    }
}

void join(Knowledge& into, const Knowledge& from) {
    join(into.own, from.own);
    into.foreign = join(into.foreign, from.foreign);
    join(into.phases, from.phases);
}

void add_phases(Knowledge& knowledge, u32 number, u32 phases) {
    if (knowledge.phases.size() <= number) knowledge.phases.resize(number + 1, 0);
    knowledge.phases[number] = std::max(knowledge.phases[number], phases);
}

void learn_products(Warp& warp) {
    Knowledge read;
    read.own.assign(entities(), 0);
    read.own[machine.threads + warp.index] = tick(warp);
    learn(read, warp, kAllLanes);
}

}  // namespace jmarlin::machine
