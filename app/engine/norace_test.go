//go:build !race

package engine

const manyFiles = 100_000
