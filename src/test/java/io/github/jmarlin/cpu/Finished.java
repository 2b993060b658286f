package io.github.jmarlin.cpu;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** How a program ended and what it printed, to both outputs. */
record Finished(int status, String output) {
    /** Runs a program; status 127 if there is none of that name. */
    static Finished of(List<String> command) throws InterruptedException {
        return of(new ProcessBuilder(command));
    }

    static Finished of(ProcessBuilder builder) throws InterruptedException {
        try {
            Process process = builder.redirectErrorStream(true).start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Finished(process.waitFor(), output);
        } catch (IOException e) {
            return new Finished(127, e.getMessage());
        }
    }

    /** The command of a JVM like this one. */
    static List<String> java(Class<?> program, String classPath, String... options) {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", classPath, program.getName()));
        return command;
    }
}
