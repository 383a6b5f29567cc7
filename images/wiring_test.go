package images_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// texts are all the texts that stand in a program's source, with the values of the constants of vault that it names.
func texts(t *testing.T, program string) map[string]bool {
	t.Helper()
	constants := map[string]string{}
	for _, path := range found(t, "../appliance/vault/*.go") {
		eachNode(t, path, func(n ast.Node) {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return
			}
			for i, name := range v.Names {
				if i < len(v.Values) {
					if lit, ok := v.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						constants[name.Name], _ = strconv.Unquote(lit.Value)
					}
				}
			}
		})
	}
	all := map[string]bool{}
	for _, path := range found(t, "../daemons/"+program+"/*.go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		eachNode(t, path, func(n ast.Node) {
			switch n := n.(type) {
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					if s, err := strconv.Unquote(n.Value); err == nil {
						all[s] = true
					}
				}
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "vault" && constants[n.Sel.Name] != "" {
					all[constants[n.Sel.Name]] = true
				}
			}
		})
	}
	return all
}

func eachNode(t *testing.T, path string, fn func(ast.Node)) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool { fn(n); return true })
}

// speaks tells whether a text stands in the source, whole or as a beginning that the program completes: "tls-" + door.
func speaks(source map[string]bool, name string) bool {
	if source[name] {
		return true
	}
	head, rest, cut := strings.Cut(name, "-")
	return cut && source[head+"-"] && source[rest]
}

var program = regexp.MustCompile(`^[-@:+!]*/usr/bin/(\w+)`)

// programs are the programs of ours that a unit starts.
func (u unit) programs() (all []string) {
	for _, s := range u.lines {
		if m := program.FindStringSubmatch(s.value); strings.HasPrefix(s.key, "Exec") && m != nil {
			all = append(all, m[1])
		}
	}
	return all
}

// opens are the sockets by service: each has the name under which the daemon takes it.
func opens(t *testing.T) map[string][]unit {
	t.Helper()
	all := map[string][]unit{}
	for _, u := range units(t) {
		if strings.HasSuffix(u.name, ".socket") {
			service := u.last("Service")
			if service == "" {
				service = strings.TrimSuffix(u.name, ".socket") + ".service"
			}
			all[service] = append(all[service], u)
		}
	}
	return all
}

// TestSocketsHaveTakers finds for each socket the service that exists and the name in that program's source.
func TestSocketsHaveTakers(t *testing.T) {
	byName := map[string]unit{}
	for _, u := range units(t) {
		byName[u.name] = u
	}
	sockets := opens(t)
	for _, service := range slices.Sorted(maps.Keys(sockets)) {
		owner, ok := byName[service]
		if !ok {
			t.Errorf("%s starts %s, which is not there", sockets[service][0].path, service)
			continue
		}
		for _, program := range owner.programs() {
			source := texts(t, program)
			for _, s := range sockets[service] {
				name := s.last("FileDescriptorName")
				if name == "" {
					t.Errorf("%s has no FileDescriptorName: %s takes its sockets by name", s.path, program)
				} else if !takes(source, name) {
					t.Errorf("%s hands over %q, which the source of %s does not name", s.path, name, program)
				}
			}
		}
	}
}

// takes is speaks for sockets. The split takes whatever its routes name, by the beginning of the name.
func takes(source map[string]bool, name string) bool {
	if speaks(source, name) {
		return true
	}
	head, _, _ := strings.Cut(name, "-")
	return source[head+"-"]
}

// TestCredentialsAreMadeAndUsed holds that a unit loads what its program asks for, each from the file of its own name, and
// that a program asks for nothing that its unit does not load.
func TestCredentialsAreMadeAndUsed(t *testing.T) {
	loaded := map[string]map[string]bool{} // by program
	for _, u := range services(t) {
		for _, value := range u.all("LoadCredential") {
			name, path, _ := strings.Cut(value, ":")
			// The site file is no secret, but its folder is root's: the courier is handed a copy.
			courier := u.name == "sallyport-fetch.service" && value == "site:/var/lib/sallyport/site/site.toml"
			if u.ofTheBox() && !courier && path != "/var/lib/sallyport/secrets/"+name {
				t.Errorf("%s: the credential %s comes from %s, not from its own file among the secrets", u.path, name, path)
			}
			for _, program := range u.programs() {
				if loaded[program] == nil {
					loaded[program] = map[string]bool{}
				}
				loaded[program][name] = true
				if !speaks(texts(t, program), name) {
					t.Errorf("%s loads %s, which the source of %s does not name", u.path, name, program)
				}
			}
		}
	}
	for _, program := range []string{"bookingd", "gatewayd", "syncd"} {
		source := texts(t, program)
		for _, name := range secretNames(t) {
			if source[name] && !loaded[program][name] {
				t.Errorf("%s asks for %s, which its unit does not load", program, name)
			}
		}
	}
}

// secretNames are the names of the key files that vault and gatewayd have.
func secretNames(t *testing.T) (all []string) {
	t.Helper()
	key := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	for _, path := range []string{"../appliance/vault/credentials.go", "../daemons/gatewayd/config.go", "../daemons/syncd/config.go"} {
		eachNode(t, path, func(n ast.Node) {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && key.MatchString(s) {
					all = append(all, s)
				}
			}
		})
	}
	if len(all) < 5 {
		t.Fatalf("only the secrets %v are found", all)
	}
	return all
}

// TestEachDaemonHasItsUnit holds that each daemon runs as a user of its own and takes 78 for an answer.
func TestEachDaemonHasItsUnit(t *testing.T) {
	users := map[string]string{}
	for _, u := range services(t) {
		if !slices.Contains(daemons, u.name) {
			continue
		}
		user := u.last("User")
		if user == "" || user == "root" || users[user] != "" {
			t.Errorf("%s runs as %q, as does %q", u.path, user, users[user])
		}
		users[user] = u.name
		if u.last("RestartPreventExitStatus") != "78" || u.last("Restart") != "always" || u.last("Type") != "notify" || u.last("WatchdogSec") == "" {
			t.Errorf("%s: a daemon says when it is ready, is watched, and is restarted but for a wrong configuration (78)", u.path)
		}
	}
	for _, name := range []string{"bookingd.service", "gatewayd.service", "syncd.service"} {
		if !slices.Contains(slices.Collect(maps.Values(users)), name) {
			t.Errorf("%s is not there", name)
		}
	}
}
