// Package assets embeds the files the program carries: words, icons and fonts. It imports nothing of the house.
package assets
