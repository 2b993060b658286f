/** Programs of the build itself: Maven runs each from its source file, so none may need another class of this package. */
package io.github.jmarlin.build;
