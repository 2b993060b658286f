package io.github.jmarlin.cli;

import io.github.jmarlin.DataType;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The value of an option that names what kernels compute with: fp16 or bf16, and no other type of the library. */
final class ComputeType implements ITypeConverter<DataType> {
    @Override
    public DataType convert(String text) {
        return switch (text.toLowerCase(Locale.ROOT)) {
            case "fp16" -> DataType.FP16;
            case "bf16" -> DataType.BF16;
            default -> throw new TypeConversionException("must be fp16 or bf16, not " + text);
        };
    }
}
