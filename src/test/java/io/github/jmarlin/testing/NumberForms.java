package io.github.jmarlin.testing;

import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.layout.WeightForm.Code;
import io.github.jmarlin.layout.WeightForm.Offset;
import io.github.jmarlin.layout.WeightForm.ScaleSource;
import java.util.List;
import java.util.stream.Stream;

/** What a weight can be besides a 4-bit integer with an integer zero point or none. */
public final class NumberForms {
    private NumberForms() {
    }

    /** Every kind, in groups of this size as far as it has such. */
    public static Stream<WeightForm> of(int groupSize) {
        List<WeightForm> symmetric = List.of(WeightForm.of(Code.INT8, Offset.MIDDLE, groupSize),
                WeightForm.of(Code.E2M1, Offset.MIDDLE, groupSize),
                WeightForm.of(Code.E2M1, Offset.MIDDLE, groupSize).withScaleSource(ScaleSource.GROUP_AND_COLUMN));
        return groupSize == 16 ? symmetric.stream() : Stream.concat(symmetric.stream(), Stream.of(
                WeightForm.of(Code.INT4, Offset.FLOAT_ZERO, groupSize), WeightForm.of(Code.INT8, Offset.ZERO_POINT, groupSize),
                WeightForm.of(Code.INT8, Offset.FLOAT_ZERO, groupSize)));
    }

    /** Every kind in groups of every size. */
    public static Stream<WeightForm> all() {
        return Stream.of(16, 32, 64, 128, 256, WeightForm.PER_COLUMN).flatMap(NumberForms::of);
    }
}
