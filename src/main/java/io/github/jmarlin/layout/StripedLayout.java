package io.github.jmarlin.layout;

import io.github.jmarlin.memory.NativeMemory;

/**
 * Where every code of a {@code [k][n]} matrix lies in the packed bytes, as one formula in both directions, and the sizes that
 * follow from it. The bytes are the register fragments of the tensor-core instruction m16n8k16 with the weights as its first
 * operand, so a kernel loads them and computes: nothing is permuted at run time.
 *
 * <pre>
 *                n (columns)
 *          strip 0    strip 1   ...             A strip is 64 columns, a block 64 x 64 codes = 2048 bytes. Blocks of a strip
 *        +----------+----------+                follow each other along k, strips follow each other:
 *      k | block 0  | block B  |                one strip is one contiguous stream.
 *        +----------+----------+
 *        | block 1  | block B+1|                codes   [strip][block][sub-block s: 4][lane: 32][word j: 4] of 32 bits
 *        +----------+----------+
 *        |   ...    |          |
 *
 *  A column of a strip is  8 r + 2 s + h        r: 0..7   s: 0..3   h: 0..1
 *  A row of a block is     16 j + 8 p + 2 t + e j: 0..3   p: 0..1   t: 0..3   e: 0..1
 *  Their code lies in sub-block s, lane 4 r + t, word j, at bit 16 e + 8 p + 4 h:
 *
 *     bit 31    28 27    24 23    20 19    16 15    12 11     8 7      4 3      0
 *        +--------+--------+--------+--------+--------+--------+--------+--------+
 *        | e1 p1  | e1 p1  | e1 p0  | e1 p0  | e0 p1  | e0 p1  | e0 p0  | e0 p0  |
 *        |   h1   |   h0   |   h1   |   h0   |   h1   |   h0   |   h1   |   h0   |
 *        +--------+--------+--------+--------+--------+--------+--------+--------+
 *        |      byte 3     |      byte 2     |      byte 1     |      byte 0     |
 *
 *  So a byte holds columns n and n + 1 (n even) of one row, low nibble first, exactly as a row-major matrix of nibbles does:
 *  packing only moves bytes. And the sixteen words {w &amp; 0x000f000f, w &amp; 0x00f000f0, (w &gt;&gt; 8) &amp; ...} of four lanes are the
 *  instruction's four registers, in its own order.
 * </pre>
 *
 * <p>Of {@linkplain WeightForm.Code#INT8 8-bit codes} a block has 4096 bytes, the same coordinates and a byte for a code:
 *
 * <pre>
 *   codes   [strip][block][sub-block s: 4][piece: 2][lane 4 r + t: 32][word: 4] of 32 bits
 *   Word 2 j + p of a lane's eight (4 of each piece) holds row 16 j + 8 p + 2 t + e, column 8 r + 2 s + h in byte 2 e + h:
 *   {w &amp; 0x00ff00ff, (w &gt;&gt; 8) &amp; 0x00ff00ff} are the registers of h = 0 and 1.
 * </pre>
 *
 * <p>{@linkplain WeightForm.Code#E2M1 4-bit floats} lie in the words of 4-bit integers, each half with its bits in the order that
 * FloatCodes draws.
 *
 * <p>Scales, and zero points or float zeros if there are any, are {@code [strip][scale row][64]} in natural column order. Rows and
 * columns beyond k and n hold zero bits.
 *
 * <p>Of {@linkplain WeightForm.Sparsity#TWO_OF_FOUR sparse} weights a block is 128 rows: the 64 x 64 codes of the two rows that are stored
 * of every four, rows 2 i and 2 i + 1 of those being of the quad of rows 4 i to 4 i + 3, and 1024 bytes behind them that say which two.
 * The stored weights are the operand of {@code mma.sp.m16n8k32}, whose metadata a lane loads 8 bytes at a time, those of a sub-block:
 *
 * <pre>
 *   metadata   [sub-block s: 4][lane 4 r + t: 32][half of the block, 64 rows: 2][h: 2] of 16 bits
 *   Quad q (0..3) of the rows 16 t .. 16 t + 15 of a half, column 8 r + 2 s + h, is nibble q of that: first | second &lt;&lt; 2
 * </pre>
 *
 * Rows and columns beyond k and n hold codes of zero weights and places 0 and 1.
 *
 * @param k rows (in-features), at least 1
 * @param n columns (out-features), at least 1
 * @param form what a weight is
 */
