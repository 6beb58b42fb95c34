//go:build !linux

package background

func yield() {}

func hurry(int) {}

func yieldWhole(int) {}
