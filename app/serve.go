package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"porchlight/app/cli"
	"porchlight/app/config"
	"porchlight/app/engine"
	"porchlight/discovery"
)

// serve runs the engine of a home without a window until ctx ends. One line beginning "ready" goes to out once it listens.
func serve(ctx context.Context, version string, o cli.ServeOptions, out io.Writer) error {
	change := func(s *config.Settings) error {
		if o.Name != "" {
			s.Name = o.Name
		}
		if o.Network != "" {
			s.Network = o.Network
		}
		return s.Check()
	}
	h, err := openHost(ctx, engine.Config{Home: o.Home, Version: version, Change: change, Log: logger()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.run(ctx) }()
	self, err := h.ready(ctx)
	if err == nil {
		printReady(out, self)
	}
	return <-done
}

// printReady says in one line what others will see of this computer.
func printReady(out io.Writer, self discovery.Self) {
	switch {
	case self.Network == discovery.Public:
		fmt.Fprintf(out, "ready %s: on a public network, so nobody is told and nothing listens\n", self.Name)
	case self.Port == 0:
		fmt.Fprintf(out, "ready %s: not on the network yet\n", self.Name)
	default:
		fmt.Fprintf(out, "ready %s in %s, port %d, %s\n", self.Name, self.Workgroup, self.Port, time.Now().Format(time.TimeOnly))
	}
	for _, h := range self.Health {
		fmt.Fprintf(out, "  %s: %s\n", h.Service, h.Trouble)
	}
}
