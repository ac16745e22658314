// Package gui draws view models with Fyne.
//
// It is left out of a headless build. Everything in it runs on Fyne's goroutine; what comes from another one passes through
// window.later, the one place that says fyne.Do.
package gui
