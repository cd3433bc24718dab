//! The operations: from checked arguments to results, around single calls of the library.

use crate::bytes::{to_json, Crc32, Data};
use crate::handle::Handle;
use crate::json::Json;
use crate::library::{Library, ListenOptions, Mode, Name, NameKind, StreamOptions};
use crate::peer::{kill, Call, Slot};
use crate::process::{Child, ChildHandle};
use crate::status::{Failure, Outcome};
use crate::system::{self, RawFd};
use crate::table::Table;
use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, PoisonError};

/// Bytes of a read's buffer if the request does not say.
const BUFFER_DEFAULT: u64 = 65_536;
/// Most digests of chunks in a reply.
const CHUNKS_MAX: usize = 4096;

/// What an operation answers beside its status.
pub type Results = Vec<(&'static str, Json)>;

/// Performs an operation that `Peer::start` let through.
pub fn perform<L: Library>(call: &Call<L>) -> Outcome {
    match call.operation.name {
        "name.parse" => name_parse(call).into(),
        "name.format" => name_format(call).into(),
        "name.native" => name_native(call).into(),
        "name.limit" => name_limit(call).into(),
        "local.listen" => listen(call).into(),
        "local.connect" => connect(call).into(),
        "listener.accept" => accept(call).into(),
        "listener.native" => listener_native(call).into(),
        "listener.set_nonblocking" => listener_set_nonblocking(call).into(),
        "listener.raw" => listener_raw(call).into(),
        "listener.release" => listener_release(call).into(),
        "listener.adopt" => listener_adopt(call).into(),
        "listener.close" => listener_close(call).into(),
        "stream.read" => read(call),
        "stream.write" => write(call),
        "stream.read_vectored" => read_vectored(call),
        "stream.write_vectored" => write_vectored(call),
        "stream.flush" => flush(call).into(),
        "stream.split" => split(call).into(),
        "stream.peer_credentials" => peer_credentials(call).into(),
        "stream.set_nonblocking" => stream_set_nonblocking(call).into(),
        "stream.raw" => stream_raw(call).into(),
        "stream.release" => stream_release(call).into(),
        "stream.adopt" => stream_adopt(call).into(),
        "stream.close" => stream_close(call).into(),
        "process.spawn" => process_spawn(call).into(),
        "process.wait" => process_wait(call).into(),
        "process.close" => process_close(call).into(),
        other if other.ends_with(".close") => object_close(call).into(),
        _ => call.peer.library.other(call),
    }
}

/// What a peer needs for the operations that it performs itself ([`Library::other`]).
impl<L: Library> Call<'_, L> {
    /// As in `operations.toml`.
    pub fn name_of_operation(&self) -> &'static str {
        self.operation.name
    }

    /// The name under two keys of the request; both must have been given.
    pub fn name_under(&self, kind: &str, name: &str) -> Name {
        Name { kind: kind_of(self.arguments.text(kind)), bytes: self.arguments.bytes(name).to_vec() }
    }

    /// One call of the library on the stream in `on`, which may wait in there if `waits`.
    pub fn with_stream<R>(&self, waits: bool, act: impl FnMut(&L::Stream) -> Result<R, Failure>) -> Result<R, Failure> {
        let handle = self.stream()?;
        self.once(&handle, waits, act)
    }

    /// The same on the listener in `on`.
    pub fn with_listener<R>(
        &self,
        waits: bool,
        act: impl FnMut(&L::Listener) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let handle = self.listener()?;
        self.once(&handle, waits, act)
    }

    /// The same on an object.
    pub fn with_object<R>(&self, waits: bool, act: impl FnMut(&L::Object) -> Result<R, Failure>) -> Result<R, Failure> {
        let handle = self.object()?;
        self.once(&handle, waits, act)
    }

    fn once<T, R>(
        &self,
        handle: &Handle<T>,
        waits: bool,
        mut act: impl FnMut(&T) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.with(handle, |value| {
            if waits {
                return Waiting::new(self, handle, None)?.call(self, handle, 0, || act(value));
            }
            self.begin();
            act(value)
        })
    }

    /// The object in `on` answers `would_block` from now on, or waits again: what it does is no waiting inside the library.
    pub fn set_single_attempts(&self, single: bool) -> Result<(), Failure> {
        self.object()?.single_attempts.store(single, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }

    /// Takes the object in `on` away.
    pub fn consume_object(&self) -> Result<L::Object, Failure> {
        let found = self.consume(|slot| match slot {
            Slot::Object(handle) => Some(Arc::clone(handle)),
            _ => None,
        });
        found.map(|(_, object)| object)
    }

    /// Names a new object.
    pub fn add_object(&self, key: &str, object: L::Object) {
        let slot = Slot::Object(Arc::new(Handle::new(object)));
        self.peer.state().names.insert(self.text(key).to_owned(), slot);
    }

    /// Notes a descriptor that is the peer's own now, which a reset closes.
    pub fn own(&self, fd: RawFd) {
        self.peer.state().released.insert(fd);
    }

    /// The results of a release.
    pub fn released(&self, fd: RawFd) -> Results {
        released(self, fd)
    }

    /// The open descriptor in `raw`. [`Call::disown`] it once it is adopted.
    pub fn adoptable(&self) -> Result<RawFd, Failure> {
        adoptable(self)
    }

    /// A descriptor belongs to a handle again.
    pub fn disown(&self, fd: RawFd) {
        self.peer.state().released.remove(&fd);
    }

    fn object(&self) -> Result<Arc<Handle<L::Object>>, Failure> {
        let mut state = self.peer.state();
        let Some(Slot::Object(handle)) = state.names.get(self.text("on")) else { return Err(gone()) };
        let handle = Arc::clone(handle);
        state.running.entry(self.request.id).or_default().handle = handle.id;
        Ok(handle)
    }

    /// Says that the library is called next: the last act before it. Only the first call is announced.
    pub fn begin(&self) {
        let mut state = self.peer.state();
        let running = state.running.entry(self.request.id).or_default();
        let first = !std::mem::replace(&mut running.begun, true);
        drop(state);
        if first && self.request.fields.get("watch") == Some(&Json::Bool(true)) {
            self.peer.announce(self.request.id, self.mode);
        }
    }

    /// Notes that this operation may wait inside the library. A future that is dropped does not: it can be ended.
    pub fn may_wait_in_library(&self) {
        if self.mode == Mode::Async {
            return;
        }
        self.peer.state().running.entry(self.request.id).or_default().waits_in_library = true;
        self.peer.look_again();
    }

    fn text(&self, key: &str) -> &str {
        match self.request.fields.get(key) {
            Some(Json::Text(text)) => text,
            other => panic!("{key} was checked before but is {other:?}"),
        }
    }

    fn nonblocking(&self) -> bool {
        self.mode == Mode::Nonblocking
    }

    fn name(&self) -> Name {
        Name { kind: self.kind(), bytes: self.arguments.bytes("name").to_vec() }
    }

    fn kind(&self) -> NameKind {
        kind_of(self.arguments.text("kind"))
    }

    fn stream_options(&self) -> StreamOptions {
        StreamOptions {
            timeout_ms: self.arguments.unsigned("timeout_ms"),
            one_attempt: self.arguments.bool("wait") == Some(false),
            nonblocking: self.nonblocking(),
        }
    }

    /// Names a new listener.
    pub fn add_listener(&self, listener: L::Listener) {
        let slot = Slot::Listener(Arc::new(Handle::new(listener)));
        self.peer.state().names.insert(self.text("as").to_owned(), slot);
    }

    /// Names a new stream.
    pub fn add_stream(&self, key: &str, stream: L::Stream) {
        let slot = Slot::Stream(Arc::new(Handle::new(stream)));
        self.peer.state().names.insert(self.text(key).to_owned(), slot);
    }

    /// Enters the listener in `on`.
    fn listener(&self) -> Result<Arc<Handle<L::Listener>>, Failure> {
        let mut state = self.peer.state();
        let Some(Slot::Listener(handle)) = state.names.get(self.text("on")) else { return Err(gone()) };
        let handle = Arc::clone(handle);
        state.running.entry(self.request.id).or_default().handle = handle.id;
        Ok(handle)
    }

    /// Enters the stream in `on`.
    fn stream(&self) -> Result<Arc<Handle<L::Stream>>, Failure> {
        let mut state = self.peer.state();
        let Some(Slot::Stream(handle)) = state.names.get(self.text("on")) else { return Err(gone()) };
        let handle = Arc::clone(handle);
        if !L::SHARED_STREAMS && state.running.values().any(|running| running.handle == handle.id) {
            return Err(Failure::unsupported(
                "another lane is inside of the stream, which the library lends to one only",
            ));
        }
        state.running.entry(self.request.id).or_default().handle = handle.id;
        Ok(handle)
    }

    /// One operation on a handle with the library's object in it.
    fn with<T, R>(&self, handle: &Handle<T>, act: impl FnOnce(&T) -> Result<R, Failure>) -> Result<R, Failure> {
        let guard = handle.value.read().unwrap_or_else(PoisonError::into_inner);
        act(guard.as_ref().ok_or_else(Failure::cancelled)?)
    }

    /// Takes the handle's name away and then, when nobody is inside of it any more, the library's object out of it.
    fn consume<T>(&self, find: impl Fn(&Slot<L>) -> Option<Arc<Handle<T>>>) -> Result<(Arc<Handle<T>>, T), Failure> {
        let name = self.text("on");
        let mut state = self.peer.state();
        let handle = state.names.get(name).and_then(find).ok_or_else(gone)?;
        let inside = |running: &crate::peer::Running| running.handle == handle.id;
        if state.running.values().any(|running| inside(running) && running.waits_in_library) {
            return Err(Failure::new("busy", "another lane waits inside the library, which cannot be ended from here"));
        }
        state.names.remove(name);
        handle.cancel.cancel();
        state.running.values().filter(|running| inside(running)).for_each(|running| running.off.call_off());
        while state.running.values().any(inside) {
            state = self.peer.wait_for_an_end(state);
        }
        drop(state);
        let value = handle.take().ok_or_else(Failure::cancelled)?;
        Ok((handle, value))
    }

    /// Enters the process in `on`.
    fn process(&self) -> Result<ChildHandle, Failure> {
        let mut state = self.peer.state();
        let Some(Slot::Process(handle)) = state.names.get(self.text("on")) else { return Err(gone()) };
        let handle = Arc::clone(handle);
        state.running.entry(self.request.id).or_default().handle = handle.id;
        Ok(handle)
    }

    /// Takes the process's name away, and kills it: that ends those who are inside of it.
    fn consume_process(&self) -> Result<Child, Failure> {
        let found = self.consume(|slot| match slot {
            Slot::Process(handle) => {
                kill(handle);
                Some(Arc::clone(handle))
            }
            _ => None,
        });
        found.map(|(_, child)| child)
    }

    fn consume_listener(&self) -> Result<L::Listener, Failure> {
        let found = self.consume(|slot| match slot {
            Slot::Listener(handle) => Some(Arc::clone(handle)),
            _ => None,
        });
        found.map(|(_, listener)| listener)
    }

    fn consume_stream(&self) -> Result<L::Stream, Failure> {
        let found = self.consume(|slot| match slot {
            Slot::Stream(handle) => Some(Arc::clone(handle)),
            _ => None,
        });
        found.map(|(_, stream)| stream)
    }

    /// Gives a stream that could not be consumed its name back.
    fn put_back(&self, stream: L::Stream) {
        self.add_stream("on", stream);
    }
}

