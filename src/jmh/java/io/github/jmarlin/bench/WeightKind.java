package io.github.jmarlin.bench;

import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.layout.WeightForm.Code;
import io.github.jmarlin.layout.WeightForm.Offset;
import io.github.jmarlin.layout.WeightForm.Sparsity;

/** What JMarlin's weights are, besides symmetric 4-bit integers: contenders of their own, named after the kernels. */
public enum WeightKind {
    /** 2:4 sparse 4-bit integers; their product is another one, with half of the weights 0. */
    SP24(Code.INT4, Offset.MIDDLE),
    /** 4-bit integers with float zeros. */
    FZ(Code.INT4, Offset.FLOAT_ZERO),
    /** 8-bit integers. */
    I8(Code.INT8, Offset.MIDDLE),
    /** 4-bit floats. */
    FP4(Code.E2M1, Offset.MIDDLE);

    private final Code code;
    private final Offset offset;

    WeightKind(Code code, Offset offset) {
        this.code = code;
        this.offset = offset;
    }

    /** The weights in groups. */
    public WeightForm form(int groupSize) {
        WeightForm form = WeightForm.of(code, offset, groupSize);
        return this == SP24 ? form.withSparsity(Sparsity.TWO_OF_FOUR) : form;
    }
}
