/** The command line: one class per command, registered in {@link io.github.jmarlin.cli.Main}. */
package io.github.jmarlin.cli;