fn kind_of(text: Option<&str>) -> NameKind {
    match text {
        Some("path") => NameKind::Path,
        Some("namespaced") => NameKind::Namespaced,
        _ => NameKind::Native,
    }
}

/// The results of a receive that took `bytes`: length, crc32 and data.
pub fn consumed(bytes: &[u8]) -> Results {
    let mut consumed = Consumed::new(None);
    consumed.add(bytes);
    consumed.results()
}

fn object_close<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let object = call.consume_object()?;
    call.may_wait_in_library(); // some flush first
    call.begin();
    drop(object);
    Ok(Vec::new())
}

fn gone() -> Failure {
    Failure::invalid_argument("the handle is gone")
}

/// How to wait for a handle: the kit with `poll`, or not at all, or the library by itself.
struct Waiting {
    /// What to poll if the library answers `would_block` and the kit shall wait.
    fd: Option<RawFd>,
    /// `would_block` is an answer.
    single: bool,
}

impl Waiting {
    /// Decides it, and notes an operation that may wait inside the library.
    fn new<L: Library, T>(call: &Call<L>, handle: &Handle<T>, poll_fd: Option<RawFd>) -> Result<Waiting, Failure> {
        let switched = handle.single_attempts.load(std::sync::atomic::Ordering::SeqCst);
        let single = switched || call.arguments.bool("wait") == Some(false);
        let fd = poll_fd.filter(|_| call.nonblocking());
        if !single && fd.is_none() {
            call.may_wait_in_library();
            // A close that came before the note waits for this operation; one that comes after it is refused.
            if handle.cancel.is_cancelled() {
                return Err(Failure::cancelled());
            }
        }
        Ok(Waiting { fd, single })
    }

