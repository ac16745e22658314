package desktop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Awake keeps the computer from falling asleep until ctx ends.
func Awake(ctx context.Context, _ string) error {
	// It ends with this process, too.
	if err := exec.CommandContext(ctx, "caffeinate", "-s", "-w", strconv.Itoa(os.Getpid())).Run(); ctx.Err() == nil {
		return fmt.Errorf("stay awake: %w", err)
	}
	return nil
}

// OnMains reports whether the computer runs from the wall, as far as that can be told.
func OnMains(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "pmset", "-g", "batt")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return err != nil || !strings.Contains(string(out), "Battery Power")
}
