package identity

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// wrap protects the seed with the user's Windows login (DPAPI), so that a copied disk does not give the key away.
func wrap(seed []byte) ([]byte, error) {
	var out windows.DataBlob
	if err := windows.CryptProtectData(blob(seed), nil, nil, 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out); err != nil {
		return nil, err
	}
	return take(out), nil
}

func unwrap(b []byte) ([]byte, error) {
	var out windows.DataBlob
	if err := windows.CryptUnprotectData(blob(b), nil, nil, 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out); err != nil {
		return nil, err
	}
	return take(out), nil
}

func blob(b []byte) *windows.DataBlob {
	if len(b) == 0 {
		return &windows.DataBlob{}
	}
	return &windows.DataBlob{Size: uint32(len(b)), Data: &b[0]}
}

func take(d windows.DataBlob) []byte {
	defer windows.LocalFree(windows.Handle(unsafe.Pointer(d.Data))) //nolint:errcheck // nothing could be done
	return append([]byte(nil), unsafe.Slice(d.Data, d.Size)...)
}
