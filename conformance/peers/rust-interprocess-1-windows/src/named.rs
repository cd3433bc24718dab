//! Named pipes. The crate has a type for each direction and mode of reading; which one a program takes, its request says.

use crate::{native, pipe_name, wrong_listener, Interprocess1Windows};
use cts_peer::{consumed, os_text, raw_results, to_json, Call, Failure, Outcome, RawFd, Results};
use interprocess::os::windows::named_pipe::{
    ByteReaderPipeStream, ByteWriterPipeStream, DuplexBytePipeStream, DuplexMsgPipeStream, MsgReaderPipeStream,
    MsgWriterPipeStream, PipeListener, PipeListenerOptions, PipeMode, PipeStream,
};
use interprocess::ReliableReadMsg;
use std::io::{self, Read, Write};
use std::num::NonZeroU8;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, RawHandle};
use std::sync::{Mutex, PoisonError, TryLockError};

/// A pipe of any of the six types, for the only lane that uses it.
pub struct Object(Mutex<Option<Box<dyn Pipe>>>);

/// What a pipe holds in each direction unless a request says it. The crate's own choice is 512 bytes; a program whose
/// writes are not to wait gives sizes.
const SIZE: usize = 65_536;

impl Object {
    /// Closes without waiting for the reader.
    pub fn discard(self) {
        if let Some(pipe) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let _ = pipe.disconnect();
        }
    }
}

/// What the six types have in common, and what some of them have.
pub trait Pipe: Send {
    fn read(&mut self, _buffer: &mut [u8]) -> Result<usize, Failure> {
        Err(Failure::unsupported("the type has no such call"))
    }
    /// The message's length, or, if it does not fit, that of what it has.
    fn try_read_message(&mut self, _buffer: &mut [u8]) -> Result<Result<usize, usize>, Failure> {
        Err(Failure::unsupported("the type reads no messages"))
    }
    fn write(&mut self, _data: &[u8]) -> Result<usize, Failure> {
        Err(Failure::unsupported("the type has no such call"))
    }
    fn flush(&mut self) -> Result<(), Failure> {
        Err(Failure::unsupported("the type has no such call"))
    }
    /// A write is a message.
    fn writes_messages(&self) -> bool;
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
    /// Process and session of the other end.
    fn peer(&self) -> io::Result<(u32, u32)>;
    fn disconnect(self: Box<Self>) -> io::Result<()>;
    fn raw(&self) -> RawHandle;
    fn release(self: Box<Self>) -> RawHandle;
}

macro_rules! pipe {
    ($type:ident: $($part:ident)*) => {
        impl Pipe for $type {
            $(pipe!(@$part);)*

            fn writes_messages(&self) -> bool {
                Self::WRITE_MODE == Some(PipeMode::Messages)
            }
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                $type::set_nonblocking(self, nonblocking)
            }
            fn peer(&self) -> io::Result<(u32, u32)> {
                if self.is_server() {
                    return Ok((self.client_process_id()?, self.client_session_id()?));
                }
                Ok((self.server_process_id()?, self.server_session_id()?))
            }
            fn disconnect(self: Box<Self>) -> io::Result<()> {
                self.disconnect_without_flushing()
            }
            fn raw(&self) -> RawHandle {
                self.as_raw_handle()
            }
            fn release(self: Box<Self>) -> RawHandle {
                self.into_raw_handle()
            }
        }
    };
    (@reads) => {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
            Ok(Read::read(self, buffer)?)
        }
    };
    (@reads_messages) => {
        fn try_read_message(&mut self, buffer: &mut [u8]) -> Result<Result<usize, usize>, Failure> {
            Ok(self.try_read_msg(buffer)?)
        }
    };
    (@writes) => {
        fn write(&mut self, data: &[u8]) -> Result<usize, Failure> {
            Ok(Write::write(self, data)?)
        }
        fn flush(&mut self) -> Result<(), Failure> {
            Ok(Write::flush(self)?)
        }
    };
}
pipe!(ByteReaderPipeStream: reads);
pipe!(ByteWriterPipeStream: writes);
pipe!(DuplexBytePipeStream: reads writes);
pipe!(MsgReaderPipeStream: reads reads_messages);
pipe!(MsgWriterPipeStream: writes);
pipe!(DuplexMsgPipeStream: reads reads_messages writes);

/// A listener for pipes of any of the six types.
pub trait Accepts: Send + Sync {
    fn accept(&self) -> io::Result<Box<dyn Pipe>>;
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
}
pub type Listener = Box<dyn Accepts>;

impl<S: PipeStream + Pipe + 'static> Accepts for PipeListener<S> {
    fn accept(&self) -> io::Result<Box<dyn Pipe>> {
        Ok(Box::new(PipeListener::accept(self)?))
    }
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        PipeListener::set_nonblocking(self, nonblocking)
    }
}

