//go:build !linux

package engine

import "os"

// machineID returns what tells this machine from a copy of its disk: its name, where there is nothing better.
func machineID() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
