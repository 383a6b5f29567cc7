// Package provisioning owns what makes a box the appliance of one facility: the site file with its schema, and the files
// of the running system that follow from it.
//
// It must not know what the doors do, and opens no database. [Read] turns the text of a site file into a [Site] or into
// every [Problem] at once, each with its line and what to write instead. [Render] is pure: a site and the facts of the
// machine in, files out; without a site it renders the waiting state, in which a box has its setup door and nothing else.
package provisioning
