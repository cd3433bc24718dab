//! The peer: lanes, the name space of handles, what is under way, and the control operations.

use crate::arguments::Arguments;
use crate::call_off::CallOff;
use crate::channel::{Line, Lines, Output};
use crate::handle::Handle;
use crate::json::{self, Json};
use crate::library::{Identity, Library, Mode};
use crate::operations;
use crate::process::{self, ChildHandle};
use crate::status::{Failure, Outcome};
use crate::system::{self, RawFd};
use crate::table::{Kind, Operation, Table, CONTROL};
use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Most lanes, beside `control`.
const LANES_MAX: usize = 16;
/// Bytes of a `why`.
const WHY_MAX: usize = 500;

/// A request on its way to a lane.
pub struct Request {
    pub id: u64,
    pub fields: BTreeMap<String, Json>,
    /// Resets read before it: one that was queued before a reset ends with it.
    epoch: u64,
    pub off: Arc<CallOff>,
}

impl Request {
    /// The value of a key that must be a text.
    fn text(&self, key: &str) -> Result<Option<&str>, Failure> {
        match self.fields.get(key) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::invalid_argument(format!("{key} is not a text"))),
        }
    }
}

/// What a lane has to do.
enum Job {
    Perform(Request),
    /// Answer what is no request that could be performed.
    Refuse {
        id: u64,
        why: String,
    },
}

/// What a name stands for.
pub enum Slot<L: Library> {
    /// The operation that makes it runs.
    Reserved,
    Listener(Arc<Handle<L::Listener>>),
    Stream(Arc<Handle<L::Stream>>),
    Object(Arc<Handle<L::Object>>),
    Process(ChildHandle),
}

impl<L: Library> Slot<L> {
    fn handle_id(&self) -> u64 {
        match self {
            Slot::Reserved => 0,
            Slot::Listener(handle) => handle.id,
            Slot::Stream(handle) => handle.id,
            Slot::Object(handle) => handle.id,
            Slot::Process(handle) => handle.id,
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Slot::Reserved => None,
            Slot::Listener(_) => Some(Kind::Listener),
            Slot::Stream(_) => Some(Kind::Stream),
            Slot::Object(_) => Some(Kind::Object),
            Slot::Process(_) => Some(Kind::Process),
        }
    }

    fn cancel(&self) {
        match self {
            Slot::Reserved => (),
            Slot::Listener(handle) => handle.cancel.cancel(),
            Slot::Stream(handle) => handle.cancel.cancel(),
            Slot::Object(handle) => handle.cancel.cancel(),
            Slot::Process(handle) => kill(handle),
        }
    }
}

/// Kills a child, unless it has been closed.
pub fn kill(handle: &ChildHandle) {
    if let Some(child) = handle.value.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        child.kill();
    }
}

/// An operation under way.
#[derive(Default)]
pub struct Running {
    /// Of the handle it is inside of; 0 for none.
    pub handle: u64,
    /// It may wait inside the library, where the kit cannot end it and must not wake it.
    pub waits_in_library: bool,
    /// It has called the library.
    pub begun: bool,
    /// Names it reserved.
    reserved: Vec<String>,
    pub off: Arc<CallOff>,
}

/// Everything that changes, behind one lock. Nothing of the library is called with the lock held.
pub struct State<L: Library> {
    pub names: HashMap<String, Slot<L>>,
    pub running: BTreeMap<u64, Running>,
    /// Requests that still wait in their lanes.
    queued: HashMap<u64, Arc<CallOff>>,
    /// Descriptors that a `release` gave away and nobody adopted: the peer is the caller that owns them.
    pub released: HashSet<RawFd>,
    mode: Mode,
    configured: bool,
    /// Resets performed.
    epoch: u64,
}

/// One peer process.
pub struct Peer<L: Library> {
    pub library: L,
    identity: Identity,
    output: Output,
    state: Mutex<State<L>>,
    /// An operation has ended, or waits inside the library.
    ended: Condvar,
}

/// A request that is being performed.
pub struct Call<'a, L: Library> {
    pub(crate) peer: &'a Peer<L>,
    pub(crate) request: &'a Request,
    pub(crate) operation: &'static Operation,
    /// Checked.
    pub arguments: Arguments,
    /// The mode when it started.
    pub mode: Mode,
}

