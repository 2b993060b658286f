package io.github.jmarlin.build;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** Exit status of a finished command, with stdout and stderr together. */
record CommandResult(int status, String output) {

    /** Runs a command to its end, without input; {@code folder} null is the current one. */
    static CommandResult of(List<String> command, Path folder) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).directory(folder == null ? null : folder.toFile())
                .redirectErrorStream(true).start();
        try {
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new CommandResult(process.waitFor(), output);
        } finally {
            process.destroy();
        }
    }

    String firstLine() {
        return output.lines().filter(line -> !line.isBlank()).findFirst().orElse("status " + status);
    }
}
