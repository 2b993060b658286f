package io.github.jmarlin.plan;

/** The kernels that can multiply. A family has an image of its own. */
public enum KernelFamily {
    /** {@code mma.sync} on every architecture from 8.0 on: what is chosen unless somebody asks for something else. */
    STRIPED,
    /**
     * {@code wgmma} and bulk copies, for compute capability 9.0 only. Tests execute its PTX, no hardware did: so it runs only if
     * asked for, where the user's own {@link Tuning} found it faster, or where it has passed the machine's {@link KernelChecks check} and
     * is predicted to be faster.
     */
    HOPPER,
    /**
     * Dense weights, expanded at every call, and cuBLAS: for many rows, where cuBLAS and its binding org.jcuda:jcublas are installed.
     * Tests execute its PTX, no hardware did; it runs if asked for, or from where the user's own {@link Tuning} found it faster.
     * Weights smaller than the compute type's normal numbers (6e-5 in fp16) lose bits, as they do in any dense 16-bit matrix; the
     * other kernels keep them.
     */
    DENSE
}
