package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.jmarlin.build.Targets.Phase;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class TargetsTest {
    private static final Set<String> ALL = new LinkedHashSet<>(Targets.ALL);
    private static final Set<String> PTX = Set.of("compute_80", "compute_90a");

    @Test
    void withoutAGpuOnlyTestsAndPackagesHaveKernels() {
        assertEquals(Set.of(), Targets.of(Phase.COMPILE, false, "auto", List.of()));
        assertEquals(PTX, Targets.of(Phase.TEST, false, "auto", List.of()));
        assertEquals(PTX, Targets.of(Phase.PACKAGE, false, "auto", List.of()));
    }

    @Test
    void withGpusTheirMachineCodeAndPtx() {
        for (Phase phase : Phase.values()) {
            assertEquals(Set.of("sm_86", "sm_90a", "compute_80", "compute_90a"), Targets.of(phase, false, "auto", List.of(86, 90, 86)));
        }
    }

    @Test
    void whatMustHaveEveryKernelHasAll() {
        for (Phase phase : Phase.values()) {
            assertEquals(ALL, Targets.of(phase, true, "auto", List.of()));
        }
    }

    @Test
    void whoAsksGetsThatAndNothingElse() {
        for (boolean required : new boolean[] {true, false}) {
            assertEquals(Set.of("sm_89"), Targets.of(Phase.PACKAGE, required, "sm_89", List.of(80)));
            assertEquals(PTX, Targets.of(Phase.COMPILE, required, "ptx", List.of(80)));
            assertEquals(Set.of("sm_80", "compute_90a"), Targets.of(Phase.COMPILE, required, "native, compute_90a", List.of(80)));
            assertEquals(Set.of(), Targets.of(Phase.TEST, required, "native", List.of()));
            assertEquals(ALL, Targets.of(Phase.COMPILE, required, "all", List.of()));
        }
        assertEquals("-Djmarlin.targets=ptx,sm_8: sm_8 must be one of auto, all, native, ptx, sm_80, sm_86, sm_89, sm_90a, sm_100, sm_120, "
                + "compute_80, compute_90a", assertThrows(KernelBuildException.class,
                        () -> Targets.of(Phase.TEST, false, "ptx,sm_8", List.of())).getMessage());
    }

    /** As the driver finds it: the newest that is not newer than the GPU, of the same major version. */
    @Test
    void nativeIsTheNewestThatRuns() {
        int[] gpus = {75, 80, 86, 87, 89, 90, 100, 103, 120, 121, 130};
        String[] targets = {null, "sm_80", "sm_86", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_100", "sm_120", "sm_120", null};
        for (int i = 0; i < gpus.length; i++) {
            assertEquals(targets[i] == null ? Set.of() : Set.of(targets[i]), Targets.of(Phase.TEST, false, "native", List.of(gpus[i])),
                    "compute capability " + gpus[i]);
        }
    }

    @Test
    void gpusAreReadLineByLine() {
        assertEquals(List.of(86, 90, 120), Targets.capabilities("8.6\n9.0 \n12.0\n"));
        assertEquals(List.of(), Targets.capabilities("NVIDIA-SMI has failed because it couldn't communicate with driver 535.54\n"));
    }
}
