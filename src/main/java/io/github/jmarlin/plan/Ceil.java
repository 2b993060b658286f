package io.github.jmarlin.plan;

/** Division that rounds up, for which Java 17 has no function. */
final class Ceil {
    private Ceil() {
    }

    /** {@code a / b} of positive numbers, rounded up; right up to the largest. */
    static int div(int a, int b) {
        return (int) (((long) a + b - 1) / b);
    }
}
