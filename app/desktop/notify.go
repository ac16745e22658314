package desktop

import (
	"context"
	"time"
)

// Note is a notification of the desktop: plain words. Parts of them are names that neighbours chose, so no desktop gets to read
// them as anything else.
type Note struct {
	Title, Text string
	Click       string // what a click on it does, for the desktops that show a button instead
	Clicked     func() // when the person clicked, where the desktop tells; may be nil
}

// noteTime is how long the desktop may take to show one. One that starts a program for it first needs seconds.
const noteTime = 10 * time.Second

// toast is what shows a notification on Windows. The words come in the environment: what stands in a script is read as a script,
// and "$(...)" in the name of a computer would be run.
//
// https://learn.microsoft.com/windows/apps/design/shell/tiles-and-notifications/toast-schema
const toast = `$ErrorActionPreference='Stop';` +
	`[void][Windows.UI.Notifications.ToastNotificationManager,Windows.UI.Notifications,ContentType=WindowsRuntime];` +
	`[void][Windows.Data.Xml.Dom.XmlDocument,Windows.Data.Xml.Dom,ContentType=WindowsRuntime];` +
	`$d=[xml][Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02).GetXml();` +
	`$t=$d.GetElementsByTagName('text');` +
	`[void]$t[0].AppendChild($d.CreateTextNode($env:` + toastTitle + `));` +
	`[void]$t[1].AppendChild($d.CreateTextNode($env:` + toastText + `));` +
	`$x=New-Object Windows.Data.Xml.Dom.XmlDocument;` +
	`$x.LoadXml($d.OuterXml);` +
	`[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('Porchlight').Show([Windows.UI.Notifications.ToastNotification]::new($x))`

// The variables toast reads.
const (
	toastTitle = "PORCHLIGHT_NOTE_TITLE"
	toastText  = "PORCHLIGHT_NOTE_TEXT"
)

// Notifier shows notifications. Its methods may be called by any goroutine.
type Notifier struct{ notifier }

// NewNotifier returns a Notifier with the icon of the program, a PNG whose sides are multiples of 64. getenv is os.Getenv.
func NewNotifier(icon []byte, getenv func(string) string) (*Notifier, error) {
	n := &Notifier{}
	return n, n.prepare(icon, getenv)
}

// Show shows a notification, and returns when the desktop has it, after ten seconds at most. errors.ErrUnsupported says that this
// package has no way for this system.
func (n *Notifier) Show(ctx context.Context, note Note) error {
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	return n.show(ctx, note)
}

// Close gives up what showing took; what is shown stays, but nobody hears of clicks on it any more.
func (n *Notifier) Close() error { return n.close() }
