package store

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// value turns an argument into one of the four things that SQLite stores, or nil.
func value(a any) (driver.Value, error) {
	switch v := a.(type) {
	case nil, int64, float64, bool, []byte, string:
		return v, nil
	case int:
		return int64(v), nil
	case time.Time:
		return Ms(v), nil
	case json.RawMessage: // a JSON column is TEXT, and a STRICT table refuses a BLOB there
		if v == nil {
			return nil, nil
		}
		return string(v), nil
	case *time.Time:
		if v == nil {
			return nil, nil
		}
		return Ms(*v), nil
	}
	if s := reflect.ValueOf(a); s.Kind() == reflect.String { // an id
		if _, own := a.(driver.Valuer); !own {
			return s.String(), nil
		}
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(a)
	if t, ok := v.(time.Time); ok {
		return Ms(t), nil
	}
	return v, err
}

func scan(cols []driver.Value, dest []any) error {
	if len(cols) != len(dest) {
		return fmt.Errorf("scan %d columns into %d values", len(cols), len(dest))
	}
	for i, d := range dest {
		if err := assign(cols[i], d); err != nil {
			return fmt.Errorf("scan column %d: %w", i+1, err)
		}
	}
	return nil
}

// assign handles what rooms use most without reflection.
func assign(col driver.Value, dest any) error {
	switch d := dest.(type) {
	case *string:
		if s, ok := col.(string); ok {
			*d = s
			return nil
		}
	case *int64:
		if n, ok := col.(int64); ok {
			*d = n
			return nil
		}
	case *int:
		if n, ok := col.(int64); ok {
			*d = int(n)
			return nil
		}
	case *bool:
		if n, ok := col.(int64); ok {
			*d = n != 0
			return nil
		}
	case *time.Time:
		if n, ok := col.(int64); ok {
			*d = Time(n)
			return nil
		}
	case *any:
		*d = col
		return nil
	case sql.Scanner:
		return d.Scan(col)
	}
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("%T is not a pointer to scan into", dest)
	}
	return assignTo(col, p.Elem())
}

func assignTo(col driver.Value, to reflect.Value) error {
	if col == nil {
		to.SetZero()
		return nil
	}
	if to.Kind() == reflect.Pointer {
		one := reflect.New(to.Type().Elem())
		if err := assign(col, one.Interface()); err != nil {
			return err
		}
		to.Set(one)
		return nil
	}
	switch v := col.(type) {
	case int64:
		switch {
		case to.CanInt() && !to.OverflowInt(v):
			to.SetInt(v)
			return nil
		case to.CanUint() && v >= 0 && !to.OverflowUint(uint64(v)):
			to.SetUint(uint64(v))
			return nil
		case to.CanFloat():
			to.SetFloat(float64(v))
			return nil
		case to.Kind() == reflect.Bool:
			to.SetBool(v != 0)
			return nil
		}
	case float64:
		if to.CanFloat() {
			to.SetFloat(v)
			return nil
		}
	case string:
		switch {
		case to.Kind() == reflect.String:
			to.SetString(v)
			return nil
		case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8:
			to.SetBytes([]byte(v))
			return nil
		}
	case []byte:
		switch {
		case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8:
			to.SetBytes(v)
			return nil
		case to.Kind() == reflect.Array && to.Type().Elem().Kind() == reflect.Uint8 && to.Len() == len(v):
			reflect.Copy(to, reflect.ValueOf(v))
			return nil
		}
	}
	return fmt.Errorf("a %T does not fit into %v", col, to.Type())
}
