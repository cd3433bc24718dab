//! Named pipes. Direction and mode of reading are types of the crate; which of them a program takes, its request says.

use crate::{names, streams, wrong_listener, Interprocess2Windows};
use cts_peer::{consumed, os_text, raw_results, to_json, Call, Failure, Outcome, RawFd, Results};
use interprocess::os::windows::named_pipe::pipe_mode::{Bytes, Messages, None as Nothing};
use interprocess::os::windows::named_pipe::{PipeListener, PipeListenerOptions, PipeMode, PipeStream};
use interprocess::os::windows::ToWtf16;
use interprocess::ConnectWaitMode;
use recvmsg::{MsgBuf, RecvMsg, RecvResult};
use std::io::{self, Read, Write};
use std::num::NonZeroU8;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle, RawHandle};
use std::time::Duration;

/// A pipe of any of the types.
pub struct Object(Box<dyn Pipe>);

/// What a pipe holds in each direction unless a request says it. The crate's own choice is 512 bytes; a program whose
/// writes are not to wait gives sizes.
const SIZE: u32 = 65_536;

impl Object {
    /// Closes without a flush by the crate's threads, which would wait for the reader and hold up what comes behind it.
    pub fn discard(self) {
        self.0.assume_flushed();
    }
}

/// What a read took, and whether the rest of a message was lost.
struct Taken {
    length: usize,
    cut: bool,
}

/// What the types have in common, and what some of them have.
trait Pipe: Send + Sync {
    fn read(&self, _buffer: &mut [u8]) -> Result<Taken, Failure> {
        Err(Failure::unsupported("the type has no such call"))
    }
    fn write(&self, _data: &[u8]) -> Result<usize, Failure> {
        Err(Failure::unsupported("the type has no such call"))
    }
    fn flush(&self) -> Result<(), Failure> {
        Err(Failure::unsupported("the type has no such call"))
    }
    fn assume_flushed(&self) {}
    /// A write is a message.
    fn writes_messages(&self) -> bool {
        false
    }
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
    /// Process and session of the other end.
    fn peer(&self) -> io::Result<(u32, u32)>;
    fn raw(&self) -> RawHandle;
    fn release(self: Box<Self>) -> OwnedHandle;
}

macro_rules! pipe {
    ($reads:ident, $writes:ident) => {
        impl Pipe for PipeStream<$reads, $writes> {
            pipe!(@read $reads);
            pipe!(@write $writes);

            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                PipeStream::set_nonblocking(self, nonblocking)
            }
            fn peer(&self) -> io::Result<(u32, u32)> {
                Ok((self.peer_process_id()?, self.peer_session_id()?))
            }
            fn raw(&self) -> RawHandle {
                self.as_raw_handle()
            }
            fn release(self: Box<Self>) -> OwnedHandle {
                OwnedHandle::try_from(*self).expect("the stream was never split")
            }
        }
    };
    (@read Nothing) => {};
    (@read Bytes) => {
        fn read(&self, buffer: &mut [u8]) -> Result<Taken, Failure> {
            match Read::read(&mut &*self, buffer)? {
                0 if !buffer.is_empty() => Err(Failure::new("end", "")),
                length => Ok(Taken { length, cut: false }),
            }
        }
    };
    (@read Messages) => {
        fn read(&self, buffer: &mut [u8]) -> Result<Taken, Failure> {
            let quota = buffer.len();
            let mut message = MsgBuf::from(buffer);
            message.quota = Some(quota);
            let result = RecvMsg::recv_msg(&mut &*self, &mut message, None)?;
            let length = message.len_filled();
            match result {
                RecvResult::EndOfStream => Err(Failure::new("end", "EndOfStream")),
                result => Ok(Taken { length, cut: matches!(result, RecvResult::QuotaExceeded(_)) }),
            }
        }
    };
    (@write Nothing) => {};
    (@write Bytes) => {
        fn write(&self, data: &[u8]) -> Result<usize, Failure> {
            Ok(Write::write(&mut &*self, data)?)
        }
        pipe!(@writes);
    };
    (@write Messages) => {
        fn write(&self, data: &[u8]) -> Result<usize, Failure> {
            Ok(self.send(data)?)
        }
        fn writes_messages(&self) -> bool {
            true
        }
        pipe!(@writes);
    };
    (@writes) => {
        fn flush(&self) -> Result<(), Failure> {
            Ok(PipeStream::flush(self)?)
        }
        fn assume_flushed(&self) {
            PipeStream::assume_flushed(self)
        }
    };
}
pipe!(Bytes, Nothing);
pipe!(Nothing, Bytes);
pipe!(Bytes, Bytes);
pipe!(Messages, Nothing);
pipe!(Nothing, Messages);
pipe!(Messages, Messages);
pipe!(Bytes, Messages);