    /// Calls the library until it answers something else than `would_block`, if the kit shall wait.
    fn call<L: Library, T, R>(
        &self,
        call: &Call<L>,
        handle: &Handle<T>,
        events: i16,
        mut act: impl FnMut() -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        loop {
            call.begin();
            if call.mode == Mode::Async && call.request.off.is_called_off() {
                return Err(Failure::cancelled());
            }
            match (act(), self.fd) {
                (Err(failure), Some(fd)) if failure.status == "would_block" && !self.single => {
                    handle.cancel.wait(fd, events)?;
                }
                (result, _) => return result,
            }
        }
    }
}

fn process_spawn<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    call.begin();
    let child = Child::start(call.arguments.text("control").unwrap_or_default())?;
    let pid = child.pid();
    let slot = Slot::Process(Arc::new(Handle::new(child)));
    call.peer.state().names.insert(call.text("as").to_owned(), slot);
    Ok(vec![("pid", pid.into())])
}

fn process_wait<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.process()?;
    call.begin();
    call.with(&handle, Child::wait)
}

fn process_close<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    call.begin();
    call.consume_process()?.reap()?;
    Ok(Vec::new())
}

fn name_parse<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    call.begin();
    let (kind, name) = call.peer.library.name_parse(call.arguments.bytes("text"))?;
    let kind = if kind == NameKind::Path { "path" } else { "namespaced" };
    Ok(vec![("kind", kind.into()), ("name", to_json(&name))])
}

