package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/provisioning/bundle"
	"sallyport/provisioning/signature"
)

type keygenCmd struct {
	Path string `arg:"" help:"Where to write PATH.key and PATH.pub." type:"path"`
}

// Run makes a pair; neither file may exist.
func (c keygenCmd) Run(t *tool) error {
	key, err := signature.Generate()
	if err != nil {
		return err
	}
	if err := key.Write(c.Path); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "written: %s.key, %s.pub\n", c.Path, c.Path)
	return nil
}

type describeCmd struct {
	From    string         `arg:"" help:"What is the same for every build of this source: images/release.json." type:"existingfile"`
	Version bundle.Version `help:"The version." required:""`
	Built   string         `help:"Date of the sources, yyyy-mm-dd." required:""`
	Schema  int            `help:"Level of the database, as bookingd --schema prints it." required:""`
	Reads   int            `help:"Lowest level of a program that can work with that database." required:""`
}

// Run prints the release as JSON.
func (c describeCmd) Run(t *tool) error {
	raw, err := os.ReadFile(c.From)
	if err != nil {
		return err
	}
	var rel bundle.Release
	if err := json.Unmarshal(raw, &rel); err != nil {
		return err
	}
	rel.Version, rel.Built, rel.Schema, rel.Reads = c.Version, c.Built, c.Schema, [2]int{c.Reads, c.Schema}
	if err := rel.Validate(); err != nil {
		return err
	}
	out := json.NewEncoder(t.out)
	out.SetIndent("", "  ")
	return out.Encode(rel)
}

type packCmd struct {
	Release string `help:"The description that is in the image." required:"" type:"existingfile"`
	Key     string `help:"The signing key." required:"" type:"existingfile"`
	UKI     string `help:"The boot image, sallyport_VERSION.efi." name:"uki" required:"" type:"existingfile"`
	Loader  string `help:"The loader that is on the ESP, as sallyport_VERSION.loader." required:"" type:"existingfile"`
	Root    string `help:"The root partition, sallyport_VERSION.root-x86-64.UUID.raw." required:"" type:"existingfile"`
	Verity  string `help:"Its verity tree, sallyport_VERSION.root-x86-64-verity.UUID.raw." required:"" type:"existingfile"`
	Out     string `arg:"" help:"Where to write sallyport-VERSION.upd." type:"path"`
}

// Run writes the update.
func (c packCmd) Run(t *tool) error {
	raw, err := os.ReadFile(c.Release)
	if err != nil {
		return err
	}
	rel, err := bundle.ReadRelease(raw)
	if err != nil {
		return err
	}
	key, err := signature.OpenSigner(c.Key)
	if err != nil {
		return err
	}
	if err := bundle.Pack(t.ctx, c.Out, rel, bundle.Sources{UKI: c.UKI, Loader: c.Loader, Root: c.Root, Verity: c.Verity}, key); err != nil {
		return err
	}
	info, err := os.Stat(c.Out)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s: version %v, %d MB\n", filepath.Base(c.Out), rel.Version, info.Size()/1_000_000)
	return nil
}
