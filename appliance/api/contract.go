// Package api owns the public contract of bookingd (openapi.yaml) and what all four doors share: the check of every
// request against the contract, sessions, CSRF and origin, security headers, RFC 9457 problems, rate limits, live
// updates and the static pages.
//
// It must not know what any route does: that is in the door packages below it, one each for visitor, kiosk, staff and
// setup, which see the rooms and nothing of each other. What staff and set-up both answer (sign-in, stations, visiting
// hours) stands here once, as methods of [Rooms]. A route that is not in the contract does not exist, and a route
// whose contract names no stage needs a whole session: forgetting something closes a door.
package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// contractJSON is openapi.yaml in the form that needs no YAML reader; TestContractIsFresh compares the two.
//
//go:embed openapi.json
var contractJSON []byte

// Operation is one route of the contract.
type Operation struct {
	ID     string
	Method string // upper case
	Path   string // "/api/visitor/visits/{visit}"
	Door   string
	Stage  string // public, any, full
	Can    string // capability of staff, "" when the session is enough
	Limit  int    // requests a minute from one address, 0: only the door's own limit
	Fresh  int    // minutes that the session's second factor may be old, 0: as old as the session
	params []parameter
	body   *schema // nil: no JSON body is read
	stream bool    // a body that is not JSON
}

// Route returns the path in Fiber's form, "/api/visitor/visits/:visit".
func (o Operation) Route() string {
	return strings.NewReplacer("{", ":", "}", "").Replace(o.Path)
}

// Contract is the parsed contract. It is immutable.
type Contract struct {
	Operations []Operation
	byRoute    map[string]*Operation // "GET /api/visitor/visits/:visit"
	schemas    map[string]*schema
}

// Load reads the embedded contract. It returns an error only when the contract uses something the checker does not know,
// so that no bound is silently ignored.
func Load() (*Contract, error) {
	var doc struct {
		Paths      map[string]map[string]rawOperation `json:"paths"`
		Components struct {
			Schemas       map[string]*schema   `json:"schemas"`
			Parameters    map[string]parameter `json:"parameters"`
			RequestBodies map[string]rawBody   `json:"requestBodies"`
		} `json:"components"`
	}
	if err := json.Unmarshal(contractJSON, &doc); err != nil {
		return nil, fmt.Errorf("read contract: %w", err)
	}
	c := &Contract{byRoute: map[string]*Operation{}, schemas: doc.Components.Schemas}
	for name, s := range c.schemas {
		if err := s.compile(name, c.schemas); err != nil {
			return nil, err
		}
	}
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			op := Operation{ID: raw.ID, Method: strings.ToUpper(method), Path: path, Stage: raw.Stage, Can: raw.Can, Limit: raw.Limit, Fresh: raw.Fresh}
			op.Door = strings.SplitN(path, "/", 4)[2]
			if op.Stage == "" {
				op.Stage = "full"
			}
			for _, p := range raw.Parameters {
				if p.Ref != "" {
					p = doc.Components.Parameters[p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]]
				}
				if p.Schema == nil {
					return nil, fmt.Errorf("contract: %s has a parameter without a schema", op.ID)
				}
				if err := p.Schema.compile(op.ID+"."+p.Name, c.schemas); err != nil {
					return nil, err
				}
				op.params = append(op.params, p)
			}
			if body := raw.Body; body != nil {
				if body.Ref != "" {
					b := doc.Components.RequestBodies[body.Ref[strings.LastIndexByte(body.Ref, '/')+1:]]
					body = &b
				}
				media, ok := body.Content["application/json"]
				op.stream = !ok
				if ok {
					if err := media.Schema.compile(op.ID, c.schemas); err != nil {
						return nil, err
					}
					op.body = media.Schema
				}
			}
			c.Operations = append(c.Operations, op)
		}
	}
	for i := range c.Operations {
		o := &c.Operations[i]
		c.byRoute[o.Method+" "+o.Route()] = o
	}
	return c, nil
}

type rawOperation struct {
	ID         string      `json:"operationId"`
	Stage      string      `json:"x-stage"`
	Can        string      `json:"x-can"`
	Limit      int         `json:"x-limit"`
	Fresh      int         `json:"x-fresh"`
	Parameters []parameter `json:"parameters"`
	Body       *rawBody    `json:"requestBody"`
}

type rawBody struct {
	Ref     string `json:"$ref"`
	Content map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"content"`
}

type parameter struct {
	Ref      string  `json:"$ref"`
	Name     string  `json:"name"`
	In       string  `json:"in"` // path, query, header
	Required bool    `json:"required"`
	Schema   *schema `json:"schema"`
}

// schema is the part of JSON Schema that the contract may use.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	Format     string             `json:"format"`
	Pattern    string             `json:"pattern"`
	Enum       []any              `json:"enum"`
	MinLength  int                `json:"minLength"`
	MaxLength  *int               `json:"maxLength"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	MaxItems   *int               `json:"maxItems"`
	Items      *schema            `json:"items"`
	Required   []string           `json:"required"`
	Properties map[string]*schema `json:"properties"`

	target  *schema
	pattern *regexp.Regexp
}

// compile resolves references and patterns and refuses a schema without bounds.
func (s *schema) compile(where string, all map[string]*schema) error {
	switch {
	case s.Ref != "":
		s.target = all[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
		if s.target == nil {
			return fmt.Errorf("contract: %s points to %s, which is not there", where, s.Ref)
		}
		return nil
	case s.Type == "string":
		if s.MaxLength == nil && s.Format != "binary" && len(s.Enum) == 0 && s.Properties == nil {
			return fmt.Errorf("contract: the text %s has no maxLength", where)
		}
		if s.Pattern != "" {
			re, err := regexp.Compile(s.Pattern)
			if err != nil {
				return fmt.Errorf("contract: %s: %w", where, err)
			}
			s.pattern = re
		}
	case s.Type == "array":
		if s.MaxItems == nil || s.Items == nil {
			return fmt.Errorf("contract: the list %s has no maxItems", where)
		}
		return s.Items.compile(where+"[]", all)
	case s.Type == "object":
		for name, p := range s.Properties {
			if err := p.compile(where+"."+name, all); err != nil {
				return err
			}
		}
	case s.Type == "integer" || s.Type == "number" || s.Type == "boolean":
	default:
		return fmt.Errorf("contract: %s is of the unknown type %q", where, s.Type)
	}
	return nil
}

// resolved follows references.
func (s *schema) resolved() *schema {
	for s.target != nil {
		s = s.target
	}
	return s
}
