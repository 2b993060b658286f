#include "clocks.hpp"

#include <algorithm>
#include <unordered_map>

namespace jmarlin::emulator {

u32 first_clock = 0;

namespace {

/** What atomics on one address have passed on. Numbers of mbarriers mean something inside a cluster only. */
struct Published {
    Clocks clocks;
    std::unordered_map<u32, std::vector<u32>> phases;   // by cluster
};

std::vector<View*> all_views, free_views;
std::unordered_map<u64, Published> atomics;

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
    View* view;
    if (free_views.empty()) {
        view = new View();
        all_views.push_back(view);
    } else {
        view = free_views.back();
        free_views.pop_back();
    }
    view->references = 0;
    view->own.assign(machine.threads, 0);
    view->foreign = nullptr;
    view->phases.clear();
    return view;
}

void set_view(Thread& thread, View* view) {
    if (--thread.view->references == 0) free_views.push_back(thread.view);
    ++view->references;
    thread.view = view;
}

/** Gives the threads one view that knows all that each of them knew and did. */
void synchronise(Thread* threads, u32 count) {
    View* sum = new_view();
    const View* last = nullptr;
    for (u32 i = 0; i < count; ++i) {
        const View* view = threads[i].view;
        if (view == last) continue;
        last = view;
        join(*sum, *view);
    }
    for (u32 i = 0; i < count; ++i) sum->own[threads[i].index] = threads[i].warp->clock;
    for (u32 i = 0; i < count; i += kWarpSize) ++threads[i].warp->clock;
    for (u32 i = 0; i < count; ++i) set_view(threads[i], sum);
}

}  // namespace

void begin_clocks() {
    for (View* view : all_views) view->references = 0;
    free_views = all_views;
    atomics.clear();
    for (Block& block : machine.blocks) {
        View* nothing = new_view();
        for (u32 t = 0; t < machine.threads; ++t) {
            block.warps[0].lanes[t].view = nothing;
            ++nothing->references;
        }
    }
    for (Warp& warp : machine.warps) warp.clock = first_clock + 1;
}

void end_clocks() {
    u32 last = first_clock;
    for (const Warp& warp : machine.warps) last = std::max(last, warp.clock);
    first_clock = last + 1;
}

void synchronise_warp(Warp& warp) { synchronise(warp.lanes, kWarpSize); }

void synchronise_block(Block& block) {
    // Threads that have exited take part: what they did before is ordered, and they do nothing more.
    synchronise(block.warps[0].lanes, machine.threads);
}

void synchronise_warps(const std::vector<Warp*>& warps) {
    View* sum = new_view();
    for (Warp* warp : warps) {
        for (u32 lane = 0; lane < kWarpSize; ++lane) {
            const View* view = warp->lanes[lane].view;
            if (lane > 0 && view == warp->lanes[lane - 1].view) continue;
            join(*sum, *view);
        }
    }
    for (Warp* warp : warps)
        for (u32 lane = 0; lane < kWarpSize; ++lane) sum->own[warp->lanes[lane].index] = warp->clock;
    for (Warp* warp : warps) {
        ++warp->clock;
        for (u32 lane = 0; lane < kWarpSize; ++lane) set_view(warp->lanes[lane], sum);
    }
}

void synchronise_cluster(Block* blocks, u32 count) {
    auto all = std::make_shared<Clocks>(machine.grid);
    std::vector<u32> phases;
    for (u32 b = 0; b < count; ++b) {
        synchronise_block(blocks[b]);
        const View& view = *blocks[b].warps[0].lanes[0].view;
        join((*all)[blocks[b].index], view.own);
        if (view.foreign) join(*all, *view.foreign);
        join(phases, view.phases);
    }
    for (u32 b = 0; b < count; ++b) {
        View* view = blocks[b].warps[0].lanes[0].view;   // shared by the block
        join(view->own, (*all)[blocks[b].index]);
        view->foreign = all;
        view->phases = phases;
    }
}

void synchronise_atomic(u64 address) {
    Thread& self = *current;
    Published& published = atomics[address];
    published.clocks.resize(machine.grid);
    u32 own = self.block->index;

    View* view = new_view();
    view->own = self.view->own;
    join(view->own, published.clocks[own]);
    view->own.resize(machine.threads, 0);
    auto others = std::make_shared<Clocks>(published.clocks);
    (*others)[own].clear();
    view->foreign = join(self.view->foreign, others);

    join(published.clocks[own], view->own);
    published.clocks[own][self.index] = self.warp->clock;
    for (u32 b = 0; b < machine.grid; ++b)
        if (b != own) join(published.clocks[b], (*view->foreign)[b]);
    std::vector<u32>& phases = published.phases[own / machine.options.cluster];
    join(phases, self.view->phases);
    view->phases = phases;
    ++self.warp->clock;
    set_view(self, view);
}

void publish(Knowledge& knowledge, const Block& owner) {
    Thread& self = *current;
    const View& view = *self.view;
    join(knowledge.phases, view.phases);
    if (self.block == &owner) {
        join(knowledge.own, view.own);
        knowledge.own[self.index] = self.warp->clock++;
        knowledge.foreign = join(knowledge.foreign, view.foreign);
        return;
    }
    auto foreign = knowledge.foreign ? std::make_shared<Clocks>(*knowledge.foreign) : std::make_shared<Clocks>(machine.grid);
    if (view.foreign) {
        join(*foreign, *view.foreign);
        join(knowledge.own, (*view.foreign)[owner.index]);
    }
    join((*foreign)[self.block->index], view.own);
    (*foreign)[self.block->index][self.index] = self.warp->clock++;
    knowledge.foreign = foreign;
}

void learn(const Knowledge& knowledge) {
    View* view = new_view();
    static_cast<Knowledge&>(*view) = *current->view;
    join(*view, knowledge);
    set_view(*current, view);
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

}  // namespace jmarlin::emulator
