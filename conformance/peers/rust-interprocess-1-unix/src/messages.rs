//! Sockets of messages: `UdSocket`.

use crate::{ancillary, names, Interprocess1Unix};
use cts_peer::{to_json, Call, Failure, Outcome, Results};
use interprocess::os::unix::udsocket::{AncillaryDataBuf, UdSocket, UdSocketPath};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};

/// A socket of messages.
pub type Socket = UdSocket;

pub fn perform(call: &Call<Interprocess1Unix>) -> Outcome {
    match call.name_of_operation() {
        "socket.open" => open(call).into(),
        "socket.bind" => bind(call).into(),
        "socket.connect" => connect(call).into(),
        "socket.send" => send(call),
        "socket.receive" => receive(call),
        "socket.next_length" => next_length(call),
        "socket.set_nonblocking" => set_nonblocking(call).into(),
        "socket.raw" => raw(call).into(),
        "socket.release" => call.consume_object().map(|socket| call.released(socket.into_raw_fd())).into(),
        "socket.adopt" => adopt(call).into(),
        other => Err(Failure::unsupported(format!("the peer does not know {other}"))).into(),
    }
}

/// The crate makes no socket without a name and a destination but of a descriptor.
fn open(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    if call.arguments.text("type") != Some("datagram") {
        return Err(Failure::unsupported("the crate has no seqpackets"));
    }
    call.begin();
    // SAFETY: socket(2) touches no memory, and the new descriptor has no other owner.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        UdSocket::from_raw_fd(fd)
    };
    call.add_object("as", socket);
    Ok(Vec::new())
}

fn bind(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    if !call.arguments.has("kind") || !call.arguments.has("name") {
        return Err(Failure::invalid_argument("the name is missing"));
    }
    let path = names::spell(&call.name_under("kind", "name"))?;
    let address = names::native(&path);
    call.begin();
    let socket = match call.arguments.bool("keep_name") {
        Some(true) => UdSocket::bind(path)?,
        _ => UdSocket::bind_with_drop_guard(path)?,
    };
    call.add_object("as", socket);
    Ok(vec![("native", to_json(&address))])
}

fn connect(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let path = names::spell(&call.name_under("kind", "name"))?;
    call.with_object(false, |socket| Ok(socket.set_destination(&path)?))?;
    Ok(Vec::new())
}

fn send(call: &Call<Interprocess1Unix>) -> Outcome {
    let data = call.arguments.data();
    let data = data.slice(0, data.len());
    let mut asked = ancillary::asked_for(call);
    let result = call.with_object(true, |socket| {
        if call.arguments.has("to") {
            socket.set_destination(names::spell(&call.name_under("to_kind", "to"))?)?;
        }
        if asked.is_empty() {
            return Ok(socket.send_vectored(&[IoSlice::new(&data)])?);
        }
        Ok(socket.send_ancillary(&data, asked.drain(..))?.0)
    });
    let sent = *result.as_ref().unwrap_or(&0) as u64;
    Outcome { failure: result.err(), results: vec![("length", sent.into())] }
}

/// With room for descriptors it is `recv_from_ancillary`, else `recv_from`.
fn receive(call: &Call<Interprocess1Unix>) -> Outcome {
    let max = call.arguments.unsigned("max").unwrap_or(0).min(1 << 30) as usize;
    let (mut buffer, mut control) = (vec![0; max], ancillary::room_for(call));
    let mut sender = UdSocketPath::Unnamed;
    let beside = call.arguments.has("descriptors_max");
    let result = call.with_object(true, |socket| {
        if !beside {
            let (length, cut) = socket.recv_from(&mut buffer, &mut sender)?;
            return Ok((length, cut, 0, false));
        }
        let mut room = AncillaryDataBuf::Borrowed(&mut control);
        Ok(socket.recv_from_ancillary(&mut buffer, &mut room, &mut sender)?)
    });
    let (length, cut, came, control_cut) = *result.as_ref().unwrap_or(&(0, false, 0, false));
    let mut results = cts_peer::consumed(&buffer[..length.min(max)]);
    let (descriptors, found) = ancillary::found_in(&mut control[..came]);
    ancillary::own(call, &descriptors);
    results.extend(found);
    if control_cut {
        results.push(("cut", true.into()));
    }
    if !matches!(sender, UdSocketPath::Unnamed) {
        results.push(("from", to_json(&names::native(&sender))));
    }
    let failure = result.err().or_else(|| cut.then(|| Failure::new("message_truncated", "the flag of recv_from")));
    Outcome { failure, results }
}

fn next_length(call: &Call<Interprocess1Unix>) -> Outcome {
    let result = call.with_object(true, |socket| Ok(socket.peek_msg_size()?));
    let length = *result.as_ref().unwrap_or(&0) as u64;
    Outcome { failure: result.err(), results: vec![("length", length.into())] }
}

fn set_nonblocking(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let asked = call.arguments.bool("nonblocking") == Some(true);
    call.with_object(false, |socket| Ok(socket.set_nonblocking(asked)?))?;
    call.set_single_attempts(asked)?;
    Ok(Vec::new())
}

fn raw(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let fd = call.with_object(false, |socket| Ok(socket.as_raw_fd()))?;
    Ok(cts_peer::raw_results(fd))
}

fn adopt(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let fd = call.adoptable()?;
    call.begin();
    // SAFETY: the kit has asked that the descriptor is open, and it is the socket's from here on.
    call.add_object("as", unsafe { UdSocket::from_raw_fd(fd) });
    call.disown(fd);
    Ok(Vec::new())
}
