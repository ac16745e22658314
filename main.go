// Porchlight shows the computers of one local network and pulls files straight from them.
package main

import (
	_ "embed"
	"os"

	"porchlight/app"
)

//go:embed FyneApp.toml
var manifest []byte

func main() { os.Exit(app.Main(os.Args[1:], manifest)) }
