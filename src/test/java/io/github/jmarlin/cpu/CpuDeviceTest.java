package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cpu.InstructionSet.Choice;
import java.util.List;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

class CpuDeviceTest {
    @Test
    void rejectsNoThreadsAndNoExecutor() {
        assertTrue(assertThrows(IllegalArgumentException.class, () -> new CpuDevice(0)).getMessage().contains("threads 0"));
        assertThrows(NullPointerException.class, () -> new CpuDevice(2, null));
        assertEquals("CPU, 3 threads", new CpuDevice(3).name());
        assertEquals("CPU, 2 threads", new CpuDevice(2, Executors.newSingleThreadExecutor()).name());
    }

    @Test
    void takesTheFastestUnlessThePropertyNamesAnother() {
        List<InstructionSet> all = List.of(InstructionSet.VNNI, InstructionSet.AVX2, InstructionSet.JAVA);
        assertEquals(new Choice(InstructionSet.VNNI, ""), InstructionSet.choose("", all, "", ""));
        assertEquals(new Choice(InstructionSet.AVX2, "-Djmarlin.cpu=avx2"), InstructionSet.choose("avx2", all, "", ""));
        assertEquals(new Choice(InstructionSet.JAVA, "-Djmarlin.cpu=Java"), InstructionSet.choose("Java", all, "", ""));
    }

    @Test
    void whatCannotBeHadIsReplacedAndSaid() {
        List<InstructionSet> all = List.of(InstructionSet.VNNI, InstructionSet.AVX2, InstructionSet.JAVA);
        List<InstructionSet> none = List.of(InstructionSet.JAVA);
        assertEquals(new Choice(InstructionSet.VNNI, "-Djmarlin.cpu=neon is ignored: this machine has vnni, avx2, java"),
                InstructionSet.choose("neon", all, "", ""));
        assertEquals(new Choice(InstructionSet.VNNI, "-Djmarlin.cpu=sse is ignored: one of amx, vnni, avx2, neon, java expected"),
                InstructionSet.choose("sse", all, "", ""));
        assertEquals(new Choice(InstructionSet.JAVA, "no temporary folder"), InstructionSet.choose("", none, "no temporary folder", ""));
        assertEquals(new Choice(InstructionSet.JAVA, "-Djmarlin.cpu=vnni is ignored: no temporary folder"),
                InstructionSet.choose("vnni", none, "no temporary folder", ""));
        assertEquals(new Choice(InstructionSet.JAVA, "no kernels for this processor"), InstructionSet.choose("", none, "", ""));
    }

    @Test
    void amxThatCannotBeUsedIsSaid() {
        List<InstructionSet> all = List.of(InstructionSet.VNNI, InstructionSet.AVX2, InstructionSet.JAVA);
        String why = InstructionSet.amxRefusal(3);
        assertEquals("no AMX: the operating system does not let this process use its registers", why);
        assertEquals(new Choice(InstructionSet.VNNI, why), InstructionSet.choose("", all, "", why));
        assertEquals(new Choice(InstructionSet.VNNI, "-Djmarlin.cpu=amx is ignored: " + why), InstructionSet.choose("amx", all, "", why));
        assertEquals(new Choice(InstructionSet.VNNI, "-Djmarlin.cpu=amx is ignored: this machine has vnni, avx2, java"),
                InstructionSet.choose("amx", all, "", InstructionSet.amxRefusal(1)));
    }

    @Test
    void aPlatformWithoutALibraryIsAReason() {
        assertEquals("this build has no native kernels for Windows 11 amd64", NativeCpu.load(NativeCpu.class, "Windows 11", "amd64"));
        assertEquals("native/linux-x86_64/libjmarlin.so", NativeCpu.resource("Linux", "amd64"));
        assertEquals("native/linux-aarch64/libjmarlin.so", NativeCpu.resource("Linux", "aarch64"));
        assertEquals("native/macosx-aarch64/libjmarlin.so", NativeCpu.resource("Mac OS X", "aarch64"));
    }
}
