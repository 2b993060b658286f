package io.github.jmarlin.bench;

import com.fasterxml.jackson.annotation.JsonIgnore;
import io.github.jmarlin.DataType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Everything one run found out.
 *
 * @param run where it ran
 * @param sessions when and how it was started
 * @param measurements in the order in which they were made
 */
public record Results(RunInfo run, List<Session> sessions, List<Measurement> measurements) {
    /** Of two measurements of the same thing the later one counts. */
    public Results {
        Map<String, Measurement> latest = new LinkedHashMap<>();
        for (Measurement measurement : measurements) {
            latest.put(measurement.key(), measurement);
        }
        sessions = List.copyOf(sessions);
        measurements = List.copyOf(latest.values());
    }

    /** Whether any answer was wrong. */
    @JsonIgnore
    public boolean hasWrongAnswers() {
        return measurements.stream().anyMatch(m -> m.status() == Measurement.Status.WRONG);
    }

    /** The measurement of that subject, mode, contender and group size. */
    public Optional<Measurement> find(Subject subject, TimingMode mode, String contender, int groupSize) {
        String key = Measurement.skipped(subject, mode, contender, groupSize, null).key();
        return measurements.stream().filter(m -> m.key().equals(key)).findFirst();
    }

    /** All measurements of a kind of subject. */
    public List<Measurement> of(Subject.Kind kind) {
        List<Measurement> chosen = new ArrayList<>(measurements);
        chosen.removeIf(m -> m.subject().kind() != kind);
        return chosen;
    }

    /** Bytes per second of the copy, read and written. */
    public OptionalDouble copyBandwidth() {
        return measurements.stream().filter(m -> m.contender().equals(Contenders.COPY) && m.counts())
                .mapToDouble(m -> m.bytes() / seconds(m)).max();
    }

    /**
     * Operations per second of a type's best product: the baseline's on a GPU, anyone's on a CPU, where the baseline may be a plain
     * Java loop.
     */
    public OptionalDouble peak(TimingMode mode, DataType type) {
        return measurements.stream()
                .filter(m -> m.counts() && m.subject().kind() == Subject.Kind.LAYER && m.subject().type() == type)
                .filter(m -> (m.mode() == TimingMode.HOST) == (mode == TimingMode.HOST))
                .filter(m -> m.mode() == TimingMode.HOST || Contenders.baselines(m.mode()).contains(m.contender()))
                .mapToDouble(m -> m.flops() / seconds(m)).max();
    }

    /** Microseconds of an empty kernel in a mode. */
    public OptionalDouble fixedMicros(TimingMode mode) {
        return find(Subject.device(), mode, Contenders.EMPTY, 0).filter(Measurement::counts)
                .map(m -> OptionalDouble.of(m.micros().median())).orElse(OptionalDouble.empty());
    }

    /** What a measurement is compared with. */
    public Optional<Measurement> baseline(Measurement m) {
        return Contenders.baselines(m.mode()).stream().flatMap(contender -> find(m.subject(), m.mode(), contender, 0).stream())
                .filter(Measurement::counts).findFirst();
    }

    /** What can be said about a measurement. */
    public Figures figures(Measurement m) {
        if (!m.counts() || run.standIn()) {
            return Figures.NONE;
        }
        double bytesPerSecond = m.bytes() / seconds(m);
        double flopsPerSecond = m.flops() / seconds(m);
        OptionalDouble copy = copyBandwidth();
        OptionalDouble peak = peak(m.mode(), m.subject().type());
        Optional<Measurement> baseline = baseline(m);
        return new Figures(
                m.bytes() > 0 ? bytesPerSecond / 1e9 : null,
                m.bytes() > 0 && copy.isPresent() ? 100 * bytesPerSecond / copy.getAsDouble() : null,
                m.flops() > 0 ? flopsPerSecond / 1e12 : null,
                m.flops() > 0 && peak.isPresent() ? 100 * flopsPerSecond / peak.getAsDouble() : null,
                baseline.map(b -> b.micros().median() / m.micros().median()).orElse(null),
                m.mode() != TimingMode.HOST && baseline.isPresent() && copy.isPresent() && peak.isPresent()
                        ? new Roofline(copy.getAsDouble(), peak.getAsDouble())
                        .speedup(baseline.get().bytes(), m.bytes(), m.flops())
                        : null);
    }

    private static double seconds(Measurement m) {
        return m.micros().median() / 1e6;
    }
}