/// A listener for pipes of any of the types.
pub trait Accepts: Send + Sync {
    fn accept(&self) -> io::Result<Object>;
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
    fn raw(&self) -> RawHandle;
    fn release(self: Box<Self>) -> OwnedHandle;
}
pub type Listener = Box<dyn Accepts>;

macro_rules! listener {
    ($reads:ident, $writes:ident) => {
        impl Accepts for PipeListener<$reads, $writes> {
            fn accept(&self) -> io::Result<Object> {
                Ok(Object(Box::new(PipeListener::accept(self)?)))
            }
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                PipeListener::set_nonblocking(self, nonblocking)
            }
            fn raw(&self) -> RawHandle {
                self.as_raw_handle()
            }
            fn release(self: Box<Self>) -> OwnedHandle {
                OwnedHandle::from(*self)
            }
        }
    };
}
listener!(Bytes, Nothing);
listener!(Nothing, Bytes);
listener!(Bytes, Bytes);
listener!(Messages, Nothing);
listener!(Nothing, Messages);
listener!(Messages, Messages);
listener!(Bytes, Messages);

type Performed = Result<Results, Failure>;
type PeerCall<'a> = Call<'a, Interprocess2Windows>;

pub fn perform(call: &PeerCall) -> Outcome {
    match call.name_of_operation() {
        "named_pipe.listen" => listen(call).into(),
        "listener.accept_named_pipe" => accept(call).into(),
        "named_pipe.connect" => connect(call).into(),
        "named_pipe.read" => read(call),
        "named_pipe.write" => write(call),
        "named_pipe.flush" => call.with_object(true, |object| object.0.flush().map(|()| Vec::new())).into(),
        "named_pipe.peer" => call.with_object(false, peer).into(),
        "named_pipe.set_nonblocking" => set_nonblocking(call).into(),
        "named_pipe.raw" => call.with_object(false, |object| Ok(raw_results(object.0.raw() as RawFd))).into(),
        "named_pipe.release" => release(call).into(),
        _ => adopt(call).into(),
    }
}

/// Whether an argument says `wanted`; `otherwise` if it was not given.
fn is(call: &PeerCall, argument: &str, wanted: &str, otherwise: bool) -> bool {
    call.arguments.text(argument).map_or(otherwise, |given| given == wanted)
}

fn listen(call: &PeerCall) -> Performed {
    for argument in ["backlog", "share_name"] {
        if call.arguments.has(argument) {
            return Err(Failure::unsupported(format!("the crate has no such choice: {argument}")));
        }
    }
    let path = names::native(&call.name_under("kind", "name"));
    // The builder panics on a NUL inside the path, as its type does not allow one.
    let text = os_text(&path)?.to_wtf_16().map_err(|error| Failure::new("invalid_name", error.to_string()))?;
    let messages = is(call, "type", "messages", false);
    let reads_messages = is(call, "read_mode", "messages", messages);
    let mode = if messages { PipeMode::Messages } else { PipeMode::Bytes };
    let mut options = PipeListenerOptions::new().path(text.into_owned()).mode(mode);
    if let Some(limit) = call.arguments.unsigned("instances_max") {
        let limit = u8::try_from(limit).map_err(|_| Failure::invalid_argument("instance_limit is a u8"))?;
        options = options.instance_limit(NonZeroU8::new(limit));
    }
    let size = |argument| call.arguments.unsigned(argument).map_or(SIZE, |size| size as u32);
    options = options.input_buffer_size_hint(size("in_size")).output_buffer_size_hint(size("out_size"));
    call.begin();
    let listener: Listener = match (call.arguments.text("direction"), reads_messages) {
        (Some("inbound"), false) => Box::new(options.create::<Bytes, Nothing>()?),
        (Some("inbound"), true) => Box::new(options.create::<Messages, Nothing>()?),
        (Some("outbound"), _) if messages => Box::new(options.create::<Nothing, Messages>()?),
        (Some("outbound"), _) => Box::new(options.create::<Nothing, Bytes>()?),
        (_, true) => Box::new(options.create::<Messages, Messages>()?),
        (_, false) if messages => Box::new(options.create::<Bytes, Messages>()?),
        (_, false) => Box::new(options.create::<Bytes, Bytes>()?),
    };
    call.add_listener(crate::Listener::Named(listener));
    Ok(vec![("native", to_json(&path))])
}

fn add(call: &PeerCall, object: Object) -> Performed {
    call.add_object("as", object);
    Ok(Vec::new())
}

fn accept(call: &PeerCall) -> Performed {
    let object = call.with_listener(true, |listener| match listener {
        crate::Listener::Named(listener) => Ok(listener.accept()?),
        crate::Listener::Local(_) => Err(wrong_listener()),
    })?;
    add(call, object)
}