fn name_format<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    call.begin();
    Ok(vec![("text", to_json(&call.peer.library.name_format(&call.name())?))])
}

fn name_native<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    call.begin();
    Ok(vec![("native", to_json(&call.peer.library.name_native(&call.name(), call.arguments.text("os"))?))])
}

fn name_limit<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    call.begin();
    Ok(vec![("max", call.peer.library.name_limit(call.kind(), call.arguments.text("os"))?.into())])
}

fn listen<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let options = ListenOptions {
        reclaim: call.arguments.bool("reclaim").unwrap_or(false),
        mode: call.arguments.unsigned("mode").map(|mode| mode as u32),
        backlog: call.arguments.unsigned("backlog").map(|backlog| backlog as u32),
        keep_name: call.arguments.bool("keep_name").unwrap_or(false),
        nonblocking: call.nonblocking(),
    };
    call.begin();
    let (listener, native) = call.peer.library.listen(&call.name(), &options)?;
    call.add_listener(listener);
    Ok(vec![("native", to_json(&native))])
}

fn connect<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let options = call.stream_options();
    if !options.one_attempt {
        call.may_wait_in_library();
    }
    call.begin();
    let stream = call.peer.library.connect(&call.name(), options)?;
    call.add_stream("as", stream);
    Ok(Vec::new())
}

fn accept<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.listener()?;
    let library = &call.peer.library;
    let stream = call.with(&handle, |listener| {
        let waiting = Waiting::new(call, &handle, library.listener_poll_fd(listener))?;
        waiting.call(call, &handle, system::READABLE, || library.accept(listener, call.stream_options()))
    })?;
    call.add_stream("as", stream);
    Ok(Vec::new())
}

fn listener_native<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.listener()?;
    call.begin();
    let native = call.with(&handle, |listener| call.peer.library.listener_native(listener))?;
    Ok(vec![("native", to_json(&native))])
}

/// The switch as the library shall have it: in the mode nonblocking it stays on, and the kit waits again instead.
fn switch<L: Library>(call: &Call<L>) -> (bool, bool) {
    let asked = call.arguments.bool("nonblocking").unwrap_or(false);
    (asked, asked || call.nonblocking())
}

fn listener_set_nonblocking<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.listener()?;
    let library = &call.peer.library;
    let (asked, mut switched) = switch(call);
    call.begin();
    call.with(&handle, |listener| {
        // A listener that nobody can wait for with poll is left waiting by itself in every mode.
        switched &= asked || library.listener_poll_fd(listener).is_some();
        library.listener_set_nonblocking(listener, switched)
    })?;
    handle.single_attempts.store(asked, std::sync::atomic::Ordering::SeqCst);
    Ok(Vec::new())
}

