package io.github.jmarlin.cli;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.FileProblem;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code jmarlin <command>}; exit codes 0, 1 (failed, or an error bound is broken), 2 (bad options) and what a command says. */
@Command(name = "jmarlin", mixinStandardHelpOptions = true, versionProvider = Main.Version.class,
        description = "4-bit weight matrix multiplication on the GPU or the CPU.",
        subcommands = {DemoCommand.class, InfoCommand.class, PackCommand.class, InspectCommand.class, VerifyCommand.class,
            CheckCommand.class, BenchCommand.class, TuneCommand.class, GenerateCommand.class, CalibrateCommand.class},
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {"0:done", "1:failed, or an error bound is broken", "2:bad options"})
public final class Main {
    /** Exits with the command's code; a plain return on 0 lets a program that called this go on. */
    public static void main(String[] args) {
        int status = commandLine().execute(args);
        if (status != 0) {
            System.exit(status);
        }
    }

    /** The commands without the exit, for tests. */
    static CommandLine commandLine() {
        return new CommandLine(new Main())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler((failure, args) -> {
                    CommandLine command = failure.getCommandLine();
                    String name = command.getCommandSpec().qualifiedName();
                    PrintWriter err = command.getErr();
                    err.println("`" + name + " --help` lists the options");
                    err.println(name + ": " + failure.getMessage() + (command.getSubcommands().isEmpty() ? ""
                            : "; commands: " + String.join(", ", command.getSubcommands().keySet())));
                    return command.getCommandSpec().exitCodeOnInvalidInput();
                })
                .setExecutionExceptionHandler((failure, command, parsed) -> {
                    Exception known = failure instanceof UncheckedIOException ? ((UncheckedIOException) failure).getCause() : failure;
                    if (!(known instanceof JMarlinException || known instanceof IOException || known instanceof IllegalArgumentException)) {
                        throw failure;
                    }
                    PrintWriter err = command.getErr();
                    err.println("jmarlin " + command.getCommandName() + ": " + (known instanceof IOException
                            ? FileProblem.message((IOException) known) : known.getMessage()));
                    return CommandLine.ExitCode.SOFTWARE;
                });
    }

    /** The version of the jar; a build from classes has none. */
    static final class Version implements CommandLine.IVersionProvider {
        @Override
        public String[] getVersion() {
            String version = Main.class.getPackage().getImplementationVersion();
            return new String[] {"jmarlin " + (version == null ? "(development build)" : version)};
        }
    }
}
