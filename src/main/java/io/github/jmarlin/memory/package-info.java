/** Off-heap memory with long sizes: the one place that allocates, maps and frees it. */
package io.github.jmarlin.memory;
