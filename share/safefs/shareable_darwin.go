package safefs

func forbiddenRoot(string) string { return whyAll }

// systemPlaces is in lower case, as the disk does not tell cases apart.
func systemPlaces() map[string]place {
	return map[string]place{
		"/system": throughout(whySystem), "/system/volumes": {open: true}, "/library": throughout(whySystem), "/applications": exactly(whySystem),
		"/dev": throughout(whySystem), "/bin": throughout(whySystem), "/sbin": throughout(whySystem), "/usr": exactly(whySystem), "/usr/bin": throughout(whySystem),
		"/usr/lib": throughout(whySystem), "/usr/sbin": throughout(whySystem), "/usr/libexec": throughout(whySystem), "/cores": throughout(whySystem),
		"/etc": throughout(whySystem), "/private": exactly(whySystem), "/private/etc": throughout(whySystem), "/private/var": exactly(whySystem),
		"/private/var/db": throughout(whySystem), "/private/var/root": throughout(whyHome), "/private/tmp": exactly(whySystem), "/tmp": exactly(whySystem),
		"/volumes": exactly(whySystem), "/users": exactly(whyHomes),
	}
}

func pseudo(string) string { return "" }
