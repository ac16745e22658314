package canon

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

type message struct {
	N string `cbor:"n"`
	S uint64 `cbor:"s,omitempty"`
}

func TestSequence(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, n := range []string{"one", "two", "three"} {
		if err := w.Write(message{N: n}); err != nil {
			t.Fatal(err)
		}
	}
	whole := b.Len()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) (n int, err error) {
		r := NewReader(bytes.NewReader(b))
		for {
			var m message
			if err = r.Read(&m); err != nil {
				return n, err
			}
			n++
		}
	}
	if n, err := read(b.Bytes()); n != 3 || !errors.Is(err, io.EOF) {
		t.Errorf("%d items, %v", n, err)
	}
	for cut := range whole + 1 {
		if _, err := read(b.Bytes()[:cut]); !errors.Is(err, ErrCut) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func TestRefused(t *testing.T) {
	deep := bytes.Repeat([]byte{0x81}, 6)
	for name, b := range map[string][]byte{
		"duplicate key":     {0xa2, 0x61, 'n', 0x61, 'a', 0x61, 'n', 0x61, 'b'},
		"indefinite length": {0xbf, 0x61, 'n', 0x61, 'a', 0xff},
		"tag":               {0xc1, 0xa0},
		"deep":              append(deep, 0xa0),
		"huge array":        {0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		"bad text":          {0xa1, 0x61, 'n', 0x61, 0xff},
		"trailing bytes":    {0xa0, 0xa0},
		"empty":             {},
	} {
		var m message
		if err := UnmarshalOpen(b, &m); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var m message
	if err := Unmarshal([]byte{0xa1, 0x61, 'x', 0x01}, &m); !errors.Is(err, ErrMessage) {
		t.Errorf("unknown field: %v", err)
	}
	if err := UnmarshalOpen([]byte{0xa1, 0x61, 'x', 0x01}, &m); err != nil {
		t.Errorf("unknown field where allowed: %v", err)
	}
}
