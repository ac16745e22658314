package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"porchlight/app/control"
	"porchlight/discovery/canon"
)

type rawRow struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Text   string `json:"text,omitempty"`
	Bytes  []byte `json:"bytes,omitempty"` // base64, of what is no text
}

func raw(ctx context.Context, c *call, e control.Engine) error {
	if !strings.HasPrefix(c.args[1], "/") {
		return usage("cli.usage.route", "Value", show(c.args[1]))
	}
	r, err := newResolver(ctx, e)
	if err != nil {
		return err
	}
	p, rest, err := r.device(ctx, c.args[0])
	if err != nil {
		return err
	}
	if rest != "" {
		return usage("cli.usage.only-device", "Value", show(c.args[0]))
	}
	status, kind, body, err := e.Raw(ctx, p.ID, c.args[1])
	if err != nil {
		return about(p.Name, err)
	}
	text, ok := readable(kind, body)
	switch {
	case c.json && ok:
		err = c.object(rawRow{Status: status, Type: kind, Text: text})
	case c.json:
		err = c.object(rawRow{Status: status, Type: kind, Bytes: body})
	case ok:
		_, err = io.WriteString(c.Stdout, text)
		if err == nil && text != "" && !strings.HasSuffix(text, "\n") {
			_, err = io.WriteString(c.Stdout, "\n")
		}
	default:
		_, err = c.Stdout.Write(body)
	}
	if err != nil {
		return err
	}
	return badStatus(status)
}

// badStatus turns an answer that is none of success into an exit code.
func badStatus(status int) error {
	code := exitFailed
	switch {
	case status < 300:
		return nil
	case status == http.StatusNotFound || status == http.StatusForbidden:
		code = exitNotFound
	}
	return failed(code, nil, "cli.error.status", "Code", status, "Name", http.StatusText(status))
}

// readable shows messages in diagnostic notation, one to a line, and text as it is. What is neither is false.
func readable(kind string, body []byte) (string, bool) {
	kind, _, _ = strings.Cut(kind, ";")
	switch kind {
	case "application/cbor":
		if s, err := canon.Show(body); err == nil {
			return show(s), true
		}
	case "application/vnd.porchlight.sequence":
		return sequence(body)
	case "application/json", "text/plain":
		if utf8.Valid(body) {
			lines := strings.Split(string(body), "\n")
			for i := range lines {
				lines[i] = show(lines[i])
			}
			return strings.Join(lines, "\n"), true
		}
	}
	return "", false
}

// sequence shows the items of a stream. One with bytes between its items cannot be read like this, and is shown as bytes;
// one that goes on for ever is cut wherever the engine gave up, and the whole items are shown.
func sequence(body []byte) (string, bool) {
	var b strings.Builder
	for r := canon.NewReader(bytes.NewReader(body)); ; {
		item, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, canon.ErrCut) {
			return b.String(), true
		}
		if err != nil {
			return "", false
		}
		s, err := canon.Show(item)
		if err != nil {
			return "", false
		}
		b.WriteString(show(s) + "\n")
	}
}
