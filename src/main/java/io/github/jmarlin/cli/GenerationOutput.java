package io.github.jmarlin.cli;

import io.github.jmarlin.llama.Generation;
import io.github.jmarlin.llama.TextStream;
import io.github.jmarlin.llama.Tokenizer;
import java.io.PrintWriter;
import java.util.List;
import java.util.stream.Collectors;

/** New tokens on stdout: those of one prompt as they come, those of several a line each when all are there. */
final class GenerationOutput {
    private final PrintWriter out;
    private final Tokenizer tokenizer;
    private final boolean lines;
    private List<int[]> prompts;
    /** Of the only prompt; null with lines, or without a tokenizer. */
    private TextStream text;
    private boolean first;

    /**
     * Writes to {@code out}.
     *
     * @param tokenizer null for ids
     * @param lines a line for each prompt
     */
    GenerationOutput(PrintWriter out, Tokenizer tokenizer, boolean lines) {
        this.out = out;
        this.tokenizer = tokenizer;
        this.lines = lines;
    }

    void begin(List<int[]> next) {
        prompts = next;
        first = true;
        text = lines || tokenizer == null ? null : new TextStream(tokenizer::decode, next.get(0));
    }

    void token(int prompt, int token) {
        if (lines) {
            return;
        }
        if (text != null) {
            out.print(text.add(token));
        } else {
            out.print((first ? "" : " ") + token);
        }
        first = false;
        out.flush();
    }

    void end(Generation.Result result) {
        if (!lines) {
            out.println(text == null ? "" : text.finish());
        } else {
            for (int i = 0; i < prompts.size(); i++) {
                out.println(tokenizer == null ? ids(result.tokens().get(i)) : oneLine(prompts.get(i), result.tokens().get(i)));
            }
        }
        out.flush();
    }

    private static String ids(List<Integer> tokens) {
        return tokens.stream().map(String::valueOf).collect(Collectors.joining(" "));
    }

    private String oneLine(int[] prompt, List<Integer> tokens) {
        TextStream stream = new TextStream(tokenizer::decode, prompt);
        StringBuilder line = new StringBuilder();
        tokens.forEach(token -> line.append(stream.add(token)));
        return line.append(stream.finish()).toString().replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
    }
}
