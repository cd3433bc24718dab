package ctspeer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

const (
	numberMax = 1<<53 - 1 // every integer up to it is exact in every JSON parser
	depthMax  = 8         // the outermost object is 1
)

// object is a JSON object. Values are nil, bool, int64, string, []any and object: there is no floating-point number.
type object = map[string]any

// parseJSON parses one line without its line end, and refuses what parsers disagree about.
func parseJSON(line []byte) (any, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("not UTF-8")
	}
	if !json.Valid(line) {
		return nil, fmt.Errorf("not JSON: %w", json.Unmarshal(line, new(any)))
	}
	if loneSurrogate(line) {
		return nil, errors.New("half of a surrogate pair")
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	value, err := parseValue(decoder, 1)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

// parseValue reads one value that stands at nesting depth if it is a list or an object.
func parseValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		return parseNumber(token.String())
	case json.Delim:
		if depth > depthMax {
			return nil, fmt.Errorf("nested deeper than %d", depthMax)
		}
		if token == '[' {
			return parseList(decoder, depth)
		}
		return parseObject(decoder, depth)
	default:
		return token, nil
	}
}

func parseNumber(text string) (any, error) {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value > numberMax || value < -numberMax {
		return nil, fmt.Errorf("the number %.40s is no integer within 2^53-1", text)
	}
	return value, nil
}

func parseList(decoder *json.Decoder, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		value, err := parseValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := decoder.Token()
	return list, err
}

func parseObject(decoder *json.Decoder, depth int) (any, error) {
	fields := object{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if _, taken := fields[key]; taken {
			return nil, fmt.Errorf("the key %.80q twice", key)
		}
		if fields[key], err = parseValue(decoder, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := decoder.Token()
	return fields, err
}

// loneSurrogate finds a \u escape of half a surrogate pair, which encoding/json would silently replace. The line is
// valid JSON, so that a backslash occurs in strings only and is always followed by what it escapes.
func loneSurrogate(line []byte) bool {
	escape := func(at int) int64 {
		if at+6 > len(line) || line[at] != '\\' || line[at+1] != 'u' {
			return -1
		}
		unit, _ := strconv.ParseInt(string(line[at+2:at+6]), 16, 32)
		return unit
	}
	for at := 0; at < len(line); at++ {
		if line[at] != '\\' {
			continue
		}
		unit := escape(at)
		switch {
		case unit < 0:
			at++
		case unit < 0xd800 || unit > 0xdfff:
			at += 5
		case unit > 0xdbff || escape(at+6) < 0xdc00 || escape(at+6) > 0xdfff:
			return true
		default:
			at += 11
		}
	}
	return false
}
