//! Named pipes of bytes. Their direction is a type of the crate; which of them a program takes, its request says.

use crate::{names, wrong_listener, Interprocess2};
use cts_peer::{consumed, os_text, raw_results, to_json, Call, Failure, Outcome, RawFd, Results, Tasks};
use interprocess::os::windows::named_pipe::pipe_mode::{Bytes, None as Nothing};
use interprocess::os::windows::named_pipe::tokio::{PipeListener, PipeStream};
use interprocess::os::windows::named_pipe::{PipeListenerOptions, PipeMode};
use interprocess::os::windows::ToWtf16;
use interprocess::ConnectWaitMode;
use std::io;
use std::num::NonZeroU8;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle, RawHandle};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A pipe of any of the types.
pub enum Object {
    Inbound(PipeStream<Bytes, Nothing>),
    Outbound(PipeStream<Nothing, Bytes>),
    Duplex(PipeStream<Bytes, Bytes>),
}

/// A listener for them.
pub enum Listener {
    Inbound(PipeListener<Bytes, Nothing>),
    Outbound(PipeListener<Nothing, Bytes>),
    Duplex(PipeListener<Bytes, Bytes>),
}

/// What a pipe holds in each direction unless a request says it. The crate's own choice is 512 bytes; a program whose
/// writes are not to wait gives sizes.
const SIZE: u32 = 65_536;

fn wrong_type() -> Failure {
    Failure::unsupported("the type has no such call")
}

impl Object {
    /// Closes without a flush by the crate's threads, which would wait for the reader and hold up what comes behind it.
    pub fn discard(self) {
        match &self {
            Object::Inbound(_) => (),
            Object::Outbound(pipe) => pipe.assume_flushed(),
            Object::Duplex(pipe) => pipe.assume_flushed(),
        }
    }

    fn read(&self, tasks: &Tasks, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self {
            Object::Inbound(pipe) => tasks.wait((&mut &*pipe).read(buffer)),
            Object::Duplex(pipe) => tasks.wait((&mut &*pipe).read(buffer)),
            Object::Outbound(_) => Err(wrong_type()),
        }
    }

    fn write(&self, tasks: &Tasks, data: &[u8]) -> Result<usize, Failure> {
        match self {
            Object::Outbound(pipe) => tasks.wait((&mut &*pipe).write(data)),
            Object::Duplex(pipe) => tasks.wait((&mut &*pipe).write(data)),
            Object::Inbound(_) => Err(wrong_type()),
        }
    }

    fn flush(&self, tasks: &Tasks) -> Result<(), Failure> {
        match self {
            Object::Outbound(pipe) => tasks.wait(pipe.flush()),
            Object::Duplex(pipe) => tasks.wait(pipe.flush()),
            Object::Inbound(_) => Err(wrong_type()),
        }
    }

    /// Process and session of the other end.
    fn peer(&self) -> io::Result<(u32, u32)> {
        match self {
            Object::Inbound(pipe) => Ok((pipe.peer_process_id()?, pipe.peer_session_id()?)),
            Object::Outbound(pipe) => Ok((pipe.peer_process_id()?, pipe.peer_session_id()?)),
            Object::Duplex(pipe) => Ok((pipe.peer_process_id()?, pipe.peer_session_id()?)),
        }
    }

