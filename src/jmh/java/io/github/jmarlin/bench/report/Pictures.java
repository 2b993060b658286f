package io.github.jmarlin.bench.report;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.CategorySeries.CategorySeriesRenderStyle;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;
import org.knowm.xchart.style.CategoryStyler;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws plots with XChart, as SVG and as PNG. */
final class Pictures {
    private static final int WIDTH = 1080;
    private static final int HEIGHT = 520;
    private static final Color INK = new Color(0x24292f);
    private static final Color GRID = new Color(0xe3e6ea);
    private static final Color BASELINE = new Color(0x6e7781);
    /** JMarlin's curves and their ideals share colors: Okabe and Ito's palette, told apart by all readers. */
    private static final Color[] COLORS = {new Color(0x0072b2), new Color(0xd55e00), new Color(0x009e73), new Color(0xcc79a7),
            new Color(0xe69f00), new Color(0x56b4e9)};
    private static final Marker[] MARKERS = {SeriesMarkers.CIRCLE, SeriesMarkers.SQUARE, SeriesMarkers.DIAMOND,
            SeriesMarkers.TRIANGLE_UP, SeriesMarkers.TRIANGLE_DOWN, SeriesMarkers.PLUS};

    private Pictures() {
    }

    /** Writes {@code FILE.svg} and {@code FILE.png} and returns the SVG's text. */
    static String write(Charts.Plot plot, Path folder) throws IOException {
        CategoryChart chart = draw(plot);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        VectorGraphicsEncoder.saveVectorGraphic(chart, bytes, VectorGraphicsFormat.SVG);
        // Text is drawn as outlines, the same everywhere; hundredths of a pixel are enough for them.
        String svg = bytes.toString(StandardCharsets.UTF_8).replaceAll("(\\d\\.\\d\\d)\\d+", "$1");
        Files.writeString(folder.resolve(plot.file() + ".svg"), svg);
        Files.write(folder.resolve(plot.file() + ".png"), BitmapEncoder.getBitmapBytes(chart, BitmapEncoder.BitmapFormat.PNG));
        return svg;
    }

    private static CategoryChart draw(Charts.Plot plot) {
        CategoryChart chart = new CategoryChartBuilder().width(WIDTH).height(HEIGHT).title(plot.title())
                .xAxisTitle(plot.xTitle()).yAxisTitle(plot.yTitle()).build();
        style(chart.getStyler(), plot);
        int measured = 0;
        int ideal = 0;
        for (Charts.Series data : plot.series()) {
            CategorySeries series = chart.addSeries(data.name(), plot.categories(), data.values());
            int index = data.isBaseline() ? -1 : data.isIdeal() ? ideal++ : measured++;
            Color color = index < 0 ? BASELINE : COLORS[index % COLORS.length];
            Marker marker = data.isIdeal() ? SeriesMarkers.NONE : index < 0 ? SeriesMarkers.CROSS
                    : MARKERS[index % MARKERS.length];
            series.setFillColor(color);
            series.setMarker(marker).setMarkerColor(color);
            series.setLineColor(color).setLineStyle(data.isIdeal() ? SeriesLines.DASH_DASH : new BasicStroke(2.2f));
        }
        return chart;
    }

    private static void style(CategoryStyler style, Charts.Plot plot) {
        style.setDefaultSeriesRenderStyle(plot.bars() ? CategorySeriesRenderStyle.Bar : CategorySeriesRenderStyle.Line);
        style.setChartBackgroundColor(Color.WHITE).setChartFontColor(INK).setBaseFont(font(Font.PLAIN, 14)).setChartPadding(16);
        style.setChartTitleFont(font(Font.BOLD, 16)).setChartTitleBoxVisible(false);
        style.setPlotGridVerticalLinesVisible(false).setPlotGridLinesColor(GRID).setPlotBorderVisible(false);
        style.setAxisTitleFont(font(Font.PLAIN, 14)).setAxisTickLabelsFont(font(Font.PLAIN, 13)).setAxisTickLabelsColor(INK)
                .setAxisTickMarksColor(GRID).setYAxisDecimalPattern("#0.##").setYAxisMin(0.0).setYAxisMax(ceiling(plot.series()));
        // A row of names would be cut off where there are many.
        style.setLegendPosition(LegendPosition.OutsideE).setLegendLayout(LegendLayout.Vertical);
        style.setLegendBorderColor(Color.WHITE).setLegendFont(font(Font.PLAIN, 13)).setLegendSeriesLineLength(28);
        style.setMarkerSize(8);
        style.setLabelsVisible(plot.bars()).setLabelsFont(font(Font.PLAIN, 11)).setLabelsFontColor(INK)
                .setAvailableSpaceFill(0.7).setLabelsPosition(0.9).setOverlapped(!plot.bars());
    }

    private static Font font(int style, int size) {
        return new Font(Font.SANS_SERIF, style, size);
    }

    /** A little above the largest value, so that nothing touches the frame. */
    private static double ceiling(List<Charts.Series> series) {
        return 1.08 * series.stream().flatMap(s -> s.values().stream()).filter(Objects::nonNull).mapToDouble(v -> v).max()
                .orElse(1);
    }
}