impl<L: Library> Peer<L> {
    pub fn new(library: L, output: Output) -> Peer<L> {
        let identity = library.identity();
        check_offer(&library, &identity);
        let state = State {
            names: HashMap::new(),
            running: BTreeMap::new(),
            queued: HashMap::new(),
            released: HashSet::new(),
            mode: identity.modes[0],
            configured: false,
            epoch: 0,
        };
        Peer { library, identity, output, state: Mutex::new(state), ended: Condvar::new() }
    }

    pub fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a reset that waits for operations under way to look again.
    pub fn look_again(&self) {
        self.ended.notify_all();
    }

    /// Waits until an operation has ended.
    pub fn wait_for_an_end<'a>(&self, state: MutexGuard<'a, State<L>>) -> MutexGuard<'a, State<L>> {
        self.ended.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the announcement of a watched call. A task waits in no thread that could be looked at.
    pub fn announce(&self, id: u64, mode: Mode) {
        let tid = if mode == Mode::Async { 0 } else { system::thread_id() };
        self.output.write_line(format!("{{\"event\":\"begun\",\"id\":{id},\"tid\":{tid}}}"));
    }

    /// Runs one request of a lane from its checks to its reply.
    fn perform(&self, request: &Request) {
        request.off.bind_to_thread();
        let outcome = self.start(request).map(|call| {
            panic::catch_unwind(AssertUnwindSafe(|| operations::perform(&call)))
                .unwrap_or_else(|payload| Err(panicked(&*payload)).into())
        });
        self.finish(request.id, outcome.unwrap_or_else(|failure| Err(failure).into()));
    }

    /// Everything that is checked before any effect. Afterwards the request is under way.
    fn start<'a>(&'a self, request: &'a Request) -> Result<Call<'a, L>, Failure> {
        let name = request.text("op")?.ok_or_else(|| Failure::invalid_argument("op is missing"))?;
        let offered = self.identity.operations.contains(&name) || process::OPERATIONS.contains(&name);
        let operation = Table::get().operation(name).filter(|_| offered);
        let operation =
            operation.ok_or_else(|| Failure::unsupported(format!("the operation {name:?} is not offered")))?;
        if !matches!(request.fields.get("watch"), None | Some(Json::Bool(_))) {
            return Err(Failure::invalid_argument("watch is not a bool"));
        }
        let mode = self.state().mode;
        let arguments = Arguments::check(operation, &request.fields, &self.library.features(mode))?;
        let reserved = operation.makes.iter().map(|key| made_name(request, key)).collect::<Result<Vec<_>, _>>()?;
        let mut state = self.state();
        if request.epoch < state.epoch {
            return Err(Failure::new("cancelled", "a reset came first"));
        }
        if request.off.is_called_off() {
            return Err(Failure::new("cancelled", "it was cancelled before it began"));
        }
        check_handles(&state, operation, request, &reserved)?;
        state.names.extend(reserved.iter().map(|name| (name.clone(), Slot::Reserved)));
        state.queued.remove(&request.id);
        state.running.insert(request.id, Running { reserved, off: Arc::clone(&request.off), ..Running::default() });
        Ok(Call { peer: self, request, operation, arguments, mode })
    }

    fn finish(&self, id: u64, outcome: Outcome) {
        let line = reply(id, outcome);
        let mut state = self.state();
        state.queued.remove(&id);
        if let Some(running) = state.running.remove(&id) {
            for name in running.reserved {
                if matches!(state.names.get(&name), Some(Slot::Reserved)) {
                    state.names.remove(&name);
                }
            }
        }
        // Written under the lock: a runner that has read the reply never meets the operation as still under way.
        self.output.write_line(line);
        self.ended.notify_all();
    }

    fn control(&self, request: &Request) -> Outcome {
        let performed = request.text("op").and_then(|name| {
            let name = name.unwrap_or_default();
            let operation = Table::get().operation(name).expect("only control operations come here");
            let arguments = Arguments::check(operation, &request.fields, &[])?;
            match name {
                "hello" => Ok(self.hello(arguments.unsigned("protocol").unwrap_or(0))),
                "configure" => self.configure(arguments.text("mode").unwrap_or_default()),
                "reset" => self.reset(),
                "cancel" => self.cancel(arguments.unsigned("target").unwrap_or(0)),
                _ => Ok(self.pending()),
            }
        });
        performed.into()
    }

    fn hello(&self, protocol: u64) -> Vec<(&'static str, Json)> {
        let mode = self.state().mode;
        let spoken = Table::get().limit("version") as u64;
        let modes: Vec<&str> = self.identity.modes.iter().map(|mode| mode.name()).collect();
        let kits = CONTROL.iter().filter(|name| has(mode, name)).chain(&process::OPERATIONS);
        let operations: Vec<&str> = kits.chain(self.identity.operations).copied().collect();
        vec![
            ("protocol", protocol.min(spoken).into()),
            ("implementation", self.identity.implementation.into()),
            ("version", self.identity.version.as_str().into()),
            ("os", std::env::consts::OS.into()),
            ("pid", std::process::id().into()),
            ("lanes", lanes(mode).into()),
            ("modes", modes.as_slice().into()),
            ("operations", operations.as_slice().into()),
            ("features", self.library.features(mode).as_slice().into()),
            ("traits", self.identity.traits.into()),
        ]
    }

    fn configure(&self, name: &str) -> Result<Vec<(&'static str, Json)>, Failure> {
        let mode = self.identity.modes.iter().find(|mode| mode.name() == name);
        let mode = *mode.ok_or_else(|| Failure::invalid_argument(format!("the mode {name} is not in hello.modes")))?;
        let mut state = self.state();
        if state.configured || !state.names.is_empty() {
            return Err(Failure::invalid_argument("configured before, or a handle exists"));
        }
        state.mode = mode;
        state.configured = true;
        Ok(vec![("lanes", lanes(mode).into())])
    }

    /// Ends one request: at once if it is under way, in its turn if it still waits in its lane.
    fn cancel(&self, target: u64) -> Result<Vec<(&'static str, Json)>, Failure> {
        let state = self.state();
        let off = state.running.get(&target).map(|running| &running.off).or_else(|| state.queued.get(&target));
        off.ok_or_else(|| Failure::new("not_found", "it has its answer, or never was"))?.call_off();
        Ok(Vec::new())
    }

    fn pending(&self) -> Vec<(&'static str, Json)> {
        let mode = self.state().mode;
        if mode == Mode::Async {
            self.library.turn();
        }
        let state = self.state();
        let ids: Vec<u64> = state.running.iter().filter(|(_, running)| running.begun).map(|(id, _)| *id).collect();
        vec![("ids", ids.as_slice().into())]
    }

    /// Ends what the kit can end, closes every handle that nobody is inside of, and says whether that was all.
    fn reset(&self) -> Result<Vec<(&'static str, Json)>, Failure> {
        let mut state = self.state();
        state.epoch += 1;
        state.names.values().for_each(Slot::cancel);
        state.running.values().for_each(|running| running.off.call_off());
        while state.running.values().any(|running| !running.waits_in_library) {
            state = self.wait_for_an_end(state);
        }
        let busy: HashSet<u64> = state.running.values().map(|running| running.handle).collect();
        let stuck = state.running.len();
        let idle: Vec<String> = state
            .names
            .iter()
            .filter(|(_, slot)| !busy.contains(&slot.handle_id()))
            .map(|(name, _)| name.clone())
            .collect();
        let closing: Vec<Slot<L>> = idle.iter().filter_map(|name| state.names.remove(name)).collect();
        let released = std::mem::take(&mut state.released);
        drop(state);
        for slot in closing {
            self.close(slot);
        }
        for fd in released {
            // SAFETY: the peer owns what was released, and the set held it once.
            unsafe { system::close_raw(fd) };
        }
        if stuck > 0 {
            return Err(Failure::new(
                "busy",
                format!("{stuck} operations wait inside the library, which cannot end them"),
            ));
        }
        Ok(Vec::new())
    }

    /// Closes a handle that has no name any more; what the library says about it is lost with it.
    fn close(&self, slot: Slot<L>) {
        match slot {
            Slot::Reserved => (),
            Slot::Listener(handle) => drop(handle.take().map(|listener| self.library.listener_close(listener))),
            Slot::Stream(handle) => drop(handle.take().map(|stream| self.library.stream_discard(stream))),
            Slot::Object(handle) => drop(handle.take().map(|object| self.library.object_discard(object))),
            Slot::Process(handle) => {
                kill(&handle); // it may have been made after the reset began
                drop(handle.take().map(|child| child.reap()));
            }
        }
    }

    fn work(&self, jobs: &Receiver<Job>) {
        system::describe_thread();
        for job in jobs {
            match job {
                Job::Perform(request) => self.perform(&request),
                Job::Refuse { id, why } => {
                    self.output.write_line(reply(id, Err(Failure::invalid_argument(why)).into()))
                }
            }
        }
    }

    fn work_control(&self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Perform(request) => self.output.write_line(reply(request.id, self.control(&request))),
                Job::Refuse { id, why } => {
                    self.output.write_line(reply(id, Err(Failure::invalid_argument(why)).into()))
                }
            }
        }
    }
}

