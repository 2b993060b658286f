package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class PtxTextTest {
    private static final String LINED = """
            .version 9.0
            .target sm_80
            .visible .entry f()
            {
            \t.loc\t1 10 1
            \t.pragma "used_bytes_mask 15";
            \tld.param.v2.u32 \t{%r1, %r2}, [f_param_0];
            \t.loc\t2 21 7, function_name $L__info_string0, inlined_at 1 9 2
            $L__BB0_1:
            \t.pragma "nounroll";
            \tret;
            }
            \t.file\t1 "/home/me/f.cu"
            \t.section\t.debug_str
            \t{
            $L__info_string0:
            .b8 95,90,0

            \t}
            """;
    private static final String PLAIN = """
            .version 9.0
            .target sm_80
            .visible .entry f()
            {
            \t.pragma "used_bytes_mask 15";
            \tld.param.v2.u32 \t{%r1, %r2}, [f_param_0];
            $L__BB0_1:
            \t.pragma "nounroll";
            \tret;
            }

            """;

    @Test
    void linesAndTheirNamesAreTakenOutAndNothingElse() {
        assertEquals(PLAIN, PtxText.withoutLines(LINED));
        assertEquals(PLAIN, PtxText.withoutLines(PLAIN));
        assertThrows(KernelBuildException.class, () -> PtxText.withoutLines(LINED.replace("\n\t}\n", "\n")));
    }

    @Test
    void anOlderVersionLacksItsNewerHints() {
        String older = PLAIN.replace("9.0", "7.4").replace("\t.pragma \"used_bytes_mask 15\";\n", "");
        assertEquals(older, PtxText.lowered(PLAIN, 74));
        assertEquals(older, PtxText.withoutLines(PtxText.lowered(LINED, 74)));
        assertEquals(older.replace("7.4", "8.0"), PtxText.lowered(PLAIN, 80));
    }

    @Test
    void aTextThatIsOldEnoughStays() {
        String old = PLAIN.replace("9.0", "8.0");
        assertEquals(old, PtxText.lowered(old, 80));
        assertEquals(old, PtxText.lowered(old, 85));
        assertThrows(KernelBuildException.class, () -> PtxText.lowered("no ptx", 80));
    }
}