public record StripedLayout(int k, int n, WeightForm form) {
    /** Columns of a strip, and rows and columns of a block. */
    public static final int BLOCK = 64;
    /** Bytes of the 64 x 64 codes of a block, of 4 bits each; see {@link WeightForm#blockBytes}. */
    public static final int BLOCK_BYTES = BLOCK * BLOCK / 2;
    /** Sub-blocks of a block; each is one 16-byte load of every lane of a warp, of 8-bit codes two. */
    public static final int SUB_BLOCKS = 4;
    /** Bytes that the lanes of a warp load at a time, 16 each: one sub-block of 4-bit codes. */
    public static final int PIECE_BYTES = BLOCK_BYTES / SUB_BLOCKS;
    /** Words of a lane in a piece. */
    private static final int PIECE_WORDS = 4;
    /** Bytes of one lane's share of a sub-block. */
    public static final int LANE_BYTES = 16;
    /** The group size that means one group per column. */
    public static final int PER_COLUMN = WeightForm.PER_COLUMN;

    private static final int LARGEST_EXTENT = Integer.MAX_VALUE / BLOCK * BLOCK;

    /** Rows that share the places of their stored weights. */
    public static final int QUAD = 4;
    /** How many of a quad are stored. */
    public static final int STORED = 2;

    /** Bytes of one lane's share of the metadata of a sub-block. */
    private static final int LANE_METADATA_BYTES = 8;

    /** Checks the shape. */
    public StripedLayout {
        checkExtent("k", k);
        checkExtent("n", n);
        form.checkColumns(n);
    }

    /** Of symmetric 4-bit integers, all stored, in columns as they are. */
    public StripedLayout(int k, int n, int groupSize) {
        this(k, n, WeightForm.int4(groupSize, false));
    }

    /** The same form in another shape. */
    public StripedLayout withShape(int otherK, int otherN) {
        return new StripedLayout(otherK, otherN, form);
    }

    /** The same shape of other weights. */
    public StripedLayout withForm(WeightForm other) {
        return new StripedLayout(k, n, other);
    }

    /** Rows that share a scale, as asked for: 32, 64, 128, 256 or -1 for one group per column. */
    public int groupSize() {
        return form.groupSize();
    }

    private static void checkExtent(String name, int extent) {
        if (extent < 1 || extent > LARGEST_EXTENT) {
            throw new IllegalArgumentException(name + " " + extent + " is outside 1.." + LARGEST_EXTENT);
        }
    }

    /** Whether one group spans all rows: asked for, or the group size is not below k. */
    public boolean isOneGroup() {
        return groupSize() == PER_COLUMN || groupSize() >= k;
    }

    /** Rows that share a scale: the group size, or k if one group spans all rows. Row i belongs to group i / rowsPerGroup. */
    public int rowsPerGroup() {
        return isOneGroup() ? k : groupSize();
    }

    /** Groups along k; the last may be partial. */
    public int groups() {
        return (k - 1) / rowsPerGroup() + 1;
    }

    /** Strips of 64 columns. */
    public int strips() {
        return (n - 1) / BLOCK + 1;
    }

    /** Blocks of a strip. */
    public int kBlocks() {
        return (k - 1) / form.blockRows() + 1;
    }

    /** k rounded up to whole blocks. */
    public int paddedK() {
        return kBlocks() * form.blockRows();
    }

    /** n rounded up to whole strips. */
    public int paddedN() {
        return strips() * BLOCK;
    }

    /** Rows of scales in one block: 1 (or one for several blocks), 2 or 4. */
    public int scaleRowsPerBlock() {
        return isOneGroup() ? 1 : form.scaleRowsPerBlock();
    }

    /** Rows of scales stored per strip: the groups, and where several lie in a block always as many per block. */
    public int scaleRows() {
        return scaleRowsPerBlock() == 1 ? groups() : kBlocks() * scaleRowsPerBlock();
    }

    /** Bytes of the blocks of one strip. */
    public long stripCodeBytes() {
        return (long) kBlocks() * form.blockBytes();
    }

    /** Bytes of all blocks. */
    public long codeBytes() {
        return strips() * stripCodeBytes();
    }

    /** Bytes of the 16-bit scales (or zero points, or float zeros) of one strip. */
    public long stripScaleBytes() {
        return (long) scaleRows() * BLOCK * Short.BYTES;
    }

    /** Bytes of all 16-bit scales, and of all zero points or float zeros. */
    public long scaleBytes() {
        return strips() * stripScaleBytes();
    }

    /** Byte offset of a block of a strip. */
    public long blockOffset(int strip, int block) {
        return strip * stripCodeBytes() + (long) block * form.blockBytes();
    }

    /** Bytes of the codes of one of a block's four sub-blocks. */
    public int subBlockBytes() {
        return form.blockCodeBytes() / SUB_BLOCKS;
    }

