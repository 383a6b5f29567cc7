package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sallyport/appliance/fault"
	"sallyport/appliance/logs"
	"sallyport/provisioning"
	"sallyport/provisioning/running"
)

// siteCmd is what is done with the site file.
type siteCmd struct {
	Check  siteCheckCmd  `cmd:"" help:"Say everything that is wrong with a site file."`
	Sample siteSampleCmd `cmd:"" help:"Print a site file with every key."`
	Render siteRenderCmd `cmd:"" help:"Write the files that follow from a site file into a folder."`
	Apply  siteApplyCmd  `cmd:"" help:"Make the running system that of the site file; done by a unit at each start."`
}

type siteCheckCmd struct {
	File string `arg:"" help:"The site file." type:"existingfile"`
}

// Run prints the problems, a line each.
func (c siteCheckCmd) Run(t *tool) error {
	site, err := readSite(t, c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s: a site file for %s\n", c.File, site.Facility.Name)
	return nil
}

// readSite reads a site file and prints what is wrong with it as FILE:LINE: KEY: WORDS.
func readSite(t *tool, path string) (*provisioning.Site, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Newf("site", fault.Invalid, "%s cannot be read.", path).Because(err)
	}
	site, problems := provisioning.Read(text)
	if len(problems) == 0 {
		return site, nil
	}
	for _, p := range problems {
		at := path
		if p.Line > 0 {
			at = fmt.Sprintf("%s:%d", path, p.Line)
		}
		if p.Key != "" {
			at += ": " + p.Key
		}
		fmt.Fprintf(t.out, "%s: %s\n", at, p.Say)
	}
	return nil, fault.Newf("site", fault.Invalid, "The site file is not correct: problems %d.", len(problems)).WithCode("site.file")
}

type siteSampleCmd struct{}

// Run prints the sample, which is the schema.
func (siteSampleCmd) Run(t *tool) error {
	_, err := t.out.Write(provisioning.Sample)
	return err
}

type siteRenderCmd struct {
	File string `arg:"" optional:"" help:"The site file; without one, the files of a box that waits for its site." type:"existingfile"`
	To   string `help:"The folder; paths below it are those of the box." required:"" type:"path"`
}

// Run writes the files and prints their paths.
func (c siteRenderCmd) Run(t *tool) error {
	var site *provisioning.Site
	if c.File != "" {
		var err error
		if site, err = readSite(t, c.File); err != nil {
			return err
		}
	}
	there := running.System{Root: c.To, Log: logs.New(os.Stderr)}
	here, err := running.Here(there.Log).Facts()
	if err != nil {
		return err
	}
	files := provisioning.Render(site, here)
	if _, err := there.Place(files); err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(t.out, filepath.Join(c.To, f.Path))
	}
	return nil
}

type siteApplyCmd struct{}

// Run applies the site file that rules.
func (siteApplyCmd) Run(t *tool) error { return running.Here(logs.New(os.Stderr)).Apply(t.ctx) }
