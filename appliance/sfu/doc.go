// Package sfu owns calls while they run: who sits in which seat, what is forwarded to whom, and when it stops.
//
// It must not know the store, names of people, sockets of browsers or how anything is recorded. It decides nothing about
// who may visit; it decides at once, and alone, that media stops: at the fixed end, at a pause, at a cut.
//
// A call opens as a waiting room, goes live when both sides, the recorder and the start are there, may be paused and
// resumed, and ends at an instant that nobody can move later. Its logic is a pure state machine that computes a whole
// forwarding [Table] from its state; a [Path] moves the packets and knows nothing but the table.
package sfu
