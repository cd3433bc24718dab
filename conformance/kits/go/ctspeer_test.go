//go:build unix

package ctspeer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestMain makes the test program a peer when it is started as one.
func TestMain(m *testing.M) {
	if os.Getenv("CTS_PEER_UNDER_TEST") == "1" {
		fmt.Fprintln(os.Stderr, Run(testLibrary()))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// testLibrary is a small peer over package net.
func testLibrary() Library[*net.UnixListener, *net.UnixConn] {
	return Library[*net.UnixListener, *net.UnixConn]{
		Implementation: "test",
		Version:        "1",
		Features:       []string{"lanes", "close_while_in_use", "stream.duplex", "name.path"},
		Listen: func(name Name, _ ListenOptions) (*net.UnixListener, []byte, error) {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name.Bytes, Net: "unix"})
			return listener, []byte(name.Bytes), err
		},
		Connect: func(_ context.Context, name Name, _ CallOptions) (*net.UnixConn, error) {
			return net.DialUnix("unix", nil, &net.UnixAddr{Name: name.Bytes, Net: "unix"})
		},
		Accept:        func(l *net.UnixListener, _ CallOptions) (*net.UnixConn, error) { return l.AcceptUnix() },
		ListenerClose: (*net.UnixListener).Close,
		Read:          func(c *net.UnixConn, buffer []byte, _ CallOptions) (int, error) { return c.Read(buffer) },
		Write:         func(c *net.UnixConn, data []byte, _ CallOptions) (int, error) { return c.Write(data) },
		WriteVectored: func(c *net.UnixConn, data [][]byte, _ CallOptions) (int, error) {
			buffers := net.Buffers(data)
			written, err := buffers.WriteTo(c)
			return int(written), err
		},
		StreamClose: (*net.UnixConn).Close,
		Others: map[string]Operation{
			"socket.open":   openPipe,
			"socket.raw":    rawPipe,
			"signal.hooked": func(c Call) error { c.Begin(Unendable); select {} },
		},
		Closes: []string{"socket.close"},
	}
}

// pipe is an object of a kind that the kit has no functions for.
type pipe struct{ reader, writer *os.File }

func (p *pipe) Close() error { return errors.Join(p.reader.Close(), p.writer.Close()) }

func openPipe(c Call) error {
	c.Begin(Never)
	reader, writer, err := os.Pipe()
	if err == nil {
		c.Make("as", &pipe{reader, writer})
	}
	return err
}

// rawPipe gives a duplicate away, which a reset closes.
func rawPipe(c Call) error {
	value, err := c.On()
	if err != nil {
		return err
	}
	fd, err := syscall.Dup(int(value.(*pipe).reader.Fd()))
	if err == nil {
		c.Own(uintptr(fd))
		c.SetRaw(uintptr(fd))
	}
	return err
}

func TestJSONTakesWhatTheProtocolAllows(t *testing.T) {
	value, err := parseJSON([]byte(`{"a":[1,-9007199254740991,true,null],"b":{"c":"\u00e9\ud83d\ude00\\ud800"}}`))
	expected := object{
		"a": []any{int64(1), int64(-numberMax), true, nil},
		"b": object{"c": "é😀\\ud800"},
	}
	if err != nil || !reflect.DeepEqual(value, expected) {
		t.Errorf("%v, %v", value, err)
	}
	if _, err := parseJSON([]byte("[[[[[[[[]]]]]]]]")); err != nil {
		t.Error(err)
	}
}

func TestJSONRefusesEverythingElse(t *testing.T) {
	for _, line := range []string{
		`{"a":1,"a":1}`, `{"a":{"b":1,"b":2}}`, "1.0", "1e3", "9007199254740992", "-9007199254740992",
		"99999999999999999999999", "\"\xff\"", `"\ud800"`, `"\ud800x"`, `"\udc00"`, `"\\\ud800"`, `"\ud800\u0041"`,
		"[[[[[[[[[]]]]]]]]]", "{} {}", "", "nonsense", `{"a" 1}`,
	} {
		if value, err := parseJSON([]byte(line)); err == nil || err.Error() == "" {
			t.Errorf("%s: %v", line, value)
		}
	}
}