type Performed = Result<Results, Failure>;
type PeerCall<'a> = Call<'a, Interprocess1Windows>;

pub fn perform(call: &PeerCall) -> Outcome {
    match call.name_of_operation() {
        "named_pipe.listen" => listen(call).into(),
        "listener.accept_named_pipe" => accept(call).into(),
        "named_pipe.connect" => connect(call).into(),
        "named_pipe.read" => read(call),
        "named_pipe.write" => write(call),
        "named_pipe.flush" => with_pipe(call, true, |pipe| pipe.flush().map(|()| Vec::new())).into(),
        "named_pipe.disconnect" => disconnect(call).into(),
        "named_pipe.peer" => with_pipe(call, false, peer).into(),
        "named_pipe.set_nonblocking" => set_nonblocking(call).into(),
        "named_pipe.raw" => with_pipe(call, false, |pipe| Ok(raw_results(pipe.raw() as RawFd))).into(),
        "named_pipe.release" => release(call).into(),
        _ => adopt(call).into(),
    }
}

/// Whether an argument says `wanted`; `otherwise` if it was not given.
fn is(call: &PeerCall, argument: &str, wanted: &str, otherwise: bool) -> bool {
    call.arguments.text(argument).map_or(otherwise, |given| given == wanted)
}

fn mode(messages: bool) -> PipeMode {
    if messages {
        PipeMode::Messages
    } else {
        PipeMode::Bytes
    }
}

fn listen(call: &PeerCall) -> Performed {
    for argument in ["backlog", "share_name"] {
        if call.arguments.has(argument) {
            return Err(Failure::unsupported(format!("the crate has no such choice: {argument}")));
        }
    }
    let name = call.name_under("kind", "name");
    let name = pipe_name(&name)?;
    let text = os_text(name)?;
    let messages = is(call, "type", "messages", false);
    let reads_messages = is(call, "read_mode", "messages", messages);
    let mut options = PipeListenerOptions::new().name(text).mode(mode(messages));
    if let Some(limit) = call.arguments.unsigned("instances_max") {
        let limit = u8::try_from(limit).map_err(|_| Failure::invalid_argument("instance_limit is a u8"))?;
        options = options.instance_limit(NonZeroU8::new(limit));
    }
    let size = |argument| call.arguments.unsigned(argument).map_or(SIZE, |size| size as usize);
    options = options.input_buffer_size_hint(size("in_size")).output_buffer_size_hint(size("out_size"));
    call.begin();
    let listener: Listener = match (call.arguments.text("direction"), reads_messages) {
        (Some("inbound"), false) => Box::new(options.create::<ByteReaderPipeStream>()?),
        (Some("inbound"), true) => Box::new(options.create::<MsgReaderPipeStream>()?),
        (Some("outbound"), _) if messages => Box::new(options.create::<MsgWriterPipeStream>()?),
        (Some("outbound"), _) => Box::new(options.create::<ByteWriterPipeStream>()?),
        (_, false) => Box::new(options.create::<DuplexBytePipeStream>()?),
        (_, true) => Box::new(options.create::<DuplexMsgPipeStream>()?),
    };
    call.add_listener(crate::Listener::Named(listener));
    Ok(vec![("native", to_json(&native(name)))])
}

fn add(call: &PeerCall, pipe: Box<dyn Pipe>) -> Performed {
    call.add_object("as", Object(Mutex::new(Some(pipe))));
    Ok(Vec::new())
}

fn accept(call: &PeerCall) -> Performed {
    let pipe = call.with_listener(true, |listener| match listener {
        crate::Listener::Named(listener) => Ok(listener.accept()?),
        crate::Listener::Local(_) => Err(wrong_listener()),
    })?;
    add(call, pipe)
}

fn connect(call: &PeerCall) -> Performed {
    let name = call.name_under("kind", "name");
    let name = &os_text(pipe_name(&name)?)?;
    let messages = is(call, "read_mode", "messages", false);
    call.may_wait_in_library();
    call.begin();
    let pipe: Box<dyn Pipe> = match (call.arguments.text("direction"), messages) {
        (Some("inbound"), false) => Box::new(ByteWriterPipeStream::connect(name)?),
        (Some("inbound"), true) => Box::new(MsgWriterPipeStream::connect(name)?),
        (Some("outbound"), false) => Box::new(ByteReaderPipeStream::connect(name)?),
        (Some("outbound"), true) => Box::new(MsgReaderPipeStream::connect(name)?),
        (_, false) => Box::new(DuplexBytePipeStream::connect(name)?),
        (_, true) => Box::new(DuplexMsgPipeStream::connect(name)?),
    };
    add(call, pipe)
}

