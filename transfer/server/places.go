package server

import (
	"context"
	"net/netip"
	"time"

	"porchlight/discovery"
	"porchlight/transfer"
	"porchlight/transfer/link"
)

// What all devices share has a part that strangers cannot take (wire.MaxStrangerSends and its like): a stranger needs a place among those
// of strangers first, and then one among all. So who is none finds one, however many devices somebody invents.

// isStranger reports whether a request is of a device for which no places are kept (link.Session.Friend).
func isStranger(ctx context.Context) bool {
	s := link.SessionOf(ctx)
	return s != nil && !s.Friend()
}

// sharer is under what name a device has its share of the line. Strangers of one address have one together: devices are easily
// invented, addresses on a network are not. This computer itself may be many devices.
func sharer(id discovery.DeviceID, friend bool, a netip.Addr) discovery.DeviceID {
	if friend || !a.IsValid() || a.IsLoopback() {
		return id
	}
	var of discovery.DeviceID
	at := a.As16()
	copy(of[copy(of[:], "address "):], at[:]) // no device has such an ID but by a collision of SHA-256
	return of
}

// slots are places for requests.
type slots struct{ all, strangers chan struct{} }

func newSlots(all, strangers int) slots {
	return slots{make(chan struct{}, all), make(chan struct{}, strangers)}
}

// take waits for a place until ctx ends (transfer.ErrAway) or something comes from patience (transfer.ErrBusy); leave gives it back.
func (s slots) take(ctx context.Context, patience <-chan time.Time) (leave func(), err error) {
	if !isStranger(ctx) {
		return func() { <-s.all }, into(ctx, s.all, patience)
	}
	if err := into(ctx, s.strangers, patience); err != nil {
		return nil, err
	}
	if err := into(ctx, s.all, patience); err != nil {
		<-s.strangers
		return nil, err
	}
	return func() { <-s.all; <-s.strangers }, nil
}

// into waits for one place.
func into(ctx context.Context, places chan<- struct{}, patience <-chan time.Time) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-patience:
		return transfer.ErrBusy
	case <-ctx.Done():
		return transfer.ErrAway
	}
}

// pool is memory that many requests share.
type pool struct{ all, strangers *budget }

func newPool(all, strangers int64) pool { return pool{newBudget(all), newBudget(strangers)} }

// take waits as budget.take does.
func (p pool) take(ctx context.Context, n int64) (give func(), err error) {
	if !isStranger(ctx) {
		return p.all.take(ctx, n)
	}
	odd, err := p.strangers.take(ctx, n)
	if err != nil {
		return nil, err
	}
	one, err := p.all.take(ctx, n)
	if err != nil {
		odd()
		return nil, err
	}
	return func() { one(); odd() }, nil
}
