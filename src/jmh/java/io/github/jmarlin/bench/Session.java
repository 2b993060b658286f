package io.github.jmarlin.bench;

/**
 * One start of the program; a run that was resumed has several.
 *
 * @param started date and time, UTC
 * @param seconds it took
 * @param commandLine its arguments
 * @param stateBefore clocks, temperature and power of the GPU before, or why they are unknown
 * @param stateAfter the same afterwards
 * @param unfinished cases that did not fit the time budget
 */
public record Session(String started, double seconds, String commandLine, String stateBefore, String stateAfter, int unfinished) {
}
