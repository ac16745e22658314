package desktop

import (
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf16"
)

// The texts of the entries of all systems stand here, so that all of them are tested on each.

// desktopEntry starts a program with the session (XDG autostart).
func desktopEntry(program string, args []string) string {
	words := []string{desktopWord(program)}
	for _, a := range args {
		words = append(words, desktopWord(a))
	}
	return "[Desktop Entry]\nType=Application\nName=Porchlight\nComment=Share folders between the computers of one home or small office\n" +
		"Exec=" + strings.Join(words, " ") + "\nTerminal=false\nX-GNOME-Autostart-enabled=true\n"
}

// desktopWord quotes an argument as the Desktop Entry Specification has it: for its own quoting first, then as a string.
func desktopWord(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(s)
	s = strings.ReplaceAll(`"`+s+`"`, `\`, `\\`)
	return strings.NewReplacer("%", "%%", "\n", `\n`, "\t", `\t`).Replace(s)
}

// systemdUnit is a service of the user.
func systemdUnit(program string, args []string) string {
	words := []string{systemdWord(program)}
	for _, a := range args {
		words = append(words, systemdWord(a))
	}
	return "[Unit]\nDescription=Porchlight, files on the local network\n\n" +
		"[Service]\nExecStart=" + strings.Join(words, " ") + "\nRestart=on-failure\nRestartSec=5\n\n[Install]\nWantedBy=default.target\n"
}

// systemdWord quotes an argument (systemd.service(5), "Command lines").
func systemdWord(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// launchAgent starts a program when the user logs in (launchd.plist(5)); one that is kept is started again when it fails.
func launchAgent(label, program string, args []string, keep bool) string {
	var b strings.Builder
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` +
		"\n<plist version=\"1.0\">\n<dict>\n\t<key>Label</key>\n\t<string>" + escape(label) + "</string>\n\t<key>ProgramArguments</key>\n\t<array>\n")
	for _, a := range append([]string{program}, args...) {
		fmt.Fprintf(&b, "\t\t<string>%s</string>\n", escape(a))
	}
	b.WriteString("\t</array>\n\t<key>RunAtLoad</key>\n\t<true/>\n")
	if keep {
		b.WriteString("\t<key>KeepAlive</key>\n\t<dict>\n\t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>\n")
	}
	b.WriteString("\t<key>ProcessType</key>\n\t<string>Interactive</string>\n</dict>\n</plist>\n")
	return b.String()
}

// scheduledTask starts a program when the user logs on, for as long as it likes, on battery too.
func scheduledTask(user, program string, args []string) string {
	var words []string
	for _, a := range args {
		words = append(words, windowsWord(a))
	}
	return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>Porchlight, files on the local network</Description></RegistrationInfo>
  <Triggers><LogonTrigger><UserId>` + escape(user) + `</UserId></LogonTrigger></Triggers>
  <Principals><Principal id="Author"><UserId>` + escape(user) + `</UserId><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel></Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>3</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author"><Exec><Command>` + escape(program) + `</Command><Arguments>` + escape(strings.Join(words, " ")) + `</Arguments></Exec></Actions>
</Task>
`
}

// utf16File is a text as Windows writes it into files: little-endian UTF-16 behind a mark that says so. The scheduler takes other
// encodings for that of old programs, and no path with an umlaut survives it.
func utf16File(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// taskCommands are the lines for the scheduler of Windows (schtasks): one that takes a task described in a file, and those that
// end it and take it out. What runs already goes on running until it is ended.
func taskCommands(name, file string) (add []string, remove [][]string) {
	return []string{"/Create", "/F", "/TN", name, "/XML", file}, [][]string{{"/End", "/TN", name}, {"/Delete", "/F", "/TN", name}}
}

// explorerLine has the file manager of Windows open a folder, or choose a file in its folder. It wants quotes around the path alone, and
// takes the command line as it is: with quotes around the whole word it opens another folder, and without any a comma ends a path.
func explorerLine(path string, dir bool) string {
	if dir {
		return `explorer "` + path + `"`
	}
	return `explorer /select,"` + path + `"`
}

// agentCommands start and stop an agent of launchd (launchctl(1)) for the user who is logged in.
func agentCommands(path, label string) (start, stop string) {
	return "launchctl bootstrap gui/$(id -u) " + shellWord(path), "launchctl bootout gui/$(id -u)/" + label
}

// shellWord quotes a word for the shells of Linux and macOS.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// windowsWord quotes an argument as programs on Windows take command lines apart (CommandLineToArgvW).
func windowsWord(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, r := range s {
		switch r {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteRune(r)
	}
	return b.String() + strings.Repeat(`\`, slashes) + `"`
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
