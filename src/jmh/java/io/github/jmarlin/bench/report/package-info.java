/** Results for people: table, charts, page, and the README's table. Nothing is measured here. */
package io.github.jmarlin.bench.report;
