package ctspeer

import (
	"encoding/base64"
	"slices"
	"strconv"
)

const (
	patternMax = 1 << 30 // bytes
	buffersMax = 64      // of a vectored call
	bufferMax  = 1 << 30 // bytes of one call to the library: as long as the longest pattern
	modeMax    = 0o777
)

// rawHandle is a handle of the system as a number.
type rawHandle struct {
	kind  string
	value uint64
}

// arguments are the checked arguments of a request: bool, uint64, int64, string, []byte, data, rawHandle, []uint64,
// []string.
type arguments map[string]any

// checkArguments checks a request before anything is done.
func checkArguments(name string, op operation, request object, features []string) (arguments, error) {
	checked := arguments{}
	for _, argument := range op.Args {
		given, present := request[argument.Name]
		if !present {
			if !argument.Optional {
				return nil, invalid("%s is missing", argument.Name)
			}
			continue
		}
		if argument.Feature != "" && !slices.Contains(features, argument.Feature) {
			return nil, Unsupported(argument.Name + " needs the feature " + argument.Feature)
		}
		value, ok := convert(argument, given)
		if !ok {
			return nil, invalid("%s is of another type than %s, or out of its range", argument.Name, argument.Type)
		}
		checked[argument.Name] = value
	}
	if data, given := checked["data"].(data); given && name == "stream.write_ancillary" && data.len() == 0 {
		return nil, invalid("data: no byte that anything could travel beside")
	}
	if most, given := checked.unsigned("max"); given && name == "stream.read_ancillary" && most == 0 {
		return nil, invalid("max: no byte that anything could come beside")
	}
	return checked, checked.checkRanges()
}

// checkRanges checks what a type alone does not say.
func (a arguments) checkRanges() error {
	for _, limit := range []struct {
		name        string
		least, most uint64
	}{{"protocol", 1, 1<<32 - 1}, {"mode", 0, modeMax}, {"backlog", 1, 1<<32 - 1}, {"buffer", 1, bufferMax}, {"chunk", 1, 1<<32 - 1}} {
		if value, given := a.unsigned(limit.name); given && (value < limit.least || value > limit.most) {
			return invalid("%s: %d is out of range", limit.name, value)
		}
	}
	if _, given := a.unsigned("max"); a["until"] == "exact" && !given {
		return invalid("max is missing: until exact needs it")
	}
	lengths, given := a["lengths"].([]uint64)
	if !given {
		return nil
	}
	sum := uint64(0)
	for _, length := range lengths {
		sum += length
	}
	if len(lengths) > buffersMax || sum > bufferMax {
		return invalid("lengths: more than %d buffers, or more than %d bytes", buffersMax, bufferMax)
	}
	if data, given := a["data"].(data); given && uint64(data.len()) != sum {
		return invalid("lengths: their sum is not the length of data")
	}
	return nil
}

// unsigned gives a u32 or u64, and whether it was given.
func (a arguments) unsigned(name string) (uint64, bool) {
	value, given := a[name].(uint64)
	return value, given
}

func convert(argument argument, given any) (any, bool) {
	switch argument.Type {
	case "bool":
		value, ok := given.(bool)
		return value, ok
	case "u32":
		return convertUnsigned(given, 1<<32-1)
	case "u64":
		return convertUnsigned(given, 1<<64-1)
	case "i64":
		value, ok := given.(int64)
		return value, ok
	case "text":
		value, ok := given.(string)
		return value, ok
	case "enum":
		value, ok := given.(string)
		return value, ok && slices.Contains(argument.Values, value)
	case "bytes":
		return convertBytes(given)
	case "data":
		return convertData(given)
	case "raw":
		return convertRaw(given)
	case "list_u32":
		return convertList(given, func(given any) (uint64, bool) { return convertUnsigned(given, 1<<32-1) })
	case "list_u64":
		return convertList(given, func(given any) (uint64, bool) { return convertUnsigned(given, 1<<64-1) })
	case "list_text":
		return convertList(given, func(given any) (string, bool) { text, ok := given.(string); return text, ok })
	}
	return nil, false
}

func convertList[T any](given any, element func(any) (T, bool)) (any, bool) {
	list, ok := given.([]any)
	values := make([]T, len(list))
	for i := 0; ok && i < len(list); i++ {
		values[i], ok = element(list[i])
	}
	return values, ok
}

// convertUnsigned takes an integer up to most; one that is wider than a number of the protocol is a decimal string.
func convertUnsigned(given any, most uint64) (uint64, bool) {
	switch given := given.(type) {
	case int64:
		return uint64(given), given >= 0 && uint64(given) <= most
	case string:
		value, ok := decimal(given)
		return value, ok && value > numberMax && value <= most
	}
	return 0, false
}

// decimal takes a number without sign or leading zeros.
func decimal(text string) (uint64, bool) {
	value, err := strconv.ParseUint(text, 10, 64)
	return value, err == nil && strconv.FormatUint(value, 10) == text
}

func convertBytes(given any) ([]byte, bool) {
	switch given := given.(type) {
	case string:
		return []byte(given), true
	case object:
		text, ok := given["b64"].(string)
		if !ok || len(given) != 1 {
			return nil, false
		}
		value, err := base64.StdEncoding.Strict().DecodeString(text)
		// The decoder skips line ends, which RFC 4648 forbids.
		return value, err == nil && base64.StdEncoding.EncodeToString(value) == text
	}
	return nil, false
}

func convertData(given any) (any, bool) {
	fields, isObject := given.(object)
	if _, b64 := fields["b64"]; !isObject || b64 {
		bytes, ok := convertBytes(given)
		return data{bytes: bytes}, ok && len(bytes) <= inlineBytesMax()
	}
	seed, seeded := fields["seed"].(int64)
	length, measured := fields["length"].(int64)
	ok := seeded && measured && len(fields) == 2
	ok = ok && seed >= 0 && seed < patternPeriod && length >= 0 && length <= patternMax
	return data{pattern: true, seed: int(seed), length: int(length)}, ok
}

func convertRaw(given any) (any, bool) {
	fields, _ := given.(object)
	kind, named := fields["kind"].(string)
	text, valued := fields["value"].(string)
	value, ok := decimal(text)
	ok = ok && named && valued && len(fields) == 2 && slices.Contains([]string{"fd", "handle", "socket"}, kind)
	return rawHandle{kind, value}, ok
}
