package ctspeer

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
)

const lanesMax = 16 // beside control

var handlePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)

func init() {
	// The lane main is the main thread: the main goroutine stays on it from the start.
	runtime.LockOSThread()
}

// Run serves requests on standard input until it ends, and then ends the process with status 0, whatever it is doing.
// It must be called by the main goroutine, which becomes the lane main. It returns only if the channel cannot be set up
// or the library offers what the specification does not know.
func Run[L, S any](library Library[L, S]) error {
	if err := checkOffer(&library); err != nil {
		return err
	}
	input, output, err := takeStandardStreams()
	if err != nil {
		return err
	}
	peer := newPeer(library, output)
	mainLane := newQueue()
	go func() {
		err := peer.dispatch(input, mainLane)
		if err == io.EOF {
			os.Exit(0)
		}
		fmt.Fprintln(os.Stderr, "peer: cannot read requests:", err)
		os.Exit(1)
	}()
	mainLane.work()
	return nil
}

func checkOffer[L, S any](library *Library[L, S]) error {
	for _, name := range library.Features {
		if !slices.Contains(spec().Features, name) {
			return fmt.Errorf("there is no feature %s", name)
		}
	}
	for name := range library.Others {
		if _, known := spec().Operations[name]; !known || isClose(name) {
			return fmt.Errorf("there is no operation %s, or it closes a handle", name)
		}
	}
	for _, name := range library.Traits {
		if !slices.Contains(spec().Traits, name) {
			return fmt.Errorf("there is no trait %s", name)
		}
	}
	return nil
}

// handle is a listener or a stream under a name of the requester.
type handle struct {
	kind  string // listener, stream, process or another
	value any    // L, S, *child or an io.Closer
}

// running is an operation under way.
type running struct {
	id        uint64
	handle    *handle // it is inside of, or nil
	begun     bool    // it has called the library
	waits     bool    // it may wait inside the library
	unendable bool    // and nothing ends it
	reserved  []string
}

// peer is one peer process.
type peer[L, S any] struct {
	library Library[L, S]
	offered []string
	output  lineWriter

	mutex      sync.Mutex
	ended      sync.Cond          // an operation has ended, or waits inside the library
	names      map[string]*handle // nil: reserved by the operation that makes it
	running    map[uint64]*running
	left       []string         // files that the library does not remove by itself
	released   map[uintptr]bool // descriptors that a release gave away: the peer is the caller that owns them
	configured bool
	epoch      int             // resets performed
	context    context.Context // ends with a reset
	cancel     context.CancelFunc
}

func newPeer[L, S any](library Library[L, S], output io.Writer) *peer[L, S] {
	p := &peer[L, S]{
		library:  library,
		offered:  append(library.offered(), processOperations()...),
		output:   lineWriter{output: output},
		names:    map[string]*handle{},
		running:  map[uint64]*running{},
		released: map[uintptr]bool{},
	}
	p.ended.L = &p.mutex
	p.context, p.cancel = context.WithCancel(context.Background())
	return p
}

// request is a line that may be performed.
type request struct {
	id     uint64
	op     string
	fields object
	epoch  int // resets read before it: what was queued before a reset ends with it
}

// queue holds what a lane has to do. It has no bound: the reader must never wait for a lane.
type queue struct {
	mutex sync.Mutex
	some  sync.Cond
	tasks []func()
}

func newQueue() *queue {
	q := new(queue)
	q.some.L = &q.mutex
	return q
}

func (q *queue) add(task func()) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.tasks = append(q.tasks, task)
	q.some.Signal()
}

// work performs tasks one after another, for ever.
func (q *queue) work() {
	for {
		q.mutex.Lock()
		for len(q.tasks) == 0 {
			q.some.Wait()
		}
		task := q.tasks[0]
		q.tasks = q.tasks[1:]
		q.mutex.Unlock()
		task()
	}
}

// dispatch hands requests to their lanes until the input ends.
func (p *peer[L, S]) dispatch(input io.Reader, mainLane *queue) error {
	control := newQueue()
	go control.work()
	lanes := map[string]*queue{}
	requests := newLines(input, spec().Protocol.LineBytesMax)
	for epoch := 0; ; {
		line, tooLong, err := requests.next()
		if err != nil {
			return err
		}
		r, err := readRequest(line, tooLong, epoch)
		lane := control
		if err == nil {
			lane, err = p.lane(r, control, mainLane, lanes)
		}
		if err != nil {
			control.add(func() { p.output.write(reply(r.id, nil, err)) })
			continue
		}
		if isControl(r.op) {
			lane.add(func() { p.control(r) })
		} else {
			lane.add(func() { p.perform(r) })
		}
		if r.op == "reset" {
			epoch++
		}
	}
}