fn connect(call: &PeerCall) -> Performed {
    let path = &os_text(&names::native(&call.name_under("kind", "name")))?;
    let path = path.as_os_str();
    let messages = is(call, "read_mode", "messages", false);
    let timeout = call.arguments.unsigned("timeout_ms").map(Duration::from_millis);
    let wait = timeout.map_or(ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout);
    call.may_wait_in_library();
    call.begin();
    let pipe: Box<dyn Pipe> = match (call.arguments.text("direction"), messages) {
        (Some("inbound"), false) => Box::new(PipeStream::<Nothing, Bytes>::connect_by_path_with_wait_mode(path, wait)?),
        (Some("inbound"), true) => {
            Box::new(PipeStream::<Nothing, Messages>::connect_by_path_with_wait_mode(path, wait)?)
        }
        (Some("outbound"), false) => {
            Box::new(PipeStream::<Bytes, Nothing>::connect_by_path_with_wait_mode(path, wait)?)
        }
        (Some("outbound"), true) => {
            Box::new(PipeStream::<Messages, Nothing>::connect_by_path_with_wait_mode(path, wait)?)
        }
        (_, false) => Box::new(PipeStream::<Bytes, Bytes>::connect_by_path_with_wait_mode(path, wait)?),
        (_, true) => Box::new(PipeStream::<Messages, Messages>::connect_by_path_with_wait_mode(path, wait)?),
    };
    add(call, Object(pipe))
}

/// A message that does not fit is cut, and what was cut off is gone: `recv_msg` discards it, so that nothing is left.
fn read(call: &PeerCall) -> Outcome {
    if call.arguments.bool("whole") == Some(true) {
        return Err(Failure::unsupported("recv_msg discards a message that does not fit")).into();
    }
    let max = call.arguments.unsigned("max").unwrap_or(0).min(1 << 30);
    let mut buffer = vec![0; max as usize];
    let mut length = 0;
    let result = call.with_object(true, |object| {
        let taken = object.0.read(&mut buffer)?;
        length = taken.length;
        if taken.cut {
            return Err(Failure::new("message_truncated", "QuotaExceeded"));
        }
        Ok(())
    });
    let mut results = consumed(&buffer[..length]);
    if matches!(&result, Err(failure) if failure.status == "message_truncated") {
        results.push(("left", 0_u64.into()));
    }
    Outcome { failure: result.err(), results }
}

/// Bytes are written until all are taken; a message with one call.
fn write(call: &PeerCall) -> Outcome {
    let data = call.arguments.data();
    let bytes = data.slice(0, data.len());
    let mut taken = 0;
    let result = call.with_object(true, |object| loop {
        let length = object.0.write(&bytes[taken..])?;
        taken += length;
        if taken >= bytes.len() || object.0.writes_messages() {
            return Ok(());
        }
        if length == 0 {
            return Err(Failure::new("failed", "the write accepted nothing and said so without an error"));
        }
    });
    Outcome { failure: result.err(), results: vec![("length", (taken as u64).into())] }
}

fn peer(object: &Object) -> Performed {
    let (pid, session) = object.0.peer()?;
    Ok(vec![("pid", u64::from(pid).into()), ("session", u64::from(session).into())])
}

fn set_nonblocking(call: &PeerCall) -> Performed {
    let nonblocking = call.arguments.bool("nonblocking") == Some(true);
    call.with_object(false, |object| Ok(object.0.set_nonblocking(nonblocking)?))?;
    call.set_single_attempts(nonblocking)?;
    Ok(Vec::new())
}

fn release(call: &PeerCall) -> Performed {
    let object = call.consume_object()?;
    call.begin();
    Ok(call.released(object.0.release().into_raw_handle() as RawFd))
}

/// A pipe of both directions; the type is that of the pipe, which a program knows.
fn adopt(call: &PeerCall) -> Performed {
    let handle = call.adoptable()?;
    let (flags, _) = streams::info(handle as RawHandle)?;
    call.begin();
    // SAFETY: the handle is open, and the pipe's from here on unless it is given back.
    let owned = unsafe { OwnedHandle::from_raw_handle(handle as RawHandle) };
    let adopted = if flags & streams::PIPE_TYPE_MESSAGE != 0 {
        PipeStream::<Messages, Messages>::try_from(owned).map(|pipe| Box::new(pipe) as Box<dyn Pipe>)
    } else {
        PipeStream::<Bytes, Bytes>::try_from(owned).map(|pipe| Box::new(pipe) as Box<dyn Pipe>)
    };
    let pipe = adopted.map_err(|error| {
        let why = error.to_string();
        let _ = error.source.map(IntoRawHandle::into_raw_handle);
        error.cause.map_or_else(|| Failure::invalid_argument(why), Failure::from)
    })?;
    call.disown(handle);
    add(call, Object(pipe))
}
