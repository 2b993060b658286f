/**
 * Decides how a product runs on a GPU: weights and device facts in, one printable {@link io.github.jmarlin.plan.GemmPlan} out.
 *
 * <p>Pure Java, no native code: everything here can be tested, printed and argued about on a machine without a GPU.
 * Reading order: {@link io.github.jmarlin.plan.TileShape} and {@link io.github.jmarlin.plan.HopperTile} (what one block or cluster
 * computes), {@link io.github.jmarlin.plan.Schedule} (which of them computes what), {@link io.github.jmarlin.plan.Planner} (the choice and
 * its reason), {@link io.github.jmarlin.plan.Rate} (what predictions assume of a device; {@code LoopClocks}: of a kernel),
 * {@link io.github.jmarlin.plan.Tuning} (what was measured on this very device and goes before them).
 */
package io.github.jmarlin.plan;
