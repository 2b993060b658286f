package io.github.jmarlin.checkpoint.container;

import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Every element type of the safetensors format, under the name it has in a header. */
public enum TensorType {
    BOOL(8), U8(8), I8(8), I16(16), U16(16), I32(32), U32(32), I64(64), U64(64),
    F16(16), BF16(16), F32(32), F64(64), C64(64),
    F8_E4M3(8), F8_E5M2(8), F8_E8M0(8), F8_E4M3FNUZ(8), F8_E5M2FNUZ(8),
    F4(4), F6_E2M3(6), F6_E3M2(6);

    private static final Map<String, TensorType> BY_NAME =
            Stream.of(values()).collect(Collectors.toUnmodifiableMap(Enum::name, Function.identity()));

    private final int bits;

    TensorType(int bits) {
        this.bits = bits;
    }

    /** Width of one element in bits; below 8 elements are packed without gaps. */
    public int bits() {
        return bits;
    }

    /** The type of that name, or null if the format has none. */
    static TensorType named(String name) {
        return BY_NAME.get(name);
    }
}