fn stream_set_nonblocking<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.stream()?;
    let (asked, switched) = switch(call);
    call.begin();
    call.with(&handle, |stream| call.peer.library.stream_set_nonblocking(stream, switched))?;
    handle.single_attempts.store(asked, std::sync::atomic::Ordering::SeqCst);
    Ok(Vec::new())
}

/// The results of a `.raw`.
pub fn raw_results(fd: RawFd) -> Results {
    let raw = BTreeMap::from([
        ("kind".to_owned(), Json::from(system::RAW_KIND)),
        ("value".to_owned(), Json::Text(fd.to_string())),
    ]);
    vec![("raw", Json::Object(raw))]
}

fn listener_raw<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.listener()?;
    call.begin();
    call.with(&handle, |listener| call.peer.library.listener_raw(listener)).map(raw_results)
}

fn stream_raw<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.stream()?;
    call.begin();
    call.with(&handle, |stream| call.peer.library.stream_raw(stream)).map(raw_results)
}

/// Notes a descriptor that is the peer's own now, to be adopted again or closed by a reset.
fn released<L: Library>(call: &Call<L>, fd: RawFd) -> Results {
    call.peer.state().released.insert(fd);
    raw_results(fd)
}

fn listener_release<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let listener = call.consume_listener()?;
    call.begin();
    let fd = call.peer.library.listener_release(listener)?;
    Ok(released(call, fd))
}

fn stream_release<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let stream = call.consume_stream()?;
    call.begin();
    match call.peer.library.stream_release(stream) {
        Ok(fd) => Ok(released(call, fd)),
        Err((stream, failure)) => {
            call.put_back(stream);
            Err(failure)
        }
    }
}

/// An open descriptor that may be given to the library. Rust's I/O safety makes it the caller's duty that it is open,
/// so this is asked here; whether it is a socket of the right kind is the library's business.
fn adoptable<L: Library>(call: &Call<L>) -> Result<RawFd, Failure> {
    let (kind, value) = call.arguments.raw();
    let fd = RawFd::try_from(value).ok().filter(|_| kind == system::RAW_KIND);
    let fd = fd.ok_or_else(|| Failure::invalid_argument("raw is no descriptor of this system"))?;
    system::check_open(fd)?;
    Ok(fd)
}

fn listener_adopt<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let fd = adoptable(call)?;
    call.begin();
    let listener = call.peer.library.listener_adopt(fd, call.nonblocking())?;
    call.peer.state().released.remove(&fd);
    call.add_listener(listener);
    Ok(Vec::new())
}

fn stream_adopt<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let fd = adoptable(call)?;
    call.begin();
    let stream = call.peer.library.stream_adopt(fd, call.nonblocking())?;
    call.peer.state().released.remove(&fd);
    call.add_stream("as", stream);
    Ok(Vec::new())
}

fn listener_close<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let listener = call.consume_listener()?;
    call.begin();
    call.peer.library.listener_close(listener)?;
    Ok(Vec::new())
}

fn stream_close<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let stream = call.consume_stream()?;
    call.may_wait_in_library(); // some flush first
    call.begin();
    call.peer.library.stream_close(stream)?;
    Ok(Vec::new())
}

fn split<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.stream()?;
    let inside = |running: &crate::peer::Running| running.handle == handle.id;
    if call.peer.state().running.values().filter(|running| inside(running)).count() > 1 {
        return Err(Failure::new("busy", "an operation is under way on the stream"));
    }
    call.peer.state().running.entry(call.request.id).or_default().handle = 0;
    let stream = call.consume_stream()?;
    call.begin();
    match call.peer.library.split(stream) {
        Ok((reader, writer)) => {
            call.add_stream("read_as", reader);
            call.add_stream("write_as", writer);
            Ok(Vec::new())
        }
        Err((stream, failure)) => {
            call.put_back(stream);
            Err(failure)
        }
    }
}

fn peer_credentials<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.stream()?;
    call.begin();
    let credentials = call.with(&handle, |stream| call.peer.library.peer_credentials(stream))?;
    let mut results = Vec::new();
    results.extend(credentials.pid.map(|pid| ("pid", pid.into())));
    results.extend(credentials.uid.map(|uid| ("uid", uid.into())));
    results.extend(credentials.gid.map(|gid| ("gid", gid.into())));
    Ok(results)
}

fn flush<L: Library>(call: &Call<L>) -> Result<Results, Failure> {
    let handle = call.stream()?;
    call.may_wait_in_library();
    call.begin();
    call.with(&handle, |stream| call.peer.library.flush(stream))?;
    Ok(Vec::new())
}

