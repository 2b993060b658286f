/** Our own files: what goes where, writing them so that an interruption costs little, and reading them as they lie. */
package io.github.jmarlin.checkpoint.packed;