// readRequest takes a line apart; the id in the request is 0 if the line is no request.
func readRequest(line []byte, tooLong bool, epoch int) (request, error) {
	r := request{epoch: epoch}
	if tooLong {
		return r, invalid("a line longer than the protocol allows")
	}
	value, err := parseJSON(line)
	if err != nil {
		return r, invalid("%v", err)
	}
	fields, _ := value.(object)
	id, ok := fields["id"].(int64)
	if !ok || id <= 0 {
		return r, invalid("no object with a positive integer as id")
	}
	r.id, r.fields = uint64(id), fields
	if r.op, ok = fields["op"].(string); !ok {
		return r, invalid("op is missing or not a text")
	}
	return r, nil
}

// lane finds the lane of a request, and makes it if it is new.
func (p *peer[L, S]) lane(r request, control, mainLane *queue, lanes map[string]*queue) (*queue, error) {
	name := "a"
	if isControl(r.op) {
		name = "control"
	}
	if given, present := r.fields["lane"]; present {
		text, ok := given.(string)
		if !ok || text == "" || (text == "control") != isControl(r.op) {
			return nil, invalid("the operation does not run in the lane %.80v", given)
		}
		name = text
	}
	switch {
	case name == "control":
		return control, nil
	case lanes[name] != nil:
		return lanes[name], nil
	case len(lanes) == lanesMax:
		return nil, invalid("more than %d lanes", lanesMax)
	case name == "main":
		lanes[name] = mainLane
	default:
		lanes[name] = newQueue()
		go lanes[name].work()
	}
	return lanes[name], nil
}

func reply(id uint64, results object, err error) object {
	message := object{"id": id}
	for key, value := range results {
		message[key] = value
	}
	status, native := statusOf(err)
	message["status"] = status
	if native != 0 {
		message["error"] = native
	}
	if err != nil && status != "end" {
		message["why"] = cutWhy(err.Error())
	}
	return message
}

// call is a request that is being performed.
type call[L, S any] struct {
	peer      *peer[L, S]
	request   request
	arguments arguments
	running   *running
	context   context.Context
	results   object
}

// perform runs one request of a lane from its checks to its reply.
func (p *peer[L, S]) perform(r request) {
	c, err := p.start(r)
	if err != nil {
		p.output.write(reply(r.id, nil, err))
		return
	}
	err = c.guarded()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.running, r.id)
	for _, name := range c.running.reserved {
		if made, exists := p.names[name]; exists && made == nil {
			delete(p.names, name)
		}
	}
	// Written under the lock: a runner that has read the reply never meets the operation as still under way.
	p.output.write(reply(r.id, c.results, err))
	p.ended.Broadcast()
}

// start makes every check that comes before any effect. Afterwards the request is under way.
func (p *peer[L, S]) start(r request) (*call[L, S], error) {
	if !slices.Contains(p.offered, r.op) {
		return nil, Unsupported(fmt.Sprintf("the operation %.80q is not offered", r.op))
	}
	if watch, present := r.fields["watch"]; present && watch != true && watch != false {
		return nil, invalid("watch is not a bool")
	}
	op := spec().Operations[r.op]
	checked, err := checkArguments(r.op, op, r.fields, p.library.Features)
	if err != nil {
		return nil, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if r.epoch < p.epoch {
		return nil, &Failure{"cancelled", "a reset came first"}
	}
	reserved, err := p.checkHandles(op, r)
	if err != nil {
		return nil, err
	}
	for _, name := range reserved {
		p.names[name] = nil
	}
	under := &running{id: r.id, reserved: reserved}
	p.running[r.id] = under
	return &call[L, S]{peer: p, request: r, arguments: checked, running: under, context: p.context, results: object{}}, nil
}

// checkHandles: the handle in `on` exists and is of the operation's kind, and the names to be made are free.
func (p *peer[L, S]) checkHandles(op operation, r request) (made []string, err error) {
	if op.On != "" {
		name, _ := r.fields["on"].(string)
		if existing := p.names[name]; existing == nil || existing.kind != op.On {
			return nil, invalid("on: %.80q is unknown or of another kind", name)
		}
	}
	for key := range op.Makes {
		name, _ := r.fields[key].(string)
		if !handlePattern.MatchString(name) {
			return nil, invalid("%s is missing or no name of a handle", key)
		}
		if _, taken := p.names[name]; taken || slices.Contains(made, name) {
			return nil, invalid("the name %q is taken", name)
		}
		made = append(made, name)
	}
	return made, nil
}

// guarded performs the operation; a panic of the library is its failure, not the peer's end.
func (c *call[L, S]) guarded() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &Failure{"failed", fmt.Sprintf("the library panicked: %v", cause)}
		}
	}()
	return c.perform()
}

