package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import java.io.StringWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the README shows works: its commands are two lines of Maven, its Java compiles against this version. */
@Tag("source-tree")
class ReadmeTest {
    private static final Pattern BLOCK = Pattern.compile("(?ms)^```(\\w*)\\n(.*?)^```$");
    @TempDir
    Path classes;

    @Test
    void theFirstBlockIsTheDemoAndTheTests() throws Exception {
        MatchResult first = blocks().get(0);
        assertEquals("", first.group(1));
        assertEquals(List.of("mvn -q compile exec:java", "mvn test"), first.group(2).lines().toList());
    }

    /** Each snippet as it stands, with the imports that it shows and no others. */
    @Test
    void theJavaCompiles() throws Exception {
        List<String> examples = blocks("java");
        assertTrue(examples.size() >= 4, examples.toString());
        for (int i = 0; i < examples.size(); i++) {
            assertEquals("", compile("Example" + i, examples.get(i)));
        }
        long statements = examples.get(0).lines().filter(line -> !line.isBlank() && !line.startsWith("import ")).count();
        assertTrue(statements <= 10, "the first example has ten lines at most");
    }

    /** So does the tour for an engine's author. */
    @Test
    void theJavaOfTheEnginesTourCompiles() throws Exception {
        List<String> examples = blocksOf("docs/engines.md").stream().filter(block -> block.group(1).equals("java"))
                .map(block -> block.group(2)).toList();
        assertTrue(examples.size() >= 6, examples.size() + " examples");
        for (int i = 0; i < examples.size(); i++) {
            assertEquals("", compile("Engine" + i, examples.get(i)));
        }
    }

    /** What the README shows to people who come with a checkpoint gives the right numbers, packed or not. */
    @Test
    void theSnippetsForCheckpointsDoWhatTheySay() throws Exception {
        List<String> examples = blocks("java");
        int multiplying = indexOf(examples, "float[] multiply(");
        int packing = indexOf(examples, "void pack(");
        assertEquals("", compile("Multiplying", examples.get(multiplying)));
        assertEquals("", compile("Packing", examples.get(packing)));
        try (URLClassLoader loader = new URLClassLoader(new URL[] {classes.toUri().toURL()}, ReadmeTest.class.getClassLoader())) {
            Path model = Fixtures.folder("gptq_v1_desc_act_g32");
            Path packed = classes.resolve("packed");
            call(loader.loadClass("Packing"), "pack", model, packed);
            SafetensorsFile expected = SafetensorsFile.open(model.resolve("expected.safetensors"));
            float[] input = Floats.read(expected.tensor("input"), 0, 3 * 256);
            float[] output = Floats.read(expected.tensor("output"), 0, 3 * 192);
            for (Path folder : List.of(model, packed)) {
                float[] found = (float[]) call(loader.loadClass("Multiplying"), "multiply", folder, "model.layers.0.self_attn.q_proj",
                        input, 3);
                assertEquals(output.length, found.length);
                for (int i = 0; i < output.length; i++) {
                    assertEquals(output[i], found[i], 2e-3f, folder + ", element " + i);
                }
            }
        }
    }

    private static Object call(Class<?> type, String name, Object... arguments) throws Exception {
        Method method = Arrays.stream(type.getDeclaredMethods()).filter(found -> found.getName().equals(name)).findFirst().orElseThrow();
        method.setAccessible(true);
        return method.invoke(null, arguments);
    }

    private static int indexOf(List<String> examples, String part) {
        for (int i = 0; i < examples.size(); i++) {
            if (examples.get(i).contains(part)) {
                return i;
            }
        }
        throw new AssertionError("no example with " + part);
    }

    @Test
    void theMavenCoordinatesAreThePoms() throws Exception {
        String pom = Files.readString(Path.of(System.getProperty("basedir", ""), "pom.xml"));
        List<String> dependencies = blocks("xml");
        assertEquals(1, dependencies.size());
        for (String element : new String[] {"groupId", "artifactId", "version"}) {
            Pattern pattern = Pattern.compile("<" + element + ">(.*?)</" + element + ">");
            String expected = pattern.matcher(pom).results().findFirst().orElseThrow().group(1);
            assertEquals(expected, pattern.matcher(dependencies.get(0)).results().findFirst().orElseThrow().group(1), element);
        }
    }

    /** The benchmarks and contenders that the README's JMH commands name exist. */
    @Test
    void theJmhCommandsNameWhatThereIs() throws Exception {
        String commands = blocks("sh").stream().filter(block -> block.contains("org.openjdk.jmh.Main")).findFirst().orElseThrow();
        for (MatchResult match : Pattern.compile("jmh\\.Main (\\w+Benchmark)").matcher(commands).results().toList()) {
            assertTrue(Class.forName("io.github.jmarlin.bench." + match.group(1)) != null);
        }
        List<String> contenders = new ArrayList<>();
        for (Field field : Contenders.class.getDeclaredFields()) {
            contenders.add(String.valueOf(field.get(null)));
        }
        for (MatchResult match : Pattern.compile("contender=(?:\"(.*?)\"|(\\S+))").matcher(commands).results().toList()) {
            for (String contender : (match.group(1) == null ? match.group(2) : match.group(1)).split(",")) {
                assertTrue(contenders.contains(contender), contender + " in " + contenders);
            }
        }
    }

    private static List<MatchResult> blocks() throws Exception {
        return blocksOf("README.md");
    }

    private static List<MatchResult> blocksOf(String document) throws Exception {
        return BLOCK.matcher(Files.readString(Path.of(System.getProperty("basedir", ""), document))).results().toList();
    }

    private static List<String> blocks(String language) throws Exception {
        return blocks().stream().filter(block -> block.group(1).equals(language)).map(block -> block.group(2)).toList();
    }

    /** Compiles statements as the body of a method, or methods as they are; returns what the compiler says. */
    private String compile(String name, String example) {
        StringBuilder source = new StringBuilder();
        StringBuilder rest = new StringBuilder();
        example.lines().forEach(line -> (line.startsWith("import ") ? source : rest).append(line).append('\n'));
        boolean methods = rest.toString().lines().anyMatch(line -> line.startsWith("static "));
        source.append("class ").append(name).append(" {\n").append(methods ? "" : "void example() throws Exception {\n").append(rest)
                .append(methods ? "" : "}\n").append("}\n");
        JavaFileObject file = new SimpleJavaFileObject(URI.create("string:///" + name + ".java"), JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                return source;
            }
        };
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter messages = new StringWriter();
        List<String> options = new ArrayList<>(List.of("-d", classes.toString(), "-proc:none", "-classpath", System.getProperty("java.class.path")));
        boolean compiled = compiler.getTask(messages, null, null, options, null, List.of(file)).call();
        return compiled ? "" : String.format(Locale.ROOT, "%s%n%s", messages, source);
    }
}
