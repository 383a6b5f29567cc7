// Package fleet holds the tests of the whole appliance as processes: the real daemons and a central site, started by the
// real demo, met through the doors as browsers meet them and through signaling as call clients do.
//
// It holds tests only and must not know the inside of a daemon. Three houses run beside each other: a calm one for a whole
// visit, a stormy one whose daemons are killed during calls, and a cut one that loses its centre and its disk. A visit
// begins about a minute after its house does, so that all waiting is shared. The short form (the default) has staff end the
// long call; FLEET=all waits for its fixed end.
package fleet
