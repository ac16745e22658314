package engine

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestWindowsAreAsked: while a window is open its owner can be asked, and another start of the program shows it.
func TestWindowsAreAsked(t *testing.T) {
	e := asleep(t, "anna", true)
	defer e.Close()
	if yes, err := e.ShowWindow(t.Context()); yes || err != nil || (owner{e}).Attends() {
		t.Error("without a window:", yes, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	shown, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- e.Attend(ctx, func() { shown <- struct{}{} }) }()
	for yes := false; !yes; time.Sleep(time.Millisecond) {
		yes, _ = e.ShowWindow(ctx)
	}
	<-shown
	if !(owner{e}).Attends() {
		t.Error("nobody can be asked")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if yes, err := e.ShowWindow(t.Context()); yes || err != nil || (owner{e}).Attends() {
		t.Error("a window that is gone:", yes, err)
	}
}