func TestPatternsAreThoseOfTheSharedVectors(t *testing.T) {
	text, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Pattern []struct {
			Seed, Length int
			CRC32        uint32
			Head         string
		}
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors.Pattern) == 0 {
		t.Fatal(err, len(vectors.Pattern))
	}
	for _, vector := range vectors.Pattern {
		pattern := data{pattern: true, seed: vector.Seed, length: vector.Length}
		whole := pattern.slice(0, pattern.len())
		head := base64.StdEncoding.EncodeToString(whole[:min(16, len(whole))])
		if crc32.ChecksumIEEE(whole) != vector.CRC32 || head != vector.Head {
			t.Errorf("seed %d, length %d: %s", vector.Seed, vector.Length, head)
		}
		for at := 0; at < len(whole); at += 1000 {
			if pattern.slice(at, 1)[0] != whole[at] {
				t.Fatalf("seed %d: byte %d", vector.Seed, at)
			}
		}
	}
}

// check parses a request's arguments.
func check(t *testing.T, operation, request string, features ...string) (string, arguments) {
	t.Helper()
	value, err := parseJSON([]byte(request))
	if err != nil {
		t.Fatal(request, err)
	}
	checked, err := checkArguments(operation, spec().Operations[operation], value.(object), features)
	status, _ := statusOf(err)
	return status, checked
}

func TestArgumentsAreChecked(t *testing.T) {
	for _, row := range [][3]string{
		{"ok", "stream.read", `{"until":"some"}`},
		{"ok", "stream.read", `{"until":"exact","max":0,"buffer":1,"chunk":1}`},
		{"ok", "stream.write", `{"data":{"seed":65520,"length":1073741824}}`},
		{"ok", "stream.write", `{"data":{"b64":"Zg=="}}`},
		{"ok", "stream.write_vectored", `{"data":"abc","lengths":[1,0,2],"unknown":1}`},
		{"ok", "stream.adopt", `{"raw":{"kind":"fd","value":"18446744073709551615"}}`},
		{"invalid_argument", "stream.read", `{}`},
		{"invalid_argument", "stream.read", `{"until":"never"}`},
		{"invalid_argument", "stream.read", `{"until":"exact"}`},
		{"invalid_argument", "stream.read", `{"until":"some","max":-1}`},
		{"invalid_argument", "stream.read", `{"until":"some","max":"5"}`},
		{"invalid_argument", "stream.read", `{"until":"some","buffer":0}`},
		{"invalid_argument", "stream.read", `{"until":"some","buffer":4294967296}`},
		{"invalid_argument", "stream.read", `{"until":"some","chunk":0}`},
		{"invalid_argument", "stream.write", `{"data":{"seed":65521,"length":1}}`},
		{"invalid_argument", "stream.write", `{"data":{"seed":1,"length":1073741825}}`},
		{"invalid_argument", "stream.write", `{"data":{"seed":1}}`},
		{"invalid_argument", "stream.write", `{"data":{"b64":"Zg"}}`},
		{"invalid_argument", "stream.write", `{"data":{"b64":"Zh=="}}`},
		{"invalid_argument", "stream.write", `{"data":{"b64":"Zm9v\n"}}`},
		{"invalid_argument", "stream.write", `{"data":1}`},
		{"invalid_argument", "stream.write", `{"data":"` + strings.Repeat("x", 4097) + `"}`},
		{"invalid_argument", "stream.write_vectored", `{"data":"abc","lengths":[1,1]}`},
		{"invalid_argument", "stream.write_vectored", `{"data":"abc","lengths":3}`},
		{"invalid_argument", "stream.adopt", `{"raw":{"kind":"fd","value":7}}`},
		{"invalid_argument", "stream.adopt", `{"raw":{"kind":"fd","value":"07"}}`},
		{"invalid_argument", "stream.adopt", `{"raw":{"kind":"door","value":"7"}}`},
		{"invalid_argument", "local.listen", `{"kind":"path"}`},
		{"unsupported", "local.listen", `{"kind":"path","name":"n","mode":511}`},
	} {
		if status, _ := check(t, row[1], row[2]); status != row[0] {
			t.Errorf("%.80s: %s, not %s", row[2], status, row[0])
		}
	}
	beyond := `{"kind":"path","name":"n","mode":512}`
	if status, _ := check(t, "local.listen", beyond, "local.listen.mode"); status == "ok" {
		t.Error("mode 512")
	}
	_, checked := check(t, "local.listen", `{"kind":"path","name":"n","mode":511}`, "local.listen.mode")
	if mode, _ := checked.unsigned("mode"); mode != 0o777 {
		t.Error(mode)
	}
}

