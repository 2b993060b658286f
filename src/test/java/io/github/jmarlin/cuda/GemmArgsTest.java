package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.KernelImageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The Java half of the argument struct against the CUDA half, read from the source. */
@Tag("source-tree")
class GemmArgsTest {
    private static final Path CUDA = Path.of("src", "main", "cuda");
    private static final Map<String, Integer> BYTES = Map.of("u64", 8, "s64", 8, "s32", 4, "u32", 4);

    /** A field as C lays it out. */
    private record Field(String name, int offset) {}

    @Test
    void offsetsAreThoseOfTheStruct() throws Exception {
        List<Field> fields = new ArrayList<>();
        int end = layOut("GemmArgs", "", 0, fields);
        assertEquals(37, fields.size(), fields.toString());
        for (Field field : fields) {
            String constant = field.name.replace('.', '_').toUpperCase(Locale.ROOT);
            int offset = field.name.startsWith("epilogue.")
                    ? GemmArgs.EPILOGUE + EpilogueArgs.class.getDeclaredField(constant.substring("EPILOGUE_".length())).getInt(null)
                    : GemmArgs.class.getDeclaredField(constant).getInt(null);
            assertEquals(field.offset, offset, field.name);
        }
        assertEquals(end, GemmArgs.SIZE);
        assertArrayEquals(expectedAbi(fields), GemmArgs.abi());
    }

    /** Adds the fields of a struct that begins at an offset. Returns where it ends; structs here are aligned to 8 bytes. */
    private static int layOut(String struct, String prefix, int begin, List<Field> fields) throws IOException {
        Matcher body = Pattern.compile("struct " + struct + " \\{(.*?)\n};", Pattern.DOTALL)
                .matcher(Files.readString(CUDA.resolve("gemm_args.cuh")));
        assertTrue(body.find(), "struct " + struct);
        int end = begin;
        for (Matcher field = Pattern.compile("(?m)^\\s+(\\w+) (\\w+);").matcher(body.group(1)); field.find();) {
            int bytes = BYTES.getOrDefault(field.group(1), 8);
            end = (end + bytes - 1) / bytes * bytes;
            if (List.of("Prefetch", "EpilogueArgs").contains(field.group(1))) {
                end = layOut(field.group(1), prefix + field.group(2) + ".", end, fields);
            } else {
                assertTrue(BYTES.containsKey(field.group(1)), field.group());
                fields.add(new Field(prefix + field.group(2), end));
                end += bytes;
            }
        }
        return (end + 7) / 8 * 8;
    }

    @Test
    void anImageWithOtherOffsetsIsRefused() {
        KernelModule.checkAbi("good", "jmarlin_striped_abi", GemmArgs.abi(), GemmArgs.abi());
        int[] other = GemmArgs.abi();
        other[7] += 8;
        for (int[] found : new int[][] {other, {}, {2}}) {
            String message = assertThrows(KernelImageException.class, () -> KernelModule.checkAbi("folder/x.cubin",
                    "jmarlin_striped_abi", found, GemmArgs.abi())).getMessage();
            assertTrue(message.contains("folder/x.cubin") && message.contains(Arrays.toString(found))
                    && message.contains(Arrays.toString(GemmArgs.abi())), message);
        }
    }

    /** In the order in which the image lists them. */
    private static int[] expectedAbi(List<Field> fields) throws IOException {
        String source = Files.readString(CUDA.resolve("gemm_args.cuh"));
        Matcher list = Pattern.compile("#define JMARLIN_GEMM_ABI[\\s\\\\]*\\{(\\d+), sizeof\\(::jmarlin::GemmArgs\\),(.*?)\\}",
                Pattern.DOTALL).matcher(source);
        assertTrue(list.find(), "JMARLIN_GEMM_ABI");
        List<Integer> abi = new ArrayList<>(List.of(Integer.parseInt(list.group(1)), GemmArgs.SIZE));
        for (Matcher entry = Pattern.compile("offsetof\\(::jmarlin::GemmArgs, ([\\w.]+)\\)").matcher(list.group(2)); entry.find();) {
            String name = entry.group(1);
            abi.add(fields.stream().filter(field -> field.name.equals(name)).findFirst().orElseThrow().offset);
        }
        return abi.stream().mapToInt(Integer::intValue).toArray();
    }
}
