package checkup

import "golang.org/x/sys/windows"

// What the system says of a computer that is not there, and of a port where nobody listens.
const (
	errUnreachable = windows.WSAEHOSTUNREACH
	errRefused     = windows.WSAECONNREFUSED
)
