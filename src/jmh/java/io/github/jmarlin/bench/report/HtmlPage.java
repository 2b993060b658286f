package io.github.jmarlin.bench.report;

import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.RunInfo;
import io.github.jmarlin.bench.Session;
import java.util.List;
import java.util.Locale;

/** Everything on one page that needs no other file: provenance, charts and the full table. */
final class HtmlPage {
    private static final String STYLE = """
            body { font: 16px/1.5 system-ui, sans-serif; color: #24292f; background: #fff; max-width: 1180px; margin: 2em auto; padding: 0 1em }
            h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 2em }
            .warning { background: #fff1c2; border-left: 6px solid #d4a72c; padding: .6em 1em }
            .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(520px, 1fr)); gap: 1em }
            .charts svg { width: 100%; height: auto; border: 1px solid #e3e6ea; border-radius: 6px }
            .table { overflow-x: auto }
            table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; white-space: nowrap }
            th, td { padding: 3px 9px; border-bottom: 1px solid #e3e6ea; text-align: right }
            th { position: sticky; top: 0; background: #f6f8fa } .word { text-align: left }
            .WRONG td { color: #b00020; font-weight: bold } .SKIPPED td { color: #8c959f }
            dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 1.2em } dt { color: #57606a } dd { margin: 0 }
            """;

    private HtmlPage() {
    }

    /**
     * The page.
     *
     * @param svgs pictures as SVG documents
     * @param chartNote why there are none, or null
     */
    static String of(Results results, List<String> svgs, String chartNote) {
        StringBuilder page = begin("JMarlin on " + results.run().device());
        if (results.run().standIn()) {
            page.append("<p class=\"warning\">").append(escape(TextTable.caption(results))).append("</p>\n");
        }
        appendProvenance(page, results);
        appendCharts(page, svgs, chartNote);
        appendTable(page, results);
        return page.append("</body>\n</html>\n").toString();
    }

    /**
     * A page of one table.
     *
     * @param caption what the figures mean
     * @param rows as long as the header
     */
    static String of(String title, String caption, List<String> header, List<List<String>> rows, List<String> svgs, String chartNote) {
        StringBuilder page = begin(title).append("<p>").append(escape(caption)).append("</p>\n");
        appendCharts(page, svgs, chartNote);
        page.append("<div class=\"table\"><table>\n<thead>");
        appendRow(page, "th", header);
        page.append("</thead>\n<tbody>\n");
        rows.forEach(row -> appendRow(page, "td", row));
        return page.append("</tbody>\n</table></div>\n</body>\n</html>\n").toString();
    }

    private static void appendRow(StringBuilder page, String tag, List<String> row) {
        page.append("<tr>");
        row.forEach(text -> page.append('<').append(tag).append('>').append(escape(text)).append("</").append(tag).append('>'));
        page.append("</tr>\n");
    }

    private static StringBuilder begin(String title) {
        return new StringBuilder("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>").append(escape(title))
                .append("</title>\n<style>\n").append(STYLE).append("</style>\n</head>\n<body>\n<h1>").append(escape(title))
                .append("</h1>\n");
    }

    private static void appendProvenance(StringBuilder page, Results results) {
        RunInfo run = results.run();
        page.append("<dl>\n");
        term(page, "Driver", run.driver() + (run.cuda() == null ? "" : ", CUDA " + run.cuda()));
        term(page, "Baseline", run.cublas());
        term(page, "Processors", run.multiprocessors() + (run.l2Bytes() > 0 ? ", L2 " + (run.l2Bytes() >> 20) + " MiB" : ""));
        term(page, "Memory", String.format(Locale.ROOT, "%.1f GiB", run.memoryBytes() / (double) (1 << 30)));
        term(page, "Java", run.java() + ", " + run.system());
        term(page, "Commit", run.commit());
        for (Session session : results.sessions()) {
            term(page, session.started(), String.format(Locale.ROOT, "%s (%.0f s)%s", session.commandLine(), session.seconds(),
                    session.unfinished() == 0 ? "" : ", " + session.unfinished() + " cases did not fit the time"));
            term(page, "Clocks before", session.stateBefore());
            term(page, "Clocks after", session.stateAfter());
        }
        page.append("</dl>\n");
    }

    private static void term(StringBuilder page, String name, String value) {
        page.append("<dt>").append(escape(name)).append("</dt><dd>").append(escape(value)).append("</dd>\n");
    }

    private static void appendCharts(StringBuilder page, List<String> svgs, String chartNote) {
        if (chartNote != null) {
            page.append("<p class=\"warning\">").append(escape(chartNote)).append("</p>\n");
        }
        if (!svgs.isEmpty()) {
            page.append("<h2>Charts</h2>\n<div class=\"charts\">\n");
            for (int i = 0; i < svgs.size(); i++) {
                page.append(inline(svgs.get(i), i)).append('\n');
            }
            page.append("</div>\n");
        }
    }

    /** The svg element alone, scalable, with names of its own: several documents become one. */
    private static String inline(String svg, int index) {
        String element = svg.substring(svg.indexOf("<svg"));
        String tag = element.substring(0, element.indexOf('>'));
        String scalable = tag.replaceAll(" (?:width|height|x|y)=\"[^\"]*\"", "") + " role=\"img\"";
        return (scalable + element.substring(tag.length()))
                .replaceAll("id=\"([^\"]+)\"", "id=\"chart" + index + "-$1\"")
                .replaceAll("url\\(#([^)]+)\\)", "url(#chart" + index + "-$1)")
                .replaceAll("href=\"#([^\"]+)\"", "href=\"#chart" + index + "-$1\"");
    }

    private static void appendTable(StringBuilder page, Results results) {
        page.append("<h2>All measurements</h2>\n<p>us: median; speedup: over the baseline of the same row's mode; ideal, on a GPU: if "
                + "both reached the bandwidth of the copy or the baseline's best rate.</p>\n<div class=\"table\"><table>\n<thead><tr>");
        for (int i = 0; i < TextTable.header().size(); i++) {
            cell(page, "th", i, TextTable.header().get(i));
        }
        page.append("</tr></thead>\n<tbody>\n");
        for (Measurement m : results.measurements()) {
            page.append("<tr class=\"").append(m.status()).append('"');
            if (m.note() != null) {
                page.append(" title=\"").append(escape(m.note())).append('"');
            }
            page.append('>');
            List<String> row = TextTable.row(results, m);
            for (int i = 0; i < row.size(); i++) {
                cell(page, "td", i, row.get(i));
            }
            page.append("</tr>\n");
        }
        page.append("</tbody>\n</table></div>\n");
    }

    private static void cell(StringBuilder page, String tag, int column, String text) {
        page.append('<').append(tag).append(TextTable.isWords(column) ? " class=\"word\">" : ">").append(escape(text))
                .append("</").append(tag).append('>');
    }

    private static String escape(String text) {
        return text == null ? "unknown" : text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
