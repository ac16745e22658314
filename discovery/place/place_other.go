//go:build !linux

package place

import (
	"errors"
	"net"
	"net/netip"
)

// gateways cannot be asked for here: networks are known by their ranges.
func gateways(int) ([]netip.Addr, error) { return nil, errors.ErrUnsupported }

func hardware(int, []netip.Addr) (net.HardwareAddr, error) { return nil, errors.ErrUnsupported }
