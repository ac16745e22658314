package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/app/desktop"
	"porchlight/app/engine"
	"porchlight/discovery"
)

// host is an engine and the socket through which the other commands of this user reach it.
type host struct {
	lock   *config.HomeLock
	engine *engine.Engine
	socket net.Listener
	server *control.Server
	log    *slog.Logger
}

// openHost takes the home into use. It returns config.ErrLocked when another process has it.
func openHost(ctx context.Context, cfg engine.Config) (*host, error) {
	lock, err := config.Lock(cfg.Home)
	if err != nil {
		return nil, err
	}
	e, err := engine.Open(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	socket, err := control.Listen(ctx, lock)
	if err != nil {
		return nil, errors.Join(err, e.Close(), lock.Release())
	}
	return &host{lock: lock, engine: e, socket: socket, server: control.New(control.Config{Engine: e, Log: cfg.Log}), log: cfg.Log}, nil
}

// run works until ctx ends, and has stopped everything when it returns.
func (h *host) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var served error
	wg.Go(func() {
		if served = h.server.Serve(ctx, h.socket); ctx.Err() != nil {
			served = nil
		}
		cancel() // an engine nobody can reach is of no use
	})
	wg.Go(func() { (&awake{engine: h.engine, keep: desktop.Awake, onMains: desktop.OnMains, log: h.log}).run(ctx) })
	err := h.engine.Run(ctx)
	cancel()
	wg.Wait()
	return errors.Join(err, served, h.lock.Release())
}

// ready waits until the engine listens, or knows why it does not.
func (h *host) ready(ctx context.Context) (discovery.Self, error) {
	for since := uint64(0); ; {
		self, err := h.engine.Self(ctx)
		if err != nil || self.Port != 0 || self.Network == discovery.Public || self.Ask || len(self.Health) > 0 {
			return self, err
		}
		if since, err = h.engine.Wait(ctx, since); err != nil {
			return discovery.Self{}, err
		}
	}
}

// logger writes to standard error what PORCHLIGHT_LOG asks for (debug, info, warn, error); warnings and errors otherwise.
func logger() *slog.Logger {
	level := slog.LevelWarn
	if v := os.Getenv("PORCHLIGHT_LOG"); v != "" && level.UnmarshalText([]byte(v)) != nil {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