    /**
     * Byte offset of the code of (row, column), which may lie in the padding. Where in the byte is {@link #codeShift}; of {@linkplain
     * WeightForm.Code#E2M1 4-bit floats} the offset of the 16 bits that hold its bits and those of three others, see {@link #code}.
     *
     * @param row of the stored ones: of sparse weights the first of quad i is 2 i
     */
    public long byteOffset(int row, int column) {
        int r = column % BLOCK / 8;
        int s = column % 8 / 2;
        int h = column % 2;
        int j = row % BLOCK / 16;
        int p = row % 16 / 8;
        int t = row % 8 / 2;
        int e = row % 2;
        long atLane = blockOffset(column / BLOCK, row / BLOCK) + s * subBlockBytes() + (4 * r + t) * LANE_BYTES;
        if (form.code().perByte() == 2) {
            return atLane + 4 * j + 2 * e + (form.code() == WeightForm.Code.E2M1 ? 0 : p);
        }
        int word = 2 * j + p;
        return atLane + word / PIECE_WORDS * PIECE_BYTES + 4 * (word % PIECE_WORDS) + 2 * e + h;
    }

    /** The lowest bit of a column's code in its byte: of 4-bit codes 0 in even columns, 4 in odd ones. */
    public int codeShift(int column) {
        return form.code().bits() * (column % form.code().perByte());
    }

    /**
     * Byte offset of the places of a quad of rows in a column, first | second &lt;&lt; 2, of sparse weights: bits {@link #placesShift} and the
     * three above.
     */
    public long placesOffset(int quad, int column) {
        int quads = form.blockRows() / QUAD;
        return blockOffset(column / BLOCK, quad / quads) + form.blockCodeBytes() + placesInBlock(quad % quads, column % BLOCK);
    }

    /** The same within the metadata of a block. */
    static int placesInBlock(int quad, int column) {
        int r = column / 8;
        int s = column % 8 / 2;
        int h = column % 2;
        int half = quad / (BLOCK / QUAD);
        int t = quad % (BLOCK / QUAD) / 4;
        int q = quad % 4;
        int lane = 4 * r + t;
        return (32 * s + lane) * LANE_METADATA_BYTES + 4 * half + 2 * h + q / 2;
    }

    /** Where in its byte the places of a quad begin. */
    public static int placesShift(int quad) {
        return 4 * (quad % 2);
    }

    /**
     * The code of (row, column), which may lie in the padding.
     *
     * @param codes of a packed matrix
     * @param row of the stored ones
     */
    public int code(NativeMemory codes, int row, int column) {
        long offset = byteOffset(row, column);
        if (form.code() == WeightForm.Code.E2M1) {
            int p = row % 16 / 8;
            return (int) FloatCodes.toNibbles(codes.getShort(offset)) >>> 8 * p + codeShift(column) & form.code().max();
        }
        return codes.getByte(offset) >>> codeShift(column) & form.code().max();
    }

    /** The stored row, possibly of the padding, whose codes the byte at {@code byteOffset} of the blocks holds. */
    public int rowOfByte(long byteOffset) {
        int inBlock = (int) (byteOffset % form.blockBytes());
        int block = (int) (byteOffset / form.blockBytes() % kBlocks());
        int t = inBlock % PIECE_BYTES / LANE_BYTES % 4;
        int inLane = inBlock % LANE_BYTES;
        int e = inLane % 4 / 2;
        int j = inLane / 4;
        int p = form.code() == WeightForm.Code.E2M1 ? 0 : inLane % 2;
        if (form.code().perByte() == 1) {
            int word = inBlock % subBlockBytes() / PIECE_BYTES * PIECE_WORDS + inLane / 4;
            j = word / 2;
            p = word % 2;
        }
        return block * BLOCK + 16 * j + 8 * p + 2 * t + e;
    }

    /**
     * The column, possibly of the padding, of the code in that byte; of 4-bit codes the even column of its low nibble, whose high
     * nibble is the column after it. (Of 4-bit floats row and column of the first of the four codes of an even byte and the next.)
     */
    public int columnOfByte(long byteOffset) {
        int inBlock = (int) (byteOffset % form.blockBytes());
        int strip = (int) (byteOffset / stripCodeBytes());
        int s = inBlock / subBlockBytes();
        int r = inBlock % PIECE_BYTES / LANE_BYTES / 4;
        int h = form.code().perByte() == 1 ? inBlock % 2 : 0;
        return strip * BLOCK + 8 * r + 2 * s + h;
    }

    /** Byte offset of the 16-bit scale (and zero point or float zero) of a scale row and column. */
    public long scaleOffset(int scaleRow, int column) {
        return column / BLOCK * stripScaleBytes() + ((long) scaleRow * BLOCK + column % BLOCK) * Short.BYTES;
    }

    /** {@code k 4096, n 14336, group size 128}, for messages. */
    @Override
    public String toString() {
        return "k " + k + ", n " + n + ", group size " + groupSize();
    }
}
