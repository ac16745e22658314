//go:build race

package engine

// manyFiles is how many files the longest pull has. The race detector makes each ten times as dear.
const manyFiles = 20_000
