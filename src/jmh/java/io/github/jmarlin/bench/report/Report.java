package io.github.jmarlin.bench.report;

import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.ResultsFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Results as files for people and programs: JSON, CSV, charts as SVG and PNG, and one HTML page. */
public final class Report {
    /** Name of the page in a results folder. */
    public static final String PAGE = "index.html";
    /** Name of the folder of charts in a results folder. */
    public static final String CHARTS = "charts";

    private Report() {
    }

    /**
     * Writes everything into a folder.
     *
     * @return a line for the user about the charts: how many, or why none
     */
    public static String write(Results results, Path folder) throws IOException {
        ResultsFiles.write(results, folder);
        List<String> svgs = new ArrayList<>();
        String problem = results.run().standIn() ? "No charts: the device is a stand-in."
                : draw(results, folder.resolve(CHARTS), svgs);
        ResultsFiles.replace(folder.resolve(PAGE), HtmlPage.of(results, svgs, problem));
        return problem == null ? svgs.size() + " charts in " + folder.resolve(CHARTS) : problem;
    }

    /**
     * Draws all charts; returns why that failed, or null. Without fonts or with a trimmed JVM there are numbers but no
     * pictures.
     */
    private static String draw(Results results, Path folder, List<String> svgs) throws IOException {
        System.setProperty("java.awt.headless", "true");
        Files.createDirectories(folder);
        try {
            for (Charts.Plot plot : Charts.of(results)) {
                svgs.add(Pictures.write(plot, folder));
            }
            return null;
        } catch (LinkageError | InternalError | RuntimeException e) {
            svgs.clear();
            return "No charts: this machine cannot draw text (" + e + "). `jmarlin bench --report FOLDER` draws them elsewhere.";
        }
    }
}
