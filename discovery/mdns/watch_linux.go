package mdns

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const pollEvery = 5 * time.Second // the kernel tells us sooner

// hints calls poke whenever the kernel reports a change of interfaces or addresses, until ctx ends.
// It may miss some; polling finds them.
func hints(ctx context.Context, poke func()) {
	defer func() { <-ctx.Done() }()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "netlink")
	defer f.Close()
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) }) //nolint:errcheck // a closed one ends the read too
	defer stop()
	buf := make([]byte, 16<<10)
	for ctx.Err() == nil {
		// Told of more than it could keep for us, the kernel says ENOBUFS: a reason to look, not to stop.
		if _, err := f.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		poke()
	}
}