func TestEveryErrorNameOfTheTableIsKnown(t *testing.T) {
	for name, status := range spec().Errno {
		errno, known := errnoNumbers[name]
		if !known || statusOfErrno(errno) != status || !slices.Contains(spec().Statuses, status) {
			t.Errorf("%s: %s, not %s", name, statusOfErrno(errno), status)
		}
	}
	for status, err := range map[string]error{
		"failed":      syscall.EXDEV,
		"broken_pipe": &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)},
		"cancelled":   &net.OpError{Op: "read", Err: net.ErrClosed},
		"timed_out":   &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
		"end":         io.EOF,
	} {
		if found, _ := statusOf(err); found != status {
			t.Errorf("%v: %s, not %s", err, found, status)
		}
	}
}

// flood gives 64 MiB without a line end and notes how much was asked for at once.
type flood struct{ left, most int }

func (f *flood) Read(buffer []byte) (int, error) {
	f.most = max(f.most, len(buffer))
	if f.left == 0 {
		return 0, io.EOF
	}
	length := min(f.left, len(buffer))
	f.left -= length
	copy(buffer, bytes.Repeat([]byte{'x'}, length))
	return length, nil
}

func TestLinesHaveALimitAndAFloodIsNotKept(t *testing.T) {
	source := &flood{left: 64 << 20}
	input := newLines(io.MultiReader(source, strings.NewReader("x\nnext\r\nrest")), 65536)
	if _, tooLong, err := input.next(); !tooLong || err != nil || source.most > 65536 {
		t.Error(tooLong, err, source.most)
	}
	if line, tooLong, err := input.next(); string(line) != "next" || tooLong || err != nil {
		t.Error(string(line), tooLong, err)
	}
	if _, _, err := input.next(); err != io.EOF {
		t.Error(err)
	}
	input = newLines(strings.NewReader(strings.Repeat("y", 65535)+"\n"+strings.Repeat("z", 65536)+"\n"), 65536)
	if line, tooLong, _ := input.next(); len(line) != 65535 || tooLong {
		t.Error(len(line), tooLong)
	}
	if _, tooLong, _ := input.next(); !tooLong {
		t.Error("65,536 bytes and a LF")
	}
}

// process is a peer under test.
type process struct {
	t       *testing.T
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
	replies map[uint64]object
	id      uint64
}

func start(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, command: exec.Command(os.Args[0]), replies: map[uint64]object{}}
	p.command.Env = append(os.Environ(), "CTS_PEER_UNDER_TEST=1")
	p.command.Stderr = os.Stderr
	input, err := p.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.input, p.output = input, bufio.NewReader(output)
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.command.ProcessState == nil {
			_ = p.command.Process.Kill()
			_ = p.command.Wait()
		}
	})
	return p
}

func (p *process) raw(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, line); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) line() object {
	p.t.Helper()
	line, err := p.output.ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	value, err := parseJSON([]byte(strings.TrimSuffix(line, "\n")))
	if err != nil {
		p.t.Fatal(line, err)
	}
	return value.(object)
}