/// What a read has consumed so far.
struct Consumed {
    length: u64,
    crc32: Crc32,
    /// The first bytes, as long as all of them may travel.
    inline: Vec<u8>,
    chunk: Option<u64>,
    chunk_crc32: Crc32,
    chunk_length: u64,
    chunks: Vec<u32>,
}

impl Consumed {
    fn new(chunk: Option<u64>) -> Consumed {
        Consumed {
            length: 0,
            crc32: Crc32::default(),
            inline: Vec::new(),
            chunk,
            chunk_crc32: Crc32::default(),
            chunk_length: 0,
            chunks: Vec::new(),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.crc32.update(bytes);
        let room = (inline_max() + 1).saturating_sub(self.inline.len());
        self.inline.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some(chunk) = self.chunk else { return };
        let mut rest = bytes;
        while !rest.is_empty() {
            let part = rest.len().min((chunk - self.chunk_length) as usize);
            self.chunk_crc32.update(&rest[..part]);
            self.chunk_length += part as u64;
            rest = &rest[part..];
            if self.chunk_length == chunk {
                self.end_chunk();
            }
        }
    }

    fn end_chunk(&mut self) {
        if self.chunks.len() < CHUNKS_MAX {
            self.chunks.push(self.chunk_crc32.value());
        }
        self.chunk_crc32 = Crc32::default();
        self.chunk_length = 0;
    }

    fn results(mut self) -> Results {
        let mut results = vec![("length", self.length.into()), ("crc32", self.crc32.value().into())];
        if self.inline.len() <= inline_max() {
            results.push(("data", to_json(&self.inline)));
        }
        if self.chunk.is_some() {
            if self.chunk_length > 0 {
                self.end_chunk();
            }
            results.push(("chunks", self.chunks.as_slice().into()));
        }
        results
    }
}

fn inline_max() -> usize {
    Table::get().limit("inline_bytes_max")
}

/// The end of a stream, as a read answers it.
fn end() -> Failure {
    Failure::new("end", "")
}

fn read<L: Library>(call: &Call<L>) -> Outcome {
    let mut consumed = Consumed::new(call.arguments.unsigned("chunk"));
    let result =
        call.stream().and_then(|handle| call.with(&handle, |stream| read_until(call, &handle, stream, &mut consumed)));
    Outcome { failure: result.err(), results: consumed.results() }
}

/// Repeats the library's read until `until` holds, or it says something else than `ok`.
fn read_until<L: Library>(
    call: &Call<L>,
    handle: &Handle<L::Stream>,
    stream: &L::Stream,
    consumed: &mut Consumed,
) -> Result<(), Failure> {
    let library = &call.peer.library;
    let waiting = Waiting::new(call, handle, library.stream_poll_fd(stream))?;
    let until = call.arguments.text("until").unwrap_or("some");
    let max = call.arguments.unsigned("max").unwrap_or(if until == "end" { u64::MAX } else { BUFFER_DEFAULT });
    let timeout_ms = call.arguments.unsigned("timeout_ms");
    let buffer_max = call.arguments.unsigned("buffer").unwrap_or(BUFFER_DEFAULT);
    let mut buffer = vec![0; buffer_max.min(max) as usize];
    loop {
        let room = (max - consumed.length).min(buffer.len() as u64) as usize;
        let part = &mut buffer[..room];
        let length = waiting.call(call, handle, system::READABLE, || library.read(stream, part, timeout_ms))?;
        consumed.add(buffer.get(..length).ok_or_else(|| Failure::new("failed", "read more than the buffer holds"))?);
        if length == 0 && room > 0 {
            return Err(end());
        }
        if until == "some" || consumed.length >= max {
            return Ok(());
        }
    }
}

fn read_vectored<L: Library>(call: &Call<L>) -> Outcome {
    let mut consumed = Consumed::new(None);
    let result = call
        .stream()
        .and_then(|handle| call.with(&handle, |stream| read_buffers(call, &handle, stream, &mut consumed)));
    Outcome { failure: result.err(), results: consumed.results() }
}

/// One vectored read. The bytes consumed are those of the buffers in order, each filled before the next.
fn read_buffers<L: Library>(
    call: &Call<L>,
    handle: &Handle<L::Stream>,
    stream: &L::Stream,
    consumed: &mut Consumed,
) -> Result<(), Failure> {
    let library = &call.peer.library;
    let waiting = Waiting::new(call, handle, library.stream_poll_fd(stream))?;
    let timeout_ms = call.arguments.unsigned("timeout_ms");
    let mut buffers: Vec<Vec<u8>> = call.arguments.lengths().iter().map(|length| vec![0; *length]).collect();
    let room: usize = buffers.iter().map(Vec::len).sum();
    let length = waiting.call(call, handle, system::READABLE, || {
        let mut slices: Vec<IoSliceMut> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        library.read_vectored(stream, &mut slices, timeout_ms)
    })?;
    if length > room {
        return Err(Failure::new("failed", "read more than the buffers hold"));
    }
    let mut left = length;
    for buffer in &buffers {
        let part = left.min(buffer.len());
        consumed.add(&buffer[..part]);
        left -= part;
    }
    if length == 0 && room > 0 {
        return Err(end());
    }
    Ok(())
}

/// Repeats `attempt`, which gets the number of bytes accepted so far and answers how many more were, until all are.
fn write_all<L: Library>(
    call: &Call<L>,
    handle: &Handle<L::Stream>,
    stream: &L::Stream,
    accepted: &mut usize,
    attempt: impl Fn(usize) -> Result<usize, Failure>,
) -> Result<(), Failure> {
    let total = call.arguments.data().len();
    let waiting = Waiting::new(call, handle, call.peer.library.stream_poll_fd(stream))?;
    loop {
        let length = match waiting.call(call, handle, system::WRITABLE, || attempt(*accepted)) {
            Err(failure) if failure.status == "would_block" && waiting.single && *accepted > 0 => return Ok(()),
            result => result?,
        };
        if length > total - *accepted {
            return Err(Failure::new("failed", "wrote more than was given"));
        }
        *accepted += length;
        if *accepted == total {
            return Ok(());
        }
        if length == 0 {
            return Err(Failure::new("failed", "the library's write accepted nothing and said so without an error"));
        }
    }
}

fn write<L: Library>(call: &Call<L>) -> Outcome {
    let data = call.arguments.data();
    let buffer = call.arguments.unsigned("buffer").map_or(data.len(), |buffer| buffer as usize);
    let timeout_ms = call.arguments.unsigned("timeout_ms");
    let mut accepted = 0;
    let result = call.stream().and_then(|handle| {
        // Made before the library is called, once if the calls are not cut: then each call gets all that is left.
        let whole = if buffer >= data.len() { data.slice(0, data.len()) } else { Vec::new() };
        call.with(&handle, |stream| {
            write_all(call, &handle, stream, &mut accepted, |from| {
                if buffer >= data.len() {
                    return call.peer.library.write(stream, &whole[from..], timeout_ms);
                }
                call.peer.library.write(stream, &data.slice(from, buffer.min(data.len() - from)), timeout_ms)
            })
        })
    });
    Outcome { failure: result.err(), results: vec![("length", (accepted as u64).into())] }
}

fn write_vectored<L: Library>(call: &Call<L>) -> Outcome {
    let data = call.arguments.data();
    let timeout_ms = call.arguments.unsigned("timeout_ms");
    let buffers = cut(data, &call.arguments.lengths());
    let mut accepted = 0;
    let result = call.stream().and_then(|handle| {
        call.with(&handle, |stream| {
            write_all(call, &handle, stream, &mut accepted, |from| {
                call.peer.library.write_vectored(stream, &from_offset(&buffers, from), timeout_ms)
            })
        })
    });
    Outcome { failure: result.err(), results: vec![("length", (accepted as u64).into())] }
}

/// Cuts data into buffers of the given lengths, whose sum is its own.
fn cut(data: &Data, lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut offset = 0;
    let mut buffers = Vec::with_capacity(lengths.len());
    for length in lengths {
        buffers.push(data.slice(offset, *length));
        offset += length;
    }
    buffers
}

/// The buffers without their first `offset` bytes; those used up are left out, empty ones of the caller's stay.
fn from_offset(buffers: &[Vec<u8>], mut offset: usize) -> Vec<IoSlice<'_>> {
    let mut slices = Vec::with_capacity(buffers.len());
    for buffer in buffers {
        if offset > 0 && offset >= buffer.len() {
            offset -= buffer.len();
            continue;
        }
        slices.push(IoSlice::new(&buffer[offset..]));
        offset = 0;
    }
    slices
}
