package io.github.jmarlin.cuda;

import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.Devices;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cli.Cli;
import io.github.jmarlin.cuda.image.ImageStatus;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.testing.TestMatrices;
import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What the library makes of the driver and the images of the moment. The driver is asked once per class loader, so each look gets one of
 * its own: the library's classes anew, JCuda and everything else as they are.
 */
final class ImageProbe {
    private ImageProbe() {
    }

    /** Runs {@link #look} in a library that has never seen the driver. */
    static String fresh() throws Exception {
        List<URL> path = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            path.add(Path.of(entry).toUri().toURL());
        }
        try (URLClassLoader loader = new URLClassLoader(path.toArray(URL[]::new), ImageProbe.class.getClassLoader()) {
            @Override
            protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
                if (!name.startsWith("io.github.jmarlin.")) {
                    return super.loadClass(name, resolve);
                }
                synchronized (getClassLoadingLock(name)) {
                    Class<?> known = findLoadedClass(name);
                    return known != null ? known : findClass(name);
                }
            }
        }) {
            var look = Class.forName(ImageProbe.class.getName(), true, loader).getDeclaredMethod("look");
            look.setAccessible(true);
            return (String) look.invoke(null);
        }
    }

    /** A line each: the best device, the image of each family or why there is none, a product, {@code demo}, then all of {@code info}. */
    static String look() {
        StringBuilder text = new StringBuilder();
        DeviceChoice best = Devices.best();
        text.append("best ").append(best.device().kind()).append(": ").append(best.reason()).append('\n');
        boolean executes = true;
        for (CudaDevice device : CudaDriver.devices()) {
            for (KernelFamily family : List.of(KernelFamily.STRIPED, KernelFamily.HOPPER)) {
                ImageStatus status = device.images(family);
                executes &= !status.image().endsWith(".cubin");
                text.append(family).append(' ').append(status.isUsable() ? status.image() : "none: " + status.problem()).append('\n');
                status.refusals().forEach(refusal -> text.append(family).append(" refused ").append(refusal).append('\n'));
            }
            try (QuantizedMatrix matrix = TestMatrices.layer(64, 64, 64, DataType.FP16, false, false, 1);
                    PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                    LinearLayer layer = device.place(packed)) {
                text.append("placed ").append(layer.k()).append('\n');
            } catch (KernelImageException e) {
                text.append("not placed: ").append(e.getMessage()).append('\n');
            }
        }
        for (CudaDevice device : CudaDriver.devices()) {
            try (QuantizedMatrix matrix = TestMatrices.sparse(128, 64, 64, DataType.FP16, false, 1);
                    PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                    LinearLayer layer = device.place(packed)) {
                text.append("sparse placed ").append(layer.k()).append('\n');
            } catch (KernelImageException e) {
                text.append("sparse not placed: ").append(e.getMessage()).append('\n');
            }
        }
        if (executes) {
            Cli demo = Cli.run("demo", "--layer-only", "--k", "64", "--n", "64", "--m", "1");
            text.append("demo ").append(demo.status()).append(' ').append(demo.err()).append('\n');
        }
        Cli info = Cli.run("info");
        return text.append("info ").append(info.status()).append(' ').append(info.err()).append('\n') + info.out();
    }
}
