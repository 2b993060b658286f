package io.github.jmarlin.checkpoint.packed;

import com.fasterxml.jackson.core.JsonGenerator;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Survey;
import io.github.jmarlin.checkpoint.container.FileProblem;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorInfo;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.packed.PackPlan.Shard;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Writes a checkpoint as a packed model: each layer that can run in the striped form, every other tensor and file as it was, but
 * for copies of the weights in other containers. Streams in pieces of a few megabytes, so memory does not grow with the model.
 *
 * <p>May be killed at any moment and run again: files that were finished are kept, the others written again. Until the last
 * step, the index, the folder does not open as a model. The source is only read.
 */
public final class ModelPacker {
    private static final String LOCK = ".jmarlin-pack.lock";
    private static final String TOKENIZER = "tokenizer.json";
    /** The same weights for other programs; with .safetensors they would be there twice or more. */
    private static final Pattern OTHER_WEIGHTS = Pattern.compile(
            ".*\\.(bin|pt|pth|ckpt|gguf|ggml|onnx|onnx_data|onnx\\.data|h5|msgpack|tflite|ot|npz|pkl|engine)(\\.index\\.json)?");
    private static final String SHARD_NAME = "model-\\d{5}-of-\\d{5}\\.safetensors";

    private final Checkpoint source;
    private final Path target;
    private final PackOptions options;
    private final PackPlan plan;
    private final Map<String, byte[]> documents = new LinkedHashMap<>();
    private final List<String> notCarriedOver;

    /**
     * What a run did.
     *
     * @param files safetensors files of the packed model
     * @param keptFiles how many of them an earlier run had finished
     * @param layers packed layers
     * @param sourceBytes bytes of the source's tensors dealt with in this run
     * @param writtenBytes bytes of the packed model's tensors written in this run
     * @param seconds wall-clock time
     */
    public record Result(int files, int keptFiles, int layers, long sourceBytes, long writtenBytes, double seconds) {
    }

    /**
     * Plans, without writing anything.
     *
     * @throws MalformedCheckpointException if a layer of the source is broken
     * @throws UnsupportedCheckpointException if a layer cannot run
     * @throws JMarlinException if strict, and something would not be carried over
     * @throws IOException if the source cannot be read
     */
    public ModelPacker(Checkpoint source, Path target, PackOptions options) throws IOException {
        this.source = source;
        this.target = target.toAbsolutePath().normalize();
        this.options = options;
        if (Files.exists(target) && Files.isSameFile(source.folder(), target)) {
            throw new IllegalArgumentException("source and target are the same folder " + target);
        }
        this.plan = PackPlan.of(source, options);
        this.notCarriedOver = new ArrayList<>(source.untranslated());
        makeDocuments();
        if (options.strict() && !notCarriedOver.isEmpty()) {
            throw new JMarlinException(source.folder() + ": not carried over: " + String.join("; ", notCarriedOver));
        }
    }

    /** Before the first weight is written: what cannot be made is told first, and a model is no less one without a tokenizer. */
    private void makeDocuments() {
        for (String name : source.madeDocuments()) {
            try {
                documents.put(name, source.madeDocument(name));
            } catch (JMarlinException e) {
                if (!name.equals(TOKENIZER)) {
                    throw e;
                }
                notCarriedOver.add("tokenizer: " + e.getMessage());
            }
        }
    }

    /** What the source says besides its tensors and the packed model will not, with the reason, for people. */
    public List<String> notCarriedOver() {
        return Collections.unmodifiableList(notCarriedOver);
    }

    /** What the source is made of: besides what is packed, what is carried over as it is, and why. */
    public Survey survey() {
        return plan.survey();
    }

    /** Gate projections that {@link PackOptions#interleaveGateUp} asks to interleave, and why they are not. */
    public Map<String, String> notInterleaved() {
        return Collections.unmodifiableMap(plan.notInterleaved());
    }

    /** Files of the source that are the same weights in another container, and so are not carried over. */
    public List<Path> otherWeights() throws IOException {
        return ownFiles().stream().filter(ModelPacker::isOtherWeights).toList();
    }

