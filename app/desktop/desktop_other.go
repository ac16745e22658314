//go:build !linux && !darwin && !windows

package desktop

import "errors"

// Starts is not to be had here.
func (p Program) Starts() (bool, error) { return false, errors.ErrUnsupported }

// SetStarts is not to be had here.
func (p Program) SetStarts(bool) error { return errors.ErrUnsupported }

// InstallService is not to be had here.
func (p Program) InstallService() (Installed, error) { return Installed{}, errors.ErrUnsupported }

// RemoveService is not to be had here.
func (p Program) RemoveService() (Installed, error) { return Installed{}, errors.ErrUnsupported }

// Service is not to be had here.
func (p Program) Service() (Installed, error) { return Installed{}, errors.ErrUnsupported }

// entries lists nothing here.
func (p Program) entries() []string { return nil }

// erase has nothing to remove here.
func (p Program) erase(string) error { return errors.ErrUnsupported }