/// What a lane is, as the protocol calls it.
fn lanes(mode: Mode) -> &'static str {
    match mode {
        Mode::Async => "task",
        Mode::Blocking | Mode::Nonblocking => "thread",
    }
}

/// True if the mode has that control operation.
fn has(mode: Mode, name: &str) -> bool {
    mode == Mode::Async || name != "cancel"
}

/// An offer that names what the specification does not know is a mistake of the peer's author.
fn check_offer<L: Library>(library: &L, identity: &Identity) {
    let table = Table::get();
    for name in identity.operations {
        assert!(table.operation(name).is_some() && !CONTROL.contains(name), "the operation {name} cannot be offered");
    }
    for mode in identity.modes {
        for name in library.features(*mode) {
            assert!(table.lists("features", name), "there is no feature {name}");
        }
    }
    for name in identity.traits {
        assert!(table.lists("traits", name), "there is no trait {name}");
    }
}

/// The name that the request gives to what it makes.
fn made_name(request: &Request, key: &str) -> Result<String, Failure> {
    let name = request.text(key)?.ok_or_else(|| Failure::invalid_argument(format!("{key} is missing")))?;
    if !is_handle_name(name) {
        return Err(Failure::invalid_argument(format!("{key}: {name:?} is no name of a handle")));
    }
    Ok(name.to_owned())
}