    /** Bytes of the source that a run deals with, for progress. */
    public long sourceBytes() {
        return plan.shards().stream().mapToLong(ModelPacker::sourceBytes).sum();
    }

    private static long sourceBytes(Shard shard) {
        return shard.sources.stream().mapToLong(LayerSource::bytes).sum()
                + shard.copies.stream().mapToLong(Tensor::bytes).sum();
    }

    /**
     * Packs, or finishes what an earlier run began.
     *
     * @throws JMarlinException if another process packs into the folder, or it holds files of another model, which this one's would
     *     replace
     * @throws java.nio.file.FileSystemException if the disk has too little space for what is left to write
     * @throws IOException if a file cannot be read or written
     */
    public Result run() throws IOException {
        long start = System.nanoTime();
        FileProblem.explained("make this folder", target, () -> Files.createDirectories(target));
        try (FileChannel lock = FileProblem.explained("write into this folder", target, () -> FileChannel.open(target.resolve(LOCK),
                StandardOpenOption.CREATE, StandardOpenOption.WRITE))) {
            lock(lock);
            try {
                refuseAnotherModel();
                Result result = runLocked(start);
                Files.deleteIfExists(target.resolve(LOCK));
                return result;
            } catch (Throwable e) {
                deleteLock(e);
                throw e;
            }
        }
    }

    private void deleteLock(Throwable failure) {
        try {
            Files.deleteIfExists(target.resolve(LOCK));
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    private void lock(FileChannel channel) throws IOException {
        FileLock lock;
        try {
            lock = channel.tryLock();
        } catch (OverlappingFileLockException e) {
            lock = null;
        }
        if (lock == null) {
            throw new JMarlinException(target + ": another process is packing into this folder");
        }
    }

    /** Checkpoints usually name their shards as packed models do; a mistaken target must not cost the user a model. */
    private void refuseAnotherModel() throws IOException {
        for (Path file : files(target)) {
            if (file.getFileName().toString().matches(SHARD_NAME) && isOfAnotherModel(file)) {
                throw new JMarlinException(file + ": not written by jmarlin pack, and would be replaced; choose an empty folder or one"
                        + " that holds an earlier packed model");
            }
        }
    }

    /** A whole safetensors file that no packer wrote. A damaged one can only be ours, or nobody's. */
    private static boolean isOfAnotherModel(Path file) throws IOException {
        try {
            return !SafetensorsFile.open(file).metadata().containsKey(PackedModel.FINGERPRINT_KEY);
        } catch (MalformedCheckpointException e) {
            return false;
        }
    }

    private Result runLocked(long start) throws IOException {
        List<Shard> shards = plan.shards();
        boolean[] kept = new boolean[shards.size()];
        long needed = 0;
        long read = 0;
        int keptCount = 0;
        for (int i = 0; i < kept.length; i++) {
            kept[i] = isFinished(target.resolve(plan.fileName(i)));
            if (kept[i]) {
                keptCount++;
                options.progress().advanced(sourceBytes(shards.get(i)));
            } else {
                needed += shards.get(i).layout().bytes();
                read += sourceBytes(shards.get(i));
            }
        }
        if (keptCount < kept.length) {
            Files.deleteIfExists(target.resolve(PackedModel.INDEX));
        }
        removeLeftovers();
        SafetensorsWriter.requireSpace(target, needed + otherFiles().stream().mapToLong(ModelPacker::size).sum());
        try (ShardPacker packer = new ShardPacker(options)) {
            for (int i = 0; i < kept.length; i++) {
                if (!kept[i]) {
                    packer.submit(shards.get(i), target.resolve(plan.fileName(i)), metadata(shards.get(i)));
                }
            }
            packer.finish();
        }
        copyOtherFiles();
        SafetensorsWriter.writeAtomically(target.resolve(PackedModel.INDEX), index());
        int layers = shards.stream().mapToInt(shard -> shard.layers.size()).sum();
        return new Result(shards.size(), keptCount, layers, read, needed, (System.nanoTime() - start) / 1e9);
    }

    /** A file of this very plan, whole: it got its name after its last byte. */
    private boolean isFinished(Path file) throws IOException {
        if (!Files.exists(file)) {
            return false;
        }
        try {
            return plan.fingerprint().equals(SafetensorsFile.open(file).metadata().get(PackedModel.FINGERPRINT_KEY));
        } catch (MalformedCheckpointException e) {
            return false;
        }
    }

    /** Temporary files of a killed run, and files of a run with another plan. */
    private void removeLeftovers() throws IOException {
        for (Path file : files(target)) {
            String name = file.getFileName().toString();
            if (name.endsWith(SafetensorsWriter.TEMPORARY_SUFFIX) || name.matches(SHARD_NAME) && !isFinished(file)) {
                Files.delete(file);
            }
        }
    }

    private Map<String, String> metadata(Shard shard) {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put(PackedModel.VERSION_KEY, Integer.toString(PackedModel.LAYOUT_VERSION));
        metadata.put(PackedModel.FINGERPRINT_KEY, plan.fingerprint());
        for (PackedLayer layer : shard.layers) {
            metadata.put(PackedModel.LAYER_KEY + layer.name(), layer.toJson());
        }
        Map<String, String> blockTypes = source.blockTypes();
        for (Tensor tensor : shard.copies) {
            if (blockTypes.containsKey(tensor.name())) {
                metadata.put(PackedModel.BLOCK_TYPE_KEY + tensor.name(), blockTypes.get(tensor.name()));
            }
        }
        return metadata;
    }

    private byte[] index() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = Json.generator(out)) {
            json.writeStartObject();
            json.writeObjectFieldStart("metadata");
            json.writeStringField(PackedModel.VERSION_KEY, Integer.toString(PackedModel.LAYOUT_VERSION));
            json.writeStringField(PackedModel.FINGERPRINT_KEY, plan.fingerprint());
            json.writeStringField(PackedModel.SOURCE_KEY, source.folder().toAbsolutePath().normalize().toString());
            json.writeEndObject();
            json.writeObjectFieldStart("weight_map");
            for (int i = 0; i < plan.shards().size(); i++) {
                for (TensorInfo tensor : plan.shards().get(i).layout().tensors()) {
                    json.writeStringField(tensor.name(), plan.fileName(i));
                }
            }
            json.writeEndObject();
            json.writeEndObject();
        }
        return out.toByteArray();
    }

