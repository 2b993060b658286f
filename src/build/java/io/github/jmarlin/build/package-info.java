/**
 * Programs of the build itself, compiled and run by Maven: {@link io.github.jmarlin.build.KernelBuild} turns {@code src/main/cuda}
 * into images, {@link io.github.jmarlin.build.BundleBuild} packs what a machine without Java needs.
 *
 * <p>The kernel build, in the order of its work: {@link io.github.jmarlin.build.KernelSources} (families and tiles),
 * {@link io.github.jmarlin.build.Targets} (what to compile for), {@link io.github.jmarlin.build.Nvcc} (source to PTX),
 * {@link io.github.jmarlin.build.PtxText} (what of it ships), {@link io.github.jmarlin.build.Ptxas} and
 * {@link io.github.jmarlin.build.Assemblers} (PTX to machine code), {@link io.github.jmarlin.build.PtxasLog} (registers and spills),
 * {@link io.github.jmarlin.build.LeastDriver} (who can load it).
 */
package io.github.jmarlin.build;
