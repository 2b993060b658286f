package io.github.jmarlin.bench.gpu;

import java.util.List;

/** Several products one after another, as the layers of a transformer's block. */
final class ChainContender implements GpuContender {
    private final String name;
    private final List<? extends GpuContender> links;

    /** @param links with as many slots each */
    ChainContender(String name, List<? extends GpuContender> links) {
        this.name = name;
        this.links = List.copyOf(links);
    }

    /** Tells every link which product comes after it: the next link's, after the last one the first one's of the next slot. */
    static void linkPrefetches(List<JMarlinContender> links) {
        for (int i = 0; i < links.size(); i++) {
            JMarlinContender after = links.get((i + 1) % links.size());
            int step = i + 1 < links.size() ? 0 : 1;
            links.get(i).prefetch(slot -> after.product(slot + step));
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int groupSize() {
        return links.get(0).groupSize();
    }

    @Override
    public int slots() {
        return links.get(0).slots();
    }

    @Override
    public double bytes() {
        return links.stream().mapToDouble(GpuContender::bytes).sum();
    }

    @Override
    public double flops() {
        return links.stream().mapToDouble(GpuContender::flops).sum();
    }

    /** The worst of the links; Math.max hands NaN on. */
    @Override
    public Verdict check() {
        return links.stream().map(GpuContender::check)
                .reduce((x, y) -> new Verdict(Math.max(x.error(), y.error()), Math.max(x.bound(), y.bound()))).orElseThrow();
    }

    @Override
    public void enqueue(int slot) {
        for (GpuContender link : links) {
            link.enqueue(slot);
        }
    }

    @Override
    public void close() {
        links.forEach(GpuContender::close);
    }
}