    fn raw(&self) -> RawHandle {
        match self {
            Object::Inbound(pipe) => pipe.as_raw_handle(),
            Object::Outbound(pipe) => pipe.as_raw_handle(),
            Object::Duplex(pipe) => pipe.as_raw_handle(),
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Object> {
        match self {
            Listener::Inbound(listener) => Ok(Object::Inbound(listener.accept().await?)),
            Listener::Outbound(listener) => Ok(Object::Outbound(listener.accept().await?)),
            Listener::Duplex(listener) => Ok(Object::Duplex(listener.accept().await?)),
        }
    }
}

type Performed = Result<Results, Failure>;
type PeerCall<'a> = Call<'a, Interprocess2>;

pub fn perform(tasks: &Tasks, call: &PeerCall) -> Outcome {
    match call.name_of_operation() {
        "named_pipe.listen" => listen(tasks, call).into(),
        "listener.accept_named_pipe" => accept(tasks, call).into(),
        "named_pipe.connect" => connect(tasks, call).into(),
        "named_pipe.read" => read(tasks, call),
        "named_pipe.write" => write(tasks, call),
        "named_pipe.flush" => call.with_object(true, |object| object.flush(tasks).map(|()| Vec::new())).into(),
        "named_pipe.peer" => call.with_object(false, peer).into(),
        "named_pipe.raw" => call.with_object(false, |object| Ok(raw_results(object.raw() as RawFd))).into(),
        _ => adopt(tasks, call).into(),
    }
}

fn listen(tasks: &Tasks, call: &PeerCall) -> Performed {
    for argument in ["backlog", "share_name"] {
        if call.arguments.has(argument) {
            return Err(Failure::unsupported(format!("the crate has no such choice: {argument}")));
        }
    }
    let path = names::native(&call.name_under("kind", "name"));
    // The builder panics on a NUL inside the path, as its type does not allow one.
    let text = os_text(&path)?.to_wtf_16().map_err(|error| Failure::new("invalid_name", error.to_string()))?;
    let mut options = PipeListenerOptions::new().path(text.into_owned()).mode(PipeMode::Bytes);
    if let Some(limit) = call.arguments.unsigned("instances_max") {
        let limit = u8::try_from(limit).map_err(|_| Failure::invalid_argument("instance_limit is a u8"))?;
        options = options.instance_limit(NonZeroU8::new(limit));
    }
    let size = |argument| call.arguments.unsigned(argument).map_or(SIZE, |size| size as u32);
    options = options.input_buffer_size_hint(size("in_size")).output_buffer_size_hint(size("out_size"));
    let _entered = tasks.enter();
    call.begin();
    let listener = match call.arguments.text("direction") {
        Some("inbound") => Listener::Inbound(options.create_tokio()?),
        Some("outbound") => Listener::Outbound(options.create_tokio()?),
        _ => Listener::Duplex(options.create_tokio()?),
    };
    call.add_listener(crate::Listener::Named(listener));
    Ok(vec![("native", to_json(&path))])
}

fn add(call: &PeerCall, object: Object) -> Performed {
    call.add_object("as", object);
    Ok(Vec::new())
}

fn accept(tasks: &Tasks, call: &PeerCall) -> Performed {
    let object = call.with_listener(true, |listener| match listener {
        crate::Listener::Named(listener) => tasks.wait(listener.accept()),
        crate::Listener::Local(_) => Err(wrong_listener()),
    })?;
    add(call, object)
}

fn connect(tasks: &Tasks, call: &PeerCall) -> Performed {
    let path = &os_text(&names::native(&call.name_under("kind", "name")))?;
    let path = path.as_os_str();
    let timeout = call.arguments.unsigned("timeout_ms").map(Duration::from_millis);
    let wait = timeout.map_or(ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout);
    call.begin();
    let object = match call.arguments.text("direction") {
        Some("inbound") => Object::Outbound(tasks.wait(PipeStream::connect_by_path_with_wait_mode(path, wait))?),
        Some("outbound") => Object::Inbound(tasks.wait(PipeStream::connect_by_path_with_wait_mode(path, wait))?),
        _ => Object::Duplex(tasks.wait(PipeStream::connect_by_path_with_wait_mode(path, wait))?),
    };
    add(call, object)
}

fn read(tasks: &Tasks, call: &PeerCall) -> Outcome {
    let max = call.arguments.unsigned("max").unwrap_or(0).min(1 << 30);
    let mut buffer = vec![0; max as usize];
    let mut length = 0;
    let result = call.with_object(true, |object| {
        length = object.read(tasks, &mut buffer)?;
        match length {
            0 if max > 0 => Err(Failure::new("end", "")),
            _ => Ok(()),
        }
    });
    Outcome { failure: result.err(), results: consumed(&buffer[..length]) }
}

/// Bytes are written until all are taken.
fn write(tasks: &Tasks, call: &PeerCall) -> Outcome {
    let data = call.arguments.data();
    let bytes = data.slice(0, data.len());
    let mut taken = 0;
    let result = call.with_object(true, |object| loop {
        let length = object.write(tasks, &bytes[taken..])?;
        taken += length;
        if taken >= bytes.len() {
            return Ok(());
        }
        if length == 0 {
            return Err(Failure::new("failed", "the write accepted nothing and said so without an error"));
        }
    });
    Outcome { failure: result.err(), results: vec![("length", (taken as u64).into())] }
}

fn peer(object: &Object) -> Performed {
    let (pid, session) = object.peer()?;
    Ok(vec![("pid", u64::from(pid).into()), ("session", u64::from(session).into())])
}

/// A pipe of both directions.
fn adopt(tasks: &Tasks, call: &PeerCall) -> Performed {
    let handle = call.adoptable()?;
    let _entered = tasks.enter();
    call.begin();
    // SAFETY: the handle is open, and the pipe's from here on unless it is given back.
    let owned = unsafe { OwnedHandle::from_raw_handle(handle as RawHandle) };
    let pipe = PipeStream::<Bytes, Bytes>::try_from(owned).map_err(|error| {
        let why = error.to_string();
        let _ = error.source.map(IntoRawHandle::into_raw_handle);
        error.cause.map_or_else(|| Failure::invalid_argument(why), Failure::from)
    })?;
    call.disown(handle);
    add(call, Object::Duplex(pipe))
}