func (p *peer[L, S]) control(r request) {
	checked, err := checkArguments(r.op, spec().Operations[r.op], r.fields, nil)
	results := object{}
	if err == nil {
		switch r.op {
		case "hello":
			p.hello(checked, results)
		case "configure":
			err = p.configure(checked, results)
		case "reset":
			err = p.reset()
		case "pending":
			p.pending(results)
		}
	}
	p.output.write(reply(r.id, results, err))
}

func (p *peer[L, S]) hello(checked arguments, results object) {
	protocol, _ := checked.unsigned("protocol")
	results["protocol"] = min(protocol, uint64(spec().Protocol.Version))
	results["implementation"] = p.library.Implementation
	results["version"] = p.library.Version
	results["os"] = map[string]string{"darwin": "macos"}[runtime.GOOS]
	if results["os"] == "" {
		results["os"] = runtime.GOOS
	}
	results["pid"] = os.Getpid()
	results["lanes"] = "task"
	results["modes"] = []string{"blocking"}
	results["operations"] = append(slices.Clone(controlOperations), p.offered...)
	results["features"] = append([]string{}, p.library.Features...)
	results["traits"] = append([]string{}, p.library.Traits...)
}

func (p *peer[L, S]) configure(checked arguments, results object) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if checked["mode"] != "blocking" {
		return invalid("the mode %v is not in hello.modes", checked["mode"])
	}
	if p.configured || len(p.names) > 0 {
		return invalid("configured before, or a handle exists")
	}
	p.configured = true
	results["lanes"] = "task"
	return nil
}

func (p *peer[L, S]) pending(results object) {
	// Goroutines that can run do so first; whether all threads sleep afterwards is what the runner looks at.
	runtime.Gosched()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	ids := []uint64{}
	for id, under := range p.running {
		if under.begun {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	results["ids"] = ids
}

// reset ends what the library can end, closes every handle, and says whether that was all.
func (p *peer[L, S]) reset() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.epoch++
	p.cancel()
	p.closeIdle()
	for p.anyRunning(func(under *running) bool { return !under.unendable && (!under.waits || p.closesInUse()) }) {
		p.ended.Wait()
	}
	p.closeIdle() // what was made meanwhile
	for fd := range p.released {
		closeRaw(fd)
		delete(p.released, fd)
	}
	for _, path := range p.left {
		_ = os.Remove(path)
	}
	p.left = nil
	if stuck := len(p.running); stuck > 0 {
		return &Failure{"busy", fmt.Sprintf("%d operations wait inside the library, which cannot end them", stuck)}
	}
	clear(p.names)
	p.context, p.cancel = context.WithCancel(context.Background())
	return nil
}

// closeIdle closes every handle that can be closed. The lock is held, but not during the closing.
func (p *peer[L, S]) closeIdle() {
	closing := []*handle{}
	for name, existing := range p.names {
		if existing != nil && (p.canClose(existing) || !p.inside(existing)) {
			closing = append(closing, existing)
			delete(p.names, name)
		}
	}
	p.mutex.Unlock()
	defer p.mutex.Lock()
	for _, existing := range closing {
		_ = p.close(existing) // what the library says about it is lost with the handle
	}
}

// canClose says whether a handle can be closed while an operation is inside of it.
func (p *peer[L, S]) canClose(existing *handle) bool {
	return existing.kind == "process" || p.closesInUse()
}

func (p *peer[L, S]) closesInUse() bool {
	return slices.Contains(p.library.Features, "close_while_in_use")
}

// anyRunning says whether an operation under way is as asked. The lock is held.
func (p *peer[L, S]) anyRunning(asked func(*running) bool) bool {
	for _, under := range p.running {
		if asked(under) {
			return true
		}
	}
	return false
}

// inside says whether an operation is inside of a handle. The lock is held.
func (p *peer[L, S]) inside(existing *handle) bool {
	return p.anyRunning(func(under *running) bool { return under.handle == existing })
}

// close closes a handle that has no name any more.
func (p *peer[L, S]) close(existing *handle) error {
	switch existing.kind {
	case "process":
		existing.value.(*child).close()
		return nil
	case "listener":
		if p.library.ListenerClose == nil {
			return nil
		}
		return p.library.ListenerClose(existing.value.(L))
	case "stream":
		if p.library.StreamClose == nil {
			return nil
		}
		return p.library.StreamClose(existing.value.(S))
	}
	return existing.value.(io.Closer).Close()
}
