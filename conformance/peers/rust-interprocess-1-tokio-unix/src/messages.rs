//! Sockets of messages: `UdSocket`.

use crate::{directions, given_away, names, Interprocess1};
use cts_peer::{to_json, Call, Failure, Outcome, Results, Tasks};
use interprocess::os::unix::udsocket::tokio::UdSocket;
use interprocess::os::unix::udsocket::UdSocketPath;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

pub fn perform(tasks: &Tasks, call: &Call<Interprocess1>) -> Outcome {
    match call.name_of_operation() {
        "socket.open" => open(tasks, call).into(),
        "socket.bind" => bind(tasks, call).into(),
        "socket.connect" => connect(call).into(),
        "socket.send" => send(tasks, call),
        "socket.receive" => receive(tasks, call),
        "socket.shutdown" => shutdown(call).into(),
        "socket.peer_credentials" => peer_credentials(call).into(),
        "socket.raw" => raw(call).into(),
        "socket.release" => release(tasks, call).into(),
        "socket.adopt" => adopt(tasks, call).into(),
        other => Err(Failure::unsupported(format!("the peer does not know {other}"))).into(),
    }
}

fn open(tasks: &Tasks, call: &Call<Interprocess1>) -> Result<Results, Failure> {
    if call.arguments.text("type") != Some("datagram") {
        return Err(Failure::unsupported("the crate has no seqpackets"));
    }
    let _entered = tasks.enter();
    call.begin();
    call.add_object("as", UdSocket::unbound()?);
    Ok(Vec::new())
}

/// The address that the crate binds: it hands Tokio every name as a path, a namespaced one, too.
fn native<'a>(path: &'a UdSocketPath) -> &'a [u8] {
    path.as_osstr().as_bytes()
}

fn bind(tasks: &Tasks, call: &Call<Interprocess1>) -> Result<Results, Failure> {
    if !call.arguments.has("kind") || !call.arguments.has("name") {
        return Err(Failure::invalid_argument("the name is missing"));
    }
    let path = names::spell(&call.name_under("kind", "name"))?;
    let _entered = tasks.enter();
    call.begin();
    let results = vec![("native", to_json(native(&path)))];
    call.add_object("as", UdSocket::bind(path)?);
    Ok(results)
}

fn connect(call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let path = names::spell(&call.name_under("kind", "name"))?;
    call.with_object(false, |socket| Ok(socket.set_destination(&path)?))?;
    Ok(Vec::new())
}

fn send(tasks: &Tasks, call: &Call<Interprocess1>) -> Outcome {
    let data = call.arguments.data();
    let data = data.slice(0, data.len());
    let result = call.with_object(true, |socket| {
        if call.arguments.has("to") {
            let to = names::spell(&call.name_under("to_kind", "to"))?;
            return tasks.wait(socket.send_to(&data, to));
        }
        tasks.wait(socket.send(&data))
    });
    let sent = *result.as_ref().unwrap_or(&0) as u64;
    Outcome { failure: result.err(), results: vec![("length", sent.into())] }
}

fn receive(tasks: &Tasks, call: &Call<Interprocess1>) -> Outcome {
    let max = call.arguments.unsigned("max").unwrap_or(0).min(1 << 30) as usize;
    let mut buffer = vec![0; max];
    let result = call.with_object(true, |socket| tasks.wait(socket.recv_stdbuf(&mut buffer)));
    let length = *result.as_ref().unwrap_or(&0);
    Outcome { failure: result.err(), results: cts_peer::consumed(&buffer[..length]) }
}

fn shutdown(call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let how = directions(call);
    call.with_object(false, |socket| Ok(socket.shutdown(how)?))?;
    Ok(Vec::new())
}

fn peer_credentials(call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let found = call.with_object(false, |socket| Ok(socket.get_peer_credentials()?))?;
    Ok(vec![("pid", (found.pid as u64).into()), ("uid", found.uid.into()), ("gid", found.gid.into())])
}

fn raw(call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let fd = call.with_object(false, |socket| Ok(socket.as_raw_fd()))?;
    Ok(cts_peer::raw_results(fd))
}

fn release(tasks: &Tasks, call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let socket = call.consume_object()?;
    let _entered = tasks.enter();
    Ok(call.released(given_away(socket.into_raw_fd())))
}

fn adopt(tasks: &Tasks, call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let fd = call.adoptable()?;
    let _entered = tasks.enter();
    call.begin();
    // The crate closes the descriptor if this fails.
    call.disown(fd);
    // SAFETY: the kit has asked that the descriptor is open, and it is the socket's from here on.
    call.add_object("as", unsafe { UdSocket::from_raw_fd(fd) }?);
    Ok(Vec::new())
}
