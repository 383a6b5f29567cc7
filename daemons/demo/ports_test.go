package main

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestPortInUseNamesPortAndFlag(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	o, err := parse([]string{"-state", t.TempDir(), "-free-ports"})
	if err != nil {
		t.Fatal(err)
	}
	if err := choose(o.list); err != nil {
		t.Fatal(err)
	}
	*o.list[2].number, _ = strconv.Atoi(taken)
	err = check(o.list)
	if err == nil || !strings.Contains(err.Error(), "port "+taken) || !strings.Contains(err.Error(), "-staff-port") {
		t.Errorf("a taken port is reported as %v", err)
	}
}

func TestFreePortsReachTheDaemons(t *testing.T) {
	o, err := parse([]string{"-state", t.TempDir(), "-free-ports"})
	if err != nil {
		t.Fatal(err)
	}
	before := *o.ports
	if err := choose(o.list); err != nil {
		t.Fatal(err)
	}
	if o.ports.etcd == before.etcd || o.ports.visitor == before.visitor {
		t.Errorf("ports stay %+v", *o.ports)
	}
}

func TestOneEvaluationAFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path); err == nil {
		t.Error("a second evaluation took the same folder")
	}
	unlock()
	again, err := lock(path)
	if err != nil {
		t.Fatalf("the folder is not given back: %v", err)
	}
	again()
}
