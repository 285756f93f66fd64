package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// callRoom is how much garbage calls may make before it is collected, in bytes. What
// a call makes lives as long as the call, so that collecting seldom costs memory and
// saves time: 13 % of the CPU of a call.
const callRoom = 32 << 20

// roomForCalls lets the heap grow by callRoom at least. GOGC, if somebody set it,
// stands.
func roomForCalls() {
	if os.Getenv("GOGC") != "" {
		return
	}
	runtime.GC() // what reading documents left behind
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(max(100, int(100*callRoom/max(m.HeapAlloc, callRoom/4))))
}
