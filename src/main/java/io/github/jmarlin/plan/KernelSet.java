package io.github.jmarlin.plan;

import io.github.jmarlin.layout.WeightForm;
import java.util.List;
import java.util.stream.Stream;

/**
 * Kernels that come in images of their own because of what a weight is: an application that has only 4-bit integers never loads the
 * others. Of every set a kernel family has an entry file, {@code striped/striped_sp24.cu}, and of each tile an image with an entry for
 * each type and {@linkplain #weights() kind of weights}.
 */
public enum KernelSet {
    /** 4-bit integers, symmetric or with integer zero points. */
    INT4("", List.of("sym_g64", "sym_g32", "zp_g64", "zp_g32"), TileShape.INSTANCES, HopperTile.INSTANCES),
    /** The same, symmetric, two of every four rows. */
    SPARSE("sp24", List.of("sp24_g128", "sp24_g64"), Few.SPARSE, Few.HOPPER),
    /** 4-bit integers with a float for the offset. */
    FLOAT_ZERO("fz", List.of("fz_g64", "fz_g32"), Few.FOUR_BITS, Few.HOPPER),
    /** 8-bit integers. */
    INT8("i8", List.of("i8_g64", "i8_g32", "i8_g16", "i8zp_g64", "i8zp_g32", "i8fz_g64", "i8fz_g32"), Few.EIGHT_BITS, Few.HOPPER),
    /** 4-bit floats: striped kernels only. */
    FP4("fp4", List.of("fp4_g64", "fp4_g32", "fp4_g16"), Few.FOUR_BITS, List.of());

    /** Shapes of the sets that fewer weights need. */
    private static final class Few {
        static final List<TileShape> FOUR_BITS = List.of(
                new TileShape(8, 64), new TileShape(16, 128), new TileShape(32, 128), new TileShape(32, 256), new TileShape(64, 256));
        static final List<TileShape> EIGHT_BITS = List.of(new TileShape(8, 128), new TileShape(16, 256), new TileShape(32, 256));
        static final List<TileShape> SPARSE = List.of(
                new TileShape(8, 64), new TileShape(16, 128), new TileShape(16, 256), new TileShape(32, 256), new TileShape(64, 256));
        static final List<HopperTile> HOPPER = List.of(
                new HopperTile(8, 128, 1, 1), new HopperTile(8, 128, 1, 4), new HopperTile(16, 128, 2, 2), new HopperTile(32, 128, 1, 4),
                new HopperTile(64, 128, 2, 2), new HopperTile(128, 128, 2, 2));
    }

    /** What images of tiles in halves have in their names behind {@link #imageWord}. */
    public static final String HALVES = "_halves";

    private final String tag;
    private final List<String> weights;
    private final List<TileShape> tiles;
    private final List<HopperTile> hopperTiles;

    KernelSet(String tag, List<String> weights, List<TileShape> tiles, List<HopperTile> hopperTiles) {
        this.tag = tag;
        this.weights = weights;
        this.tiles = tiles;
        this.hopperTiles = hopperTiles;
    }

    /** The set that reads weights of a form. */
    public static KernelSet of(WeightForm form) {
        return ofTag(form.tag());
    }

    /**
     * The set with the kernels of a tag.
     *
     * @param formTag as kernels have it in their names: {@code sym}, {@code i8zp}
     */
    public static KernelSet ofTag(String formTag) {
        for (KernelSet set : values()) {
            if (set.weights.stream().anyMatch(weights -> weights.startsWith(formTag + "_"))) {
                return set;
            }
        }
        throw new IllegalArgumentException("no kernels are named " + formTag);
    }

    /**
     * The set that has kernels for a kind of weights.
     *
     * @param weights one of {@link #weights()}
     */
    public static KernelSet ofWeights(String weights) {
        for (KernelSet set : values()) {
            if (set.weights.contains(weights)) {
                return set;
            }
        }
        throw new IllegalArgumentException("weights " + weights + ": there are kernels for "
                + Stream.of(values()).flatMap(set -> set.weights.stream()).toList());
    }

    /** The set whose images have a word, {@link #imageWord}, behind the family. */
    public static KernelSet ofImageWord(String word) {
        for (KernelSet set : values()) {
            if (set.imageWord().equals(word)) {
                return set;
            }
        }
        throw new IllegalArgumentException("no kernel images are named " + word);
    }

    /** What the images have in their names behind the family: {@code _sp24}, or nothing. */
    public String imageWord() {
        return tag.isEmpty() ? "" : "_" + tag;
    }

    /** What a weight is and how many rows share a scale, as names have it: {@code zp_g32}. */
    public List<String> weights() {
        return weights;
    }

    /** Those that a family has kernels for: the Hopper kernel leaves 8 bits with zero points to the striped one. */
    public List<String> weights(KernelFamily family) {
        return switch (family) {
            case STRIPED, DENSE -> weights;
            case HOPPER -> hopperTiles.isEmpty() ? List.of() : weights.stream().filter(one -> !one.startsWith("i8zp_")).toList();
        };
    }

    /** The same with the type before it: what every image of the family has an entry for. */
    public List<String> instances(KernelFamily family) {
        return Stream.of("f16_", "bf16_").flatMap(type -> weights(family).stream().map(one -> type + one)).toList();
    }

    /** Tiles of the striped kernels, but for those in halves. */
    public List<TileShape> tiles() {
        return tiles;
    }

    /** Tiles in halves, whose images have a word more in their names: {@value #HALVES}. */
    public List<TileShape> tilesInHalves() {
        return this == INT4 ? TileShape.IN_HALVES : List.of();
    }

    /** All tiles of the striped kernels. */
    public List<TileShape> allTiles() {
        return Stream.concat(tiles.stream(), tilesInHalves().stream()).toList();
    }

    /**
     * Columns of the tiles for batch-invariant products: the narrowest that come with {@value Planner#BATCH_INVARIANT_ROWS} rows, so that
     * tiles of fewer rows differ in nothing else.
     */
    int batchInvariantColumns() {
        return tiles.stream().filter(tile -> tile.batchTile() == Planner.BATCH_INVARIANT_ROWS).mapToInt(TileShape::nTile).min()
                .orElseThrow();
    }

    /** Tiles of the Hopper kernels; empty if there are none. */
    public List<HopperTile> hopperTiles() {
        return hopperTiles;
    }
}
