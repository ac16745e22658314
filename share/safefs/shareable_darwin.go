package safefs

func forbiddenRoot(string) Why { return WhyAll }

// systemPlaces is in lower case, as the disk does not tell cases apart.
func systemPlaces() map[string]place {
	return map[string]place{
		"/system": throughout(WhySystem), "/system/volumes": {open: true}, "/library": throughout(WhySystem), "/applications": exactly(WhySystem),
		"/dev": throughout(WhySystem), "/bin": throughout(WhySystem), "/sbin": throughout(WhySystem), "/usr": exactly(WhySystem), "/usr/bin": throughout(WhySystem),
		"/usr/lib": throughout(WhySystem), "/usr/sbin": throughout(WhySystem), "/usr/libexec": throughout(WhySystem), "/cores": throughout(WhySystem),
		"/etc": throughout(WhySystem), "/private": exactly(WhySystem), "/private/etc": throughout(WhySystem), "/private/var": exactly(WhySystem),
		"/private/var/db": throughout(WhySystem), "/private/var/root": throughout(WhyHome), "/private/tmp": exactly(WhySystem), "/tmp": exactly(WhySystem),
		"/volumes": exactly(WhySystem), "/users": exactly(WhyHomes),
	}
}

func pseudo(string) Why { return "" }
