package engine

import (
	"context"
	"slices"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/transfer"
)

// Queue says how all transfers are steered together.
func (e *Engine) Queue(context.Context) (transfer.Queue, error) {
	e.mu.Lock()
	limits := e.settings.Limits()
	e.mu.Unlock()
	return transfer.Queue{Held: e.pulls.Held(), Limits: limits, Now: limits.At(time.Now())}, nil
}

// HoldQueue keeps everything from being brought here, or lets it go on. It is remembered.
func (e *Engine) HoldQueue(ctx context.Context, held bool) error {
	if err := e.changeQuietly(ctx, func(s *config.Settings) { s.QueueHeld = held }); err != nil {
		return err
	}
	e.pulls.Hold(held)
	return nil
}

// MoveJob gives a pull that does not run another place in the queue; transfer.ErrState for one that runs or is over.
func (e *Engine) MoveJob(_ context.Context, id transfer.JobID, to transfer.Move) error {
	return e.pulls.Move(id, to)
}

// SetLimits bounds the bytes of files from now on. It returns transfer.ErrLimits for what cannot be kept.
func (e *Engine) SetLimits(ctx context.Context, l transfer.Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	if err := e.changeQuietly(ctx, func(s *config.Settings) { s.SetLimits(l) }); err != nil {
		return err
	}
	e.setLimits(time.Now())
	select {
	case e.limit <- struct{}{}:
	default:
	}
	return nil
}

// Pieces shows which pieces of the large files under way of a pull are here.
func (e *Engine) Pieces(_ context.Context, id transfer.JobID) ([]transfer.FileMap, error) {
	return e.pulls.Pieces(id)
}

// setLimits puts in force what the settings say of a time.
func (e *Engine) setLimits(now time.Time) transfer.Limits {
	e.mu.Lock()
	l := e.settings.Limits().At(now)
	e.mu.Unlock()
	e.up.Set(l.Up)
	e.down.Set(l.Down)
	return l
}

// limitsEvery is how late a limit may begin or end: clocks are put right, and computers sleep.
const limitsEvery = 10 * time.Second

// keepLimits follows the clock while the limits hold for a part of the day.
func (e *Engine) keepLimits(ctx context.Context) error {
	for was := (transfer.Limits{}); ; {
		if now := e.setLimits(time.Now()); now != was {
			was = now
			e.changes.bump()
		}
		e.mu.Lock()
		timed := e.settings.Limits().Timed()
		e.mu.Unlock()
		var look <-chan time.Time
		if timed {
			look = time.After(limitsEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.limit:
		case <-look:
		}
	}
}

// nameSources looks up what the givers of some jobs are called.
func (e *Engine) nameSources(jobs []transfer.Job) {
	names := map[discovery.DeviceID]string{}
	for i := range jobs {
		jobs[i].Sources = slices.Clone(jobs[i].Sources)
		for k := range jobs[i].Sources {
			s := &jobs[i].Sources[k]
			name, known := names[s.Device]
			if !known {
				if p, err := e.roster.Get(s.Device); err == nil {
					name = p.Name
				}
				names[s.Device] = name
			}
			s.Name = name
		}
	}
}
