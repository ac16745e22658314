package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"porchlight/app/cli"
	"porchlight/app/config"
	"porchlight/app/desktop"
	"porchlight/app/engine"
	"porchlight/assets"
	"porchlight/discovery"
)

// serve runs the engine of a home without a window until ctx ends. One line beginning "ready" goes to out once it listens.
func serve(ctx context.Context, version string, o cli.ServeOptions, out io.Writer) error {
	desktop.LoseConsole()
	change := func(s *config.Settings) error {
		if o.Name != "" {
			s.Name = o.Name
		}
		if o.Network != "" {
			s.Network = o.Network // of networks that come later, too
		}
		return s.Check()
	}
	h, err := openHost(ctx, engine.Config{Home: o.Home, Version: version, Change: change, Network: o.Network, Log: logger()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.run(ctx) }()
	self, err := h.ready(ctx)
	if err == nil {
		printReady(out, o.Words, self)
	}
	return <-done
}

// printReady says in one line what others will see of this computer. The word "ready" and the name are the same in every
// language: programs wait for them.
func printReady(out io.Writer, w *assets.Words, self discovery.Self) {
	switch {
	case self.Ask:
		fmt.Fprintf(out, "ready %s: %s\n", self.Name, w.Text("serve.ready.ask"))
	case self.Network == discovery.Public:
		fmt.Fprintf(out, "ready %s: %s\n", self.Name, w.Text("serve.ready.public"))
	case self.Port == 0:
		fmt.Fprintf(out, "ready %s: %s\n", self.Name, w.Text("serve.ready.alone"))
	default:
		fmt.Fprintf(out, "ready %s %s\n", self.Name, w.Text("serve.ready", "Workgroup", self.Workgroup, "Port", self.Port, "Time", time.Now().Format(time.TimeOnly)))
	}
	for _, h := range self.Health {
		key := "health." + h.Service
		if !w.Has(key) {
			key = "health.other"
		}
		fmt.Fprintf(out, "  %s\n", w.Text(key, "Service", h.Service, "Why", h.Trouble))
	}
}
