package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"porchlight/share"
	"porchlight/transfer"
)

// The headers of the answer of Raw: what the neighbour said, apart from what this server says.
const (
	headerStatus = "Porchlight-Status"
	headerType   = "Porchlight-Type"
)

// patience is how long a caller may leave a line of a stream unread: somebody pages through a long listing.
const patience = 15 * time.Minute

// lines writes a stream. Its methods are for one goroutine.
type lines struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	enc  *json.Encoder
	wait time.Duration
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/jsonl")
	return &lines{w: w, ctl: http.NewResponseController(w), enc: json.NewEncoder(w), wait: patience}
}

func (l *lines) put(v line) error {
	if err := l.ctl.SetWriteDeadline(time.Now().Add(l.wait)); err != nil {
		return err
	}
	if err := l.enc.Encode(v); err != nil {
		return err
	}
	return l.ctl.Flush()
}

// end writes the last line.
func (l *lines) end(ctx context.Context, err error) {
	last := line{End: err == nil}
	if err != nil {
		last.Error = failureOf(stopped(ctx, err))
	}
	_ = l.put(last) // a caller who is gone needs no answer
	_ = l.ctl.SetWriteDeadline(time.Time{})
}

func (s *Server) list(ctx context.Context, body []byte, w http.ResponseWriter) error {
	in, err := decode[folderMsg](body)
	if err != nil {
		return err
	}
	if in.Sort != "" && !in.Sort.Valid() {
		return fmt.Errorf("no such order: %q", in.Sort)
	}
	out := newLines(w)
	err = s.engine.List(ctx, in.Device, in.Share, in.Path, in.Sort, func(entries []share.Entry) error {
		for len(entries) > 0 {
			n := min(len(entries), batch)
			if err := out.put(line{Entries: each(entries[:n], fromEntry)}); err != nil {
				return err
			}
			entries = entries[n:]
		}
		return nil
	})
	out.end(ctx, err)
	return nil
}

// watch passes hints on; several that come while one is being written become one.
func (s *Server) watch(ctx context.Context, body []byte, w http.ResponseWriter) error {
	in, err := decode[folderMsg](body)
	if err != nil {
		return err
	}
	return hinted(ctx, w, func(ctx context.Context, changed func()) error {
		return s.engine.Watch(ctx, in.Device, in.Share, in.Path, changed)
	})
}

// attend passes on that the window is wanted.
func (s *Server) attend(ctx context.Context, _ []byte, w http.ResponseWriter) error {
	return hinted(ctx, w, s.engine.Attend)
}

// hinted writes a line for each hint that follow gives, until follow ends.
func hinted(ctx context.Context, w http.ResponseWriter, follow func(ctx context.Context, changed func()) error) error {
	ctx, cancel := context.WithCancel(ctx)
	hints, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- follow(ctx, func() {
			select {
			case hints <- struct{}{}:
			default:
			}
		})
	}()
	out := newLines(w)
	err := out.put(line{}) // the caller knows that the engine has taken the call
	for err == nil {
		select {
		case <-hints:
			err = out.put(line{Changed: true})
		case err = <-ended:
			cancel()
			for len(hints) > 0 { // the last change must not be lost with the end
				<-hints
				_ = out.put(line{Changed: true})
			}
			out.end(ctx, err)
			return nil
		}
	}
	cancel()
	<-ended
	return nil
}

func (s *Server) raw(ctx context.Context, body []byte, w http.ResponseWriter) error {
	in, err := decode[rawMsg](body)
	if err != nil {
		return err
	}
	status, kind, data, err := s.engine.Raw(ctx, in.Device, in.Path)
	if err != nil {
		return err
	}
	if len(data) > MaxRaw {
		return fmt.Errorf("%w: an answer of more than %d bytes", transfer.ErrLimit, MaxRaw)
	}
	w.Header().Set(headerStatus, strconv.Itoa(status))
	w.Header().Set(headerType, strconv.QuoteToASCII(kind)) // whatever a neighbour wrote there
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, err = w.Write(data)
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Debug("answer not delivered", "error", err)
	}
	return nil
}
