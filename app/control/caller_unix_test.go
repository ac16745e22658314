//go:build linux || darwin

package control

import (
	"os"
	"testing"
)

func TestOtherUsersAreTurnedAway(t *testing.T) {
	me := uint32(os.Geteuid())
	if allowed(me) != nil || allowed(0) != nil || allowed(me+1) == nil {
		t.Error("this user and root may ask, nobody else")
	}
}
