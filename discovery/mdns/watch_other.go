//go:build !linux

package mdns

import (
	"context"
	"time"
)

const pollEvery = 2 * time.Second

// hints waits for ctx: nothing but polling tells of changes here.
func hints(ctx context.Context, _ func()) { <-ctx.Done() }