// send sends the fields, and tells the id.
func (p *process) send(fields string) uint64 {
	p.t.Helper()
	p.id++
	p.raw(fmt.Sprintf("{\"id\":%d,%s}\n", p.id, fields))
	return p.id
}

// begin sends a watched request and waits until its call has begun.
func (p *process) begin(fields string) uint64 {
	p.t.Helper()
	id := p.send(fields + `,"watch":true`)
	for {
		message := p.line()
		if message["event"] == "begun" {
			if message["id"] != int64(id) || message["tid"] != int64(0) {
				p.t.Fatal(message)
			}
			return id
		}
		p.replies[uint64(message["id"].(int64))] = message
	}
}

func (p *process) wait(id uint64) object {
	p.t.Helper()
	for p.replies[id] == nil {
		message := p.line()
		p.replies[uint64(message["id"].(int64))] = message
	}
	return p.replies[id]
}

// call sends the fields and checks the status.
func (p *process) call(status, fields string) object {
	p.t.Helper()
	reply := p.wait(p.send(fields))
	if reply["status"] != status {
		p.t.Errorf("%s: %v, not %s", fields, reply, status)
	}
	return reply
}

// connect makes two ends of a connection, c and s.
func (p *process) connect() {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), "l")
	p.call("ok", fmt.Sprintf(`"op":"local.listen","kind":"path","name":%q,"as":"l"`, path))
	accept := p.send(`"op":"listener.accept","on":"l","as":"s","lane":"s"`)
	p.call("ok", fmt.Sprintf(`"op":"local.connect","kind":"native","name":%q,"as":"c"`, path))
	if reply := p.wait(accept); reply["status"] != "ok" {
		p.t.Fatal(reply)
	}
}

func TestHelloTellsTheOffer(t *testing.T) {
	p := start(t)
	hello := p.call("ok", `"op":"hello","protocol":9`)
	if hello["protocol"] != int64(1) || hello["pid"] != int64(p.command.Process.Pid) || hello["lanes"] != "task" {
		t.Error(hello)
	}
	if slices.Contains(hello["operations"].([]any), any("stream.split")) {
		t.Error("a call that is nil is offered")
	}
	p.call("invalid_argument", `"op":"configure","mode":"async"`)
	p.call("ok", `"op":"configure","mode":"blocking"`)
	p.call("invalid_argument", `"op":"configure","mode":"blocking"`)
}

func TestWhatIsNoRequestIsAnsweredAndSkipped(t *testing.T) {
	p := start(t)
	long := strings.Repeat("x", 65536) + "\n"
	for _, line := range []string{
		"\n", "nonsense\n", "[]\n", "{\"id\":0}\n", "{\"id\":1,\"id\":1}\n", "{\"id\":1.5}\n", long,
	} {
		p.raw(line)
		if reply := p.line(); reply["id"] != int64(0) || reply["status"] != "invalid_argument" || reply["why"] == nil {
			t.Errorf("%.40s: %v", line, reply)
		}
	}
	p.call("unsupported", `"op":"made.up"`)
	p.call("unsupported", `"op":"stream.split","on":"x"`)
	p.call("invalid_argument", `"op":"stream.read","on":"x","until":"some"`)
	p.call("invalid_argument", `"op":"pending","lane":"a"`)
	p.call("invalid_argument", `"op":"stream.close","on":"x","lane":"control"`)
}

func TestBytesGoThroughAndAreToldByTheirDigest(t *testing.T) {
	p := start(t)
	p.connect()
	read := p.send(`"op":"stream.read","on":"s","until":"exact","max":1048576,"lane":"s"`)
	p.call("ok", `"op":"stream.write","on":"c","data":{"seed":7,"length":1048576}`)
	if reply := p.wait(read); reply["status"] != "ok" || reply["crc32"] != int64(1453772769) {
		t.Error(reply)
	}
	p.call("ok", `"op":"stream.write_vectored","on":"c","data":"abc","lengths":[1,0,2]`)
	p.call("ok", `"op":"stream.close","on":"c"`)
	rest := p.call("end", `"op":"stream.read","on":"s","until":"exact","max":10,"chunk":2`)
	if rest["length"] != int64(3) || rest["data"] != "abc" || len(rest["chunks"].([]any)) != 2 {
		t.Error(rest)
	}
}