/// `[A-Za-z0-9_.-]{1,63}`
fn is_handle_name(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The handle in `on` exists and is of the operation's kind, and the names to be made are free.
fn check_handles<L: Library>(
    state: &State<L>,
    operation: &Operation,
    request: &Request,
    made: &[String],
) -> Result<(), Failure> {
    if operation.on.is_some() {
        let name = request.text("on")?.ok_or_else(|| Failure::invalid_argument("on is missing"))?;
        if state.names.get(name).and_then(Slot::kind) != operation.on {
            return Err(Failure::invalid_argument(format!("on: {name:?} is unknown or of another kind")));
        }
    }
    for (index, name) in made.iter().enumerate() {
        if state.names.contains_key(name) || made[..index].contains(name) {
            return Err(Failure::invalid_argument(format!("the name {name:?} is taken")));
        }
    }
    Ok(())
}

fn panicked(payload: &(dyn Any + Send)) -> Failure {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    Failure::new("failed", format!("the library panicked: {}", text.unwrap_or("no message")))
}

fn reply(id: u64, outcome: Outcome) -> String {
    let mut fields: BTreeMap<String, Json> = BTreeMap::from([("id".to_owned(), id.into())]);
    fields.extend(outcome.results.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let status = outcome.failure.as_ref().map_or("ok", |failure| failure.status);
    fields.insert("status".to_owned(), status.into());
    if let Some(failure) = outcome.failure {
        fields.extend(failure.native.map(|number| ("error".to_owned(), Json::Number(number.into()))));
        if !failure.why.is_empty() {
            fields.insert("why".to_owned(), cut(&failure.why).into());
        }
    }
    Json::Object(fields).to_string()
}

/// At most `WHY_MAX` bytes, at a character's border.
fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(WHY_MAX)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Hands requests to their lanes; owned by the thread that reads the channel.
struct Dispatcher<L: Library> {
    peer: Arc<Peer<L>>,
    control: Sender<Job>,
    main: Sender<Job>,
    lanes: HashMap<String, Sender<Job>>,
    /// Resets read so far.
    epoch: u64,
}

impl<L: Library> Dispatcher<L> {
    fn line(&mut self, line: Line) {
        let job = match line {
            Line::TooLong => Err((0, "a line longer than the protocol allows".to_owned())),
            Line::Bytes(bytes) => read_request(&bytes, self.epoch).map_err(|why| (0, why)),
        };
        let sent = job.and_then(|request| {
            let id = request.id;
            self.dispatch(request).map_err(|failure| (id, failure.why))
        });
        if let Err((id, why)) = sent {
            let _ = self.control.send(Job::Refuse { id, why });
        }
    }

    fn dispatch(&mut self, request: Request) -> Result<(), Failure> {
        let operation = request.text("op")?.unwrap_or_default();
        let control = CONTROL.contains(&operation) && has(self.peer.state().mode, operation);
        let lane = request.text("lane")?.unwrap_or(if control { "control" } else { "a" }).to_owned();
        if control != (lane == "control") || lane.is_empty() {
            return Err(Failure::invalid_argument(format!("the operation does not run in the lane {lane:?}")));
        }
        self.epoch += u64::from(operation == "reset");
        let peer = Arc::clone(&self.peer);
        let sender = self.lane(&lane)?;
        if !control {
            peer.state().queued.insert(request.id, Arc::clone(&request.off));
        }
        // A lane ends with the process only, so sending cannot fail.
        let _ = sender.send(Job::Perform(request));
        Ok(())
    }

    fn lane(&mut self, name: &str) -> Result<&Sender<Job>, Failure> {
        if name == "control" {
            return Ok(&self.control);
        }
        if !self.lanes.contains_key(name) {
            if self.lanes.len() == LANES_MAX {
                return Err(Failure::invalid_argument(format!("more than {LANES_MAX} lanes")));
            }
            let sender = if name == "main" { self.main.clone() } else { self.start_lane(name)? };
            self.lanes.insert(name.to_owned(), sender);
        }
        Ok(&self.lanes[name])
    }

    fn start_lane(&self, name: &str) -> Result<Sender<Job>, Failure> {
        let (sender, jobs) = mpsc::channel();
        let peer = Arc::clone(&self.peer);
        // A thread's name is a C string: one with a NUL inside would panic.
        let builder = thread::Builder::new().name(name.replace('\0', "?"));
        builder.spawn(move || peer.work(&jobs)).map_err(|error| Failure::invalid_argument(error.to_string()))?;
        Ok(sender)
    }
}

/// A line as a request: an object with a positive `id`.
fn read_request(line: &[u8], epoch: u64) -> Result<Request, String> {
    let Json::Object(fields) = json::parse(line)? else { return Err("not an object".to_owned()) };
    match fields.get("id") {
        Some(Json::Number(id)) if *id > 0 => Ok(Request { id: *id as u64, fields, epoch, off: Arc::default() }),
        _ => Err("id is not a positive integer".to_owned()),
    }
}

/// Serves requests from `input` until it ends, then ends the process with status 0 whatever it is doing. The calling
/// thread becomes the lane `main`.
pub fn serve<L: Library>(library: L, input: impl Read + Send + 'static, output: Output) -> io::Result<()> {
    let peer = Arc::new(Peer::new(library, output));
    let (main, main_jobs) = mpsc::channel();
    let (control, control_jobs) = mpsc::channel();
    let mut dispatcher = Dispatcher { peer: Arc::clone(&peer), control, main, lanes: HashMap::new(), epoch: 0 };
    let controlled = Arc::clone(&peer);
    thread::Builder::new().name("control".to_owned()).spawn(move || controlled.work_control(&control_jobs))?;
    thread::Builder::new().name("channel".to_owned()).spawn(move || {
        let mut lines = Lines::new(input, Table::get().limit("line_bytes_max"));
        loop {
            match lines.next_line() {
                Ok(Some(line)) => dispatcher.line(line),
                Ok(None) => system::end_process(0),
                Err(error) => {
                    eprintln!("peer: cannot read requests: {error}");
                    system::end_process(1)
                }
            }
        }
    })?;
    peer.work(&main_jobs);
    Ok(())
}
