// Package roster holds the sample of a roster file: fictional people, every column, ready to import.
//
// It must not know what becomes of it.
package roster

import _ "embed"

// Sample is a full roster of 120 fictional inmates in the units "A Wing" and "B Wing".
//
//go:embed sample.csv
var Sample []byte
