// Package assets embeds the files the program carries: words, icons and fonts. It imports nothing of the house.
package assets

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed lang/*.json icons/*.svg fonts/*.otf fonts/OFL.txt icon.png icon.svg
var files embed.FS

// The two cuts of Inter the window is set in.
const (
	Regular  = "Inter-Regular.otf"
	SemiBold = "Inter-SemiBold.otf"
)

// Font returns an embedded OpenType font, Regular or SemiBold.
func Font(name string) ([]byte, error) { return read("fonts", name) }

// FontLicence returns the licence of the fonts, in English.
func FontLicence() string {
	b, err := read("fonts", "OFL.txt")
	if err != nil {
		return ""
	}
	return string(b)
}

// Icon returns the drawing of a thing or a tool on a grid of 24, its lines in stroke and its body in fill. Both are
// colours as SVG writes them ("#rrggbb", "none").
func Icon(name, stroke, fill string) ([]byte, error) {
	b, err := read("icons", name+".svg")
	if err != nil {
		return nil, err
	}
	return []byte(strings.NewReplacer("#000000", stroke, "#ffffff", fill).Replace(string(b))), nil
}

// AppIcon returns the icon of the program, a PNG of 512 by 512.
func AppIcon() ([]byte, error) { return read("", "icon.png") }

func read(dir, name string) ([]byte, error) {
	b, err := files.ReadFile(path.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("asset %s: %w", name, err)
	}
	return b, nil
}
