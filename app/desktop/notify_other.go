//go:build !linux && !windows

package desktop

import (
	"context"
	"errors"
)

type notifier struct{}

func (notifier) prepare([]byte, func(string) string) error { return nil }
func (notifier) show(context.Context, Note) error          { return errors.ErrUnsupported }
func (notifier) close() error                              { return nil }
