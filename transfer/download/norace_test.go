//go:build !race

package download

const raced = false
