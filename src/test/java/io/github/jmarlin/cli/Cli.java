package io.github.jmarlin.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import picocli.CommandLine;

/**
 * One run of the command line inside this JVM.
 *
 * @param status the exit code
 * @param out what went to stdout
 * @param err what went to stderr
 */
public record Cli(int status, String out, String err) {
    public static Cli run(String... args) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine commands = Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
        return new Cli(commands.execute(args), out.toString(), err.toString());
    }
}
