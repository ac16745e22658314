package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// sure asks a question that is answered with yes or no, unless --yes was said. With --json, or when nobody answers, the command
// line must have said it.
func (c *call) sure(ctx context.Context, key string, params ...any) (bool, error) {
	if _, yes := c.flags["--yes"]; yes {
		return true, nil
	}
	return c.question(ctx, c.words.Text(key, params...))
}

// question is sure for what --yes does not answer.
func (c *call) question(ctx context.Context, text string) (bool, error) {
	if c.json {
		return false, usage("cli.usage.yes")
	}
	for {
		if _, err := fmt.Fprint(c.Stderr, text+" "+c.words.Text("cli.ask.yes-no")+" "); err != nil {
			return false, err
		}
		line, err := c.line(ctx)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes", "j", "ja":
			return true, nil
		case "n", "no", "nein":
			return false, nil
		}
	}
}

// line reads a line of standard input.
func (c *call) line(ctx context.Context) (string, error) {
	if c.Stdin == nil {
		return "", usage("cli.usage.yes")
	}
	type read struct {
		text string
		err  error
	}
	got := make(chan read, 1) // a terminal cannot be asked to give up: with ctx the process ends, and the reader with it
	go func() {
		text, err := c.in.ReadString('\n')
		got <- read{text, err}
	}()
	select {
	case r := <-got:
		if errors.Is(r.err, io.EOF) && r.text == "" {
			return "", usage("cli.usage.yes")
		}
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return "", r.err
		}
		return r.text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// input makes what line reads from; what was read ahead is not lost between two questions.
func input(r io.Reader) *bufio.Reader {
	if r == nil {
		return nil
	}
	return bufio.NewReader(io.LimitReader(r, maxInput))
}

// maxInput is more than anybody types.
const maxInput = 64 << 10
