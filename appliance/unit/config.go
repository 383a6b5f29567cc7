package unit

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"

	"github.com/BurntSushi/toml"

	"sallyport/appliance/fault"
)

// Configure reads a daemon's command line and, over the defaults that are in cfg, its configuration: "--config FILE"
// names another file than path, and "--check" only says whether it is right. It returns false when there is nothing to
// serve: after a check, which ends with [Stopped] or [Misconfigured], and with an error.
func (e *Env) Configure(path string, cfg any) (serve bool, err error) {
	flags := flag.NewFlagSet(e.Name, flag.ContinueOnError)
	file := flags.String("config", path, "the configuration")
	check := flags.Bool("check", false, "read the configuration, say what is wrong with it, and end")
	if err := flags.Parse(e.Args); err != nil {
		return false, fault.New("unit.Configure", fault.Invalid, "The command line is not correct.").WithCode("config.flags").Because(err)
	}
	if flags.NArg() > 0 {
		return false, fault.Newf("unit.Configure", fault.Invalid, "The command line has %q, which means nothing.", flags.Arg(0)).WithCode("config.flags")
	}
	if err := Config(*file, cfg); err != nil {
		return false, err
	}
	return !*check, nil
}

// Config reads a TOML file over the defaults that are in cfg. A key that cfg does not have is an error, so that a
// misspelled rule is not silently without effect; then cfg's own Validate() error is asked, if it has one. Errors name
// file and key and end the daemon with [Misconfigured].
func Config(path string, cfg any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Newf("unit.Config", fault.Invalid, "The configuration %s does not exist.", path).WithCode("config.missing")
	}
	if err != nil {
		return fault.Newf("unit.Config", fault.Invalid, "The configuration %s cannot be read.", path).WithCode("config.missing").Because(err)
	}
	meta, err := toml.Decode(string(b), cfg)
	if err != nil {
		f := fault.Newf("unit.Config", fault.Invalid, "The configuration %s is not correct: %s", path, words(err)).WithCode("config.syntax")
		return f.Because(err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, k := range unknown {
			names[i] = k.String()
		}
		return fault.Newf("unit.Config", fault.Invalid, "The configuration %s has unknown keys: %s.", path, strings.Join(names, ", ")).WithCode("config.unknown_key")
	}
	if v, ok := cfg.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			code := fault.CodeOf(err)
			if !strings.HasPrefix(code, "config.") {
				code = "config.value"
			}
			return fault.Newf("unit.Config", fault.Invalid, "The configuration %s is not correct.", path).WithCode(code).Because(err)
		}
	}
	return nil
}

// words is a parser's message without the listing of the file.
func words(err error) string {
	if p, ok := errors.AsType[toml.ParseError](err); ok {
		return p.Error()
	}
	return err.Error()
}

// BadSetting is the refusal of one key of the configuration, for Validate: BadSetting("visitor.listen", "must be ...").
func BadSetting(key, format string, args ...any) *fault.Error {
	return fault.Newf("unit.Config", fault.Invalid, "["+strings.ReplaceAll(key, "%", "%%")+"] "+format+".", args...).WithCode("config.value")
}