    /** What lies in the source's folder; nothing if the source is a file, whose neighbours are no part of it. */
    private List<Path> ownFiles() throws IOException {
        return Files.isDirectory(source.folder()) ? TensorStore.ownFiles(source.folder()) : List.of();
    }

    /** Files of the source that are not weights: configuration, tokenizer, licence. */
    private List<Path> otherFiles() throws IOException {
        return ownFiles().stream().filter(file -> {
            String name = file.getFileName().toString();
            return !name.endsWith(".safetensors") && !name.endsWith(".safetensors.index.json")
                    && !name.endsWith(SafetensorsWriter.TEMPORARY_SUFFIX) && !isOtherWeights(file);
        }).toList();
    }

    private static boolean isOtherWeights(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        return OTHER_WEIGHTS.matcher(name).matches() && !name.startsWith("tokenizer");
    }

    private void copyOtherFiles() throws IOException {
        for (Map.Entry<String, byte[]> document : documents.entrySet()) {
            SafetensorsWriter.writeAtomically(target.resolve(document.getKey()), document.getValue());
        }
        for (Path file : otherFiles()) {
            Path copy = target.resolve(file.getFileName());
            Path temporary = copy.resolveSibling(copy.getFileName() + SafetensorsWriter.TEMPORARY_SUFFIX);
            FileProblem.explained("copy this file", file, () -> Files.copy(file, temporary, StandardCopyOption.REPLACE_EXISTING));
            SafetensorsWriter.publish(temporary, copy);
        }
    }

    private static List<Path> files(Path folder) throws IOException {
        return FileProblem.explained("list this folder", folder, () -> {
            try (Stream<Path> files = Files.list(folder)) {
                return files.filter(Files::isRegularFile).sorted().toList();
            }
        });
    }

    private static long size(Path file) {
        return file.toFile().length();
    }
}
