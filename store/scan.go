package store

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strconv"
)

// valuesOf are the arguments of a statement as a driver takes them.
func valuesOf(args []any) ([]driver.NamedValue, error) {
	if len(args) == 0 {
		return nil, nil
	}
	out := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		out[i].Ordinal = i + 1
		switch arg.(type) {
		case string, int64, []byte, bool:
			out[i].Value = arg
		default:
			v, err := driver.DefaultParameterConverter.ConvertValue(arg)
			if err != nil {
				return nil, fmt.Errorf("argument %d of a statement: %w", i+1, err)
			}
			out[i].Value = v
		}
	}
	return out, nil
}

// Scan is that of [sql.Rows] for the types that the store keeps. Bytes belong to who
// asks for them.
func (r *rows) Scan(dest ...any) error {
	if len(dest) != len(r.row) {
		return fmt.Errorf("the query yields %d columns, and %d are wanted", len(r.row), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, r.row[i]); err != nil {
			return fmt.Errorf("column %d (%s): %w", i, r.raw.Columns()[i], err)
		}
	}
	return nil
}

// assign puts a value into a place. What is of another kind is converted where that
// loses nothing.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *int64:
		return assignInt(d, v)
	case *string:
		return assignText(d, v)
	case *[]byte:
		return assignBytes(d, v)
	case *sql.RawBytes:
		return assignBytes((*[]byte)(d), v)
	case *bool:
		var n int64
		err := assignInt(&n, v)
		*d = n != 0
		return err
	case sql.Scanner:
		return d.Scan(v)
	}
	at := reflect.ValueOf(dest).Elem()
	switch at.Kind() {
	case reflect.String:
		var s string
		err := assignText(&s, v)
		at.SetString(s)
		return err
	case reflect.Int:
		var n int64
		err := assignInt(&n, v)
		at.SetInt(n)
		return err
	case reflect.Slice:
		var b []byte
		err := assignBytes(&b, v)
		at.SetBytes(b)
		return err
	}
	return fmt.Errorf("%T cannot take a value", dest)
}

func assignInt(d *int64, v driver.Value) error {
	switch v := v.(type) {
	case int64:
		*d = v
		return nil
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		*d = n
		return err
	}
	return fmt.Errorf("%T is no integer", v)
}

func assignText(d *string, v driver.Value) error {
	switch v := v.(type) {
	case string:
		*d = v
	case []byte:
		*d = string(v)
	case int64:
		*d = strconv.FormatInt(v, 10)
	default:
		return fmt.Errorf("%T is no text", v)
	}
	return nil
}

func assignBytes(d *[]byte, v driver.Value) error {
	switch v := v.(type) {
	case nil:
		*d = nil
	case []byte:
		*d = v
	case string:
		*d = []byte(v)
	default:
		return fmt.Errorf("%T is no text", v)
	}
	return nil
}
