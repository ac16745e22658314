package desktop

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// showTime is how long the system's opener may take; it hands over and ends.
const showTime = 15 * time.Second

// Show shows a path in the system's file manager: a folder opened, a file chosen in its folder where the file manager can, else the
// folder it lies in. The path is absolute and there; os.ErrInvalid and os.ErrNotExist otherwise.
func Show(ctx context.Context, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("show %q: %w", path, os.ErrInvalid)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("show: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, showTime)
	defer cancel()
	var errs []error
	for _, line := range showers(runtime.GOOS, path, info.IsDir()) {
		cmd := exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // one of a few programs of the system
		if len(line) == 1 {
			cmd = exec.CommandContext(ctx, "explorer")
			asItIs(cmd, line[0])
		}
		err := cmd.Run()
		if exit := new(exec.ExitError); err == nil || runtime.GOOS == "windows" && errors.As(err, &exit) {
			return nil // explorer says 1 when all is well
		}
		errs = append(errs, fmt.Errorf("%s: %w", line[0], err))
	}
	return fmt.Errorf("show %s: %w", path, errors.Join(errs...))
}

// showers are the commands that show a path, to be tried one after another; one of a single word is a command line as Windows takes
// it.
//
// Linux: org.freedesktop.FileManager1 of the file-manager D-Bus interface, over either of the two common callers.
func showers(system, path string, dir bool) [][]string {
	folder := path
	if !dir {
		folder = filepath.Dir(path)
	}
	switch {
	case system == "darwin" && (!dir || filepath.Ext(path) != ""): // to open a folder called "x.app" is to start a program
		return [][]string{{"open", "-R", path}}
	case system == "darwin":
		return [][]string{{"open", folder}}
	case system == "windows":
		return [][]string{{explorerLine(path, dir)}}
	case dir:
		return [][]string{{"xdg-open", folder}}
	}
	const (
		name   = "org.freedesktop.FileManager1"
		object = "/org/freedesktop/FileManager1"
	)
	uri := fileURI(path)
	return [][]string{
		{"dbus-send", "--session", "--print-reply", "--reply-timeout=5000", "--dest=" + name, "--type=method_call", object, name + ".ShowItems", "array:string:" + uri, "string:"},
		{"gdbus", "call", "--session", "--timeout", "5", "--dest", name, "--object-path", object, "--method", name + ".ShowItems", "['" + uri + "']", "''"},
		{"xdg-open", folder},
	}
}

// fileURI writes a path so that neither caller takes any of it for something else: both split at signs a file name may have.
func fileURI(path string) string {
	uri := (&url.URL{Scheme: "file", Path: path}).String()
	return strings.NewReplacer(",", "%2C", "'", "%27", "[", "%5B", "]", "%5D").Replace(uri)
}
