package desktop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

type notifier struct{}

func (notifier) prepare([]byte, func(string) string) error { return nil }

func (notifier) show(ctx context.Context, note Note) error {
	cmd := exec.CommandContext(ctx, "powershell", "-NoProfile", "-NonInteractive", "-Command", toast)
	cmd.Env = append(os.Environ(), toastTitle+"="+note.Title, toastText+"="+note.Text)
	Unseen(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("notification: %w: %s", err, strings.TrimSpace(string(out[:min(len(out), 500)])))
	}
	return nil
}

func (notifier) close() error { return nil }
