// Package canon is the one strict CBOR of everything that is signed or sent.
//
// Writing is Core Deterministic (RFC 8949 §4.2.1). Reading refuses duplicate keys, indefinite lengths, tags, invalid UTF-8,
// more than four levels, and sizes over the limits, before anything is allocated for them.
package canon

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Limits of one message. They hold before the message's own limits.
const (
	MaxDepth = 4
	MaxArray = 512 // a list is made before its elements are read, and each wrong one costs an error: 1024 made 105 KiB out of 1
	MaxPairs = 64
)

// ErrMessage says that bytes are not an acceptable message.
var ErrMessage = errors.New("not an acceptable message")

type modes struct {
	enc          cbor.EncMode
	strict, open cbor.DecMode
}

var get = sync.OnceValue(func() modes {
	e, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // constant options: cannot happen
	}
	o := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8RejectInvalid,
		MaxNestedLevels: MaxDepth, MaxArrayElements: MaxArray, MaxMapPairs: MaxPairs,
		DefaultMapType: reflect.TypeFor[map[string]any](), // only Show decodes without a struct
	}
	open, err := o.DecMode()
	if err != nil {
		panic(err)
	}
	o.ExtraReturnErrors = cbor.ExtraDecErrorUnknownField
	strict, err := o.DecMode()
	if err != nil {
		panic(err)
	}
	return modes{e, strict, open}
})

// Marshal writes v in the one deterministic form.
func Marshal(v any) ([]byte, error) { return get().enc.Marshal(v) }

// Unmarshal reads b into v, a pointer to a fixed struct. A field v does not have is an error.
func Unmarshal(b []byte, v any) error {
	if err := get().strict.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}

// UnmarshalOpen is Unmarshal for messages whose specification says that unknown fields are ignored.
func UnmarshalOpen(b []byte, v any) error {
	if err := get().open.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}

// Show renders one message in diagnostic notation (RFC 8949 §8), for people.
func Show(b []byte) (string, error) {
	var any any
	if err := UnmarshalOpen(b, &any); err != nil {
		return "", err
	}
	s, err := cbor.Diagnose(b)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return s, nil
}
