// Package vault owns secrets: hashes of PINs and passwords, sealed files, the key files of a daemon, and the keys that
// seal and sign what replicates.
//
// It must not know whose secrets they are. A secret comes in as an argument and leaves as a hash or a sealed file; keys
// never appear in an error, a log or a file name.
package vault
