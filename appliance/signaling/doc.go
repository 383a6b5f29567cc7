// Package signaling owns the socket between call clients and the gateway: its messages, limits and heartbeat.
//
// It must not know how media flows or when a call ends: it verifies who comes and carries words between a browser and its
// place in a call. The protocol is described in protocol.md beside this file, and a test reads every example there.
//
// A connection begins with a join (grant) or a resume (token), lives by pings that the client answers, and ends when either
// side leaves or six seconds pass without a frame; the seat outlives it for the call's grace.
package signaling
