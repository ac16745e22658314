package share

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Path is a place below a share's root: relative, slash-separated, checked. The empty path is the root itself.
// Whoever holds a Path may hand it to safefs; a string from a neighbour must go through ParsePath first.
type Path string

// Limits of a path.
const (
	MaxDepth     = 64   // components
	MaxComponent = 255  // bytes, and UTF-16 units
	MaxPath      = 4096 // bytes in all
)

// PrivatePrefix begins the names of Porchlight's own files inside people's folders; they are never shared, shown or written by neighbours.
const PrivatePrefix = ".porchlight-"

// ErrPath says that a path is refused. Paths are refused, never cleaned.
var ErrPath = errors.New("path not allowed")

// ParsePath checks s by the rules for names a neighbour sent: relative, UTF-8, slash form, no empty, "." or ".." component,
// no backslash, control or bidirectional character, nothing of Porchlight's own, within the limits.
func ParsePath(s string) (Path, error) {
	if s == "" {
		return "", nil
	}
	if len(s) > MaxPath {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrPath, MaxPath)
	}
	if strings.Count(s, "/") >= MaxDepth {
		return "", fmt.Errorf("%w: more than %d levels", ErrPath, MaxDepth)
	}
	for rest, more := s, true; more; {
		var c string
		c, rest, more = strings.Cut(rest, "/")
		if err := CheckComponent(c); err != nil {
			return "", err
		}
	}
	return Path(s), nil
}

// CheckComponent checks one name of a path.
func CheckComponent(c string) error {
	switch {
	case c == "" || c == "." || c == "..":
		return fmt.Errorf("%w: empty or dot component", ErrPath)
	case len(c) > MaxComponent || !utf8.ValidString(c):
		return fmt.Errorf("%w: component too long or not UTF-8", ErrPath)
	case len(c) >= len(PrivatePrefix) && strings.EqualFold(c[:len(PrivatePrefix)], PrivatePrefix):
		return fmt.Errorf("%w: private name", ErrPath)
	}
	for _, r := range c {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\\' ||
			r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0xFEFF {
			return fmt.Errorf("%w: control character, backslash or text-direction mark", ErrPath)
		}
	}
	return nil
}

// Join adds one checked name to p.
func (p Path) Join(name string) (Path, error) {
	if p == "" {
		return ParsePath(name)
	}
	return ParsePath(string(p) + "/" + name)
}

// Base returns the last component, "" for the root.
func (p Path) Base() string {
	return string(p[strings.LastIndexByte(string(p), '/')+1:])
}

// Dir returns the path without its last component.
func (p Path) Dir() Path {
	if i := strings.LastIndexByte(string(p), '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// Components returns the names of p, nil for the root.
func (p Path) Components() []string {
	if p == "" {
		return nil
	}
	return strings.Split(string(p), "/")
}

// Under reports whether p is dir or lies below it.
func (p Path) Under(dir Path) bool {
	return dir == "" || p == dir || strings.HasPrefix(string(p), string(dir)+"/")
}
