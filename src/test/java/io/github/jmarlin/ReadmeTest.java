package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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
    private static final List<String> IMPORTS = List.of("io.github.jmarlin.*", "io.github.jmarlin.quantize.*", "io.github.jmarlin.cuda.*",
            "jcuda.driver.*");

    @TempDir
    Path classes;

    @Test
    void theFirstBlockIsTheDemoAndTheTests() throws Exception {
        MatchResult first = blocks().get(0);
        assertEquals("", first.group(1));
        assertEquals(List.of("mvn -q compile exec:java", "mvn test"), first.group(2).lines().toList());
    }

    @Test
    void theJavaCompiles() throws Exception {
        List<String> examples = blocks().stream().filter(block -> block.group(1).equals("java")).map(block -> block.group(2)).toList();
        assertEquals(2, examples.size());
        assertEquals("", compile("Example1", "    void example() throws Exception {\n" + examples.get(0) + "    }\n"));
        assertEquals("", compile("Example2", examples.get(1)));
        assertTrue(examples.get(0).lines().count() <= 10, "the first example has ten lines at most");
    }

    private static List<MatchResult> blocks() throws Exception {
        String readme = Files.readString(Path.of(System.getProperty("basedir", ""), "README.md"));
        return BLOCK.matcher(readme).results().toList();
    }

    /** Returns what the compiler says. */
    private String compile(String name, String members) {
        StringBuilder source = new StringBuilder();
        IMPORTS.forEach(imported -> source.append("import ").append(imported).append(";\n"));
        source.append("class ").append(name).append(" {\n").append(members).append("}\n");
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
