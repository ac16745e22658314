package app

import (
	"bufio"
	"bytes"
	"strings"
)

// versionOf reads the version out of the manifest, the one place where it stands.
func versionOf(manifest []byte) string {
	for lines := bufio.NewScanner(bytes.NewReader(manifest)); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok && strings.TrimSpace(k) == "Version" {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return "unknown"
}
