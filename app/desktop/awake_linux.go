package desktop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Awake keeps the computer from falling asleep until ctx ends. why is for people who ask their system what does.
func Awake(ctx context.Context, why string) error {
	inhibit, err := exec.LookPath("systemd-inhibit")
	if err != nil {
		return fmt.Errorf("stay awake: %w", errors.Join(errors.ErrUnsupported, err))
	}
	// cat ends with its input: also when this process is killed.
	cmd := exec.CommandContext(ctx, inhibit, "--what=sleep", "--who=Porchlight", "--why="+why, "--mode=block", "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // Wait has closed it
	cmd.Cancel = in.Close
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Run(); ctx.Err() == nil {
		return fmt.Errorf("stay awake: %w", errors.Join(err, errors.New("the system does not let it")))
	}
	return nil
}

// OnMains reports whether the computer runs from the wall, as far as that can be told.
func OnMains(context.Context) bool { return onMains("/sys/class/power_supply") }

func onMains(dir string) bool {
	supplies, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return true
	}
	battery := false
	for _, s := range supplies {
		read := func(name string) string {
			data, err := os.ReadFile(filepath.Join(s, name))
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(data))
		}
		switch read("type") {
		case "Mains", "USB", "Wireless":
			if read("online") == "1" {
				return true
			}
		case "Battery":
			if read("scope") != "Device" && read("status") == "Discharging" { // not that of a mouse
				battery = true
			}
		}
	}
	return !battery
}