func TestLanesDoNotDelayEachOther(t *testing.T) {
	p := start(t)
	p.connect()
	reads := []uint64{}
	for _, lane := range []string{"main", "b"} {
		reads = append(reads, p.begin(`"op":"stream.read","on":"s","until":"exact","max":1,"lane":"`+lane+`"`))
	}
	pending := p.call("ok", `"op":"pending"`)
	if !reflect.DeepEqual(pending["ids"], []any{int64(reads[0]), int64(reads[1])}) {
		t.Error(pending)
	}
	p.call("ok", `"op":"stream.write","on":"c","data":"xy","lane":"d"`)
	for _, read := range reads {
		if reply := p.wait(read); reply["length"] != int64(1) {
			t.Error(reply)
		}
	}
	for lane := 5; lane < 16; lane++ {
		p.call("unsupported", fmt.Sprintf(`"op":"made.up","lane":"lane %d"`, lane))
	}
	p.call("invalid_argument", `"op":"made.up","lane":"one more"`)
}

func TestCloseAndResetEndWhatIsUnderWay(t *testing.T) {
	p := start(t)
	p.connect()
	read := p.begin(`"op":"stream.read","on":"s","until":"some","lane":"b"`)
	accept := p.begin(`"op":"listener.accept","on":"l","as":"x","lane":"d"`)
	p.call("ok", `"op":"stream.close","on":"s"`)
	if reply := p.replies[read]; reply == nil || reply["status"] != "cancelled" {
		t.Errorf("%v: the read ends before the close", reply)
	}
	p.call("ok", `"op":"reset"`)
	if reply := p.replies[accept]; reply == nil || reply["status"] != "cancelled" {
		t.Errorf("%v: the accept ends before the reset", reply)
	}
	p.call("invalid_argument", `"op":"stream.close","on":"c"`)
	p.connect()
}

func TestOperationsOfThePeersOwn(t *testing.T) {
	p := start(t)
	descriptors := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.command.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	p.call("ok", `"op":"socket.open","type":"datagram","as":"warm"`) // the runtime's own descriptors come with it
	p.call("ok", `"op":"socket.close","on":"warm"`)
	before := descriptors()
	p.call("ok", `"op":"socket.open","type":"datagram","as":"o"`)
	p.call("invalid_argument", `"op":"stream.close","on":"o"`)
	p.call("ok", `"op":"socket.raw","on":"o"`)
	p.call("ok", `"op":"socket.open","type":"datagram","as":"p"`)
	p.call("ok", `"op":"socket.close","on":"p"`)
	p.call("invalid_argument", `"op":"socket.raw","on":"p"`)
	if open := descriptors(); open != before+3 {
		t.Errorf("%d descriptors, not %d", open, before+3)
	}
	p.call("ok", `"op":"reset"`)
	if open := descriptors(); open != before {
		t.Errorf("%d descriptors, not %d", open, before)
	}
	p.begin(`"op":"signal.hooked","signal":"TERM"`)
	p.call("busy", `"op":"reset"`)
}

func TestTheEndOfInputEndsAPeerThatIsBlocked(t *testing.T) {
	p := start(t)
	p.connect()
	p.begin(`"op":"stream.read","on":"s","until":"some","lane":"main"`)
	p.begin(`"op":"listener.accept","on":"l","as":"x","lane":"b"`)
	if err := p.input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Error(err)
	}
}

// TestTheExchangeOfAllKits runs the test that all kits share, which has this peer start children too.
func TestTheExchangeOfAllKits(t *testing.T) {
	exchange := exec.Command("python3", filepath.Join("..", "tests", "exchange.py"), "--", os.Args[0])
	exchange.Env = append(os.Environ(), "CTS_PEER_UNDER_TEST=1")
	if output, err := exchange.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}