/// One call on the pipe in `on`, which may wait if `waits`.
fn with_pipe<R>(
    call: &PeerCall,
    waits: bool,
    mut act: impl FnMut(&mut dyn Pipe) -> Result<R, Failure>,
) -> Result<R, Failure> {
    call.with_object(waits, |object| {
        let mut pipe = match object.0.try_lock() {
            Ok(pipe) => pipe,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::unsupported("another lane is inside of the pipe, which asks for &mut"))
            }
        };
        let pipe =
            pipe.as_mut().ok_or_else(|| Failure::new("closed", "the pipe was disconnected, which consumes it"))?;
        act(&mut **pipe)
    })
}

/// `whole` is what `try_read_msg` is for; else the pipe is read as any `Read` is.
fn read(call: &PeerCall) -> Outcome {
    let max = call.arguments.unsigned("max").unwrap_or(0).min(1 << 30);
    let whole = call.arguments.bool("whole") == Some(true);
    let mut buffer = vec![0; max as usize];
    let (mut length, mut left) = (0, 0);
    let result = with_pipe(call, true, |pipe| {
        if whole {
            match pipe.try_read_message(&mut buffer)? {
                Ok(taken) => length = taken,
                Err(needed) => {
                    left = needed;
                    return Err(Failure::new("message_truncated", "the buffer is too small"));
                }
            }
            return Ok(());
        }
        length = pipe.read(&mut buffer)?;
        Ok(())
    });
    let mut results = consumed(&buffer[..length]);
    if left > 0 {
        results.push(("left", (left as u64).into()));
    }
    Outcome { failure: result.err(), results }
}

/// Bytes are written until all are taken; a message with one call.
fn write(call: &PeerCall) -> Outcome {
    let data = call.arguments.data();
    let bytes = data.slice(0, data.len());
    let mut taken = 0;
    let result = with_pipe(call, true, |pipe| loop {
        let length = pipe.write(&bytes[taken..])?;
        taken += length;
        if taken >= bytes.len() || pipe.writes_messages() {
            return Ok(());
        }
        if length == 0 {
            return Err(Failure::new("failed", "the write accepted nothing and said so without an error"));
        }
    });
    Outcome { failure: result.err(), results: vec![("length", (taken as u64).into())] }
}

/// With `flush` a program drops the pipe.
fn disconnect(call: &PeerCall) -> Performed {
    let flush = call.arguments.bool("flush") == Some(true);
    call.with_object(true, |object| {
        let taken = object.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let pipe = taken.ok_or_else(|| Failure::new("closed", "the pipe was disconnected, which consumes it"))?;
        if flush {
            drop(pipe);
            return Ok(());
        }
        Ok(pipe.disconnect()?)
    })?;
    Ok(Vec::new())
}

fn peer(pipe: &mut dyn Pipe) -> Performed {
    let (pid, session) = pipe.peer()?;
    Ok(vec![("pid", u64::from(pid).into()), ("session", u64::from(session).into())])
}

fn set_nonblocking(call: &PeerCall) -> Performed {
    let nonblocking = call.arguments.bool("nonblocking") == Some(true);
    with_pipe(call, false, |pipe| Ok(pipe.set_nonblocking(nonblocking)?))?;
    call.set_single_attempts(nonblocking)?;
    Ok(Vec::new())
}

fn release(call: &PeerCall) -> Performed {
    let object = call.consume_object()?;
    call.begin();
    let taken = object.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let pipe = taken.ok_or_else(|| Failure::new("closed", "the pipe was disconnected, which consumes it"))?;
    Ok(call.released(pipe.release() as RawFd))
}

#[link(name = "kernel32")]
extern "system" {
    fn GetNamedPipeInfo(pipe: RawHandle, flags: *mut u32, out: *mut u32, input: *mut u32, max: *mut u32) -> i32;
}
const PIPE_TYPE_MESSAGE: u32 = 4;

/// A pipe of both directions; the type is that of the pipe, which a program knows.
fn adopt(call: &PeerCall) -> Performed {
    let handle = call.adoptable()?;
    let raw = handle as RawHandle;
    let (mut flags, none) = (0, std::ptr::null_mut());
    // SAFETY: room for the flags.
    let known = unsafe { GetNamedPipeInfo(raw, &mut flags, none, none, none) } != 0;
    if !known {
        return Err(Failure::invalid_argument("no handle of a pipe, which the crate must not be given"));
    }
    call.begin();
    // SAFETY: the handle is that of a pipe, and the stream's from here on.
    let pipe: Box<dyn Pipe> = unsafe {
        if flags & PIPE_TYPE_MESSAGE != 0 {
            Box::new(DuplexMsgPipeStream::from_raw_handle(raw))
        } else {
            Box::new(DuplexBytePipeStream::from_raw_handle(raw))
        }
    };
    call.disown(handle);
    add(call, pipe)
}
