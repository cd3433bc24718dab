//! How names are spelt for the crate.

use cts_peer::{os_text, Failure, Name, NameKind};
use interprocess::local_socket::{self, GenericFilePath, GenericNamespaced, ToFsName, ToNsName};

/// Before the name of every pipe.
const PREFIX: &[u8] = br"\\.\pipe\";

/// The name of a local socket.
pub fn local(name: &Name) -> Result<local_socket::Name<'static>, Failure> {
    let text = os_text(&name.bytes)?;
    Ok(match name.kind {
        NameKind::Namespaced => text.to_ns_name::<GenericNamespaced>()?,
        _ => text.to_fs_name::<GenericFilePath>()?,
    })
}

/// The path of a pipe, which of named pipes a program writes itself.
pub fn native(name: &Name) -> Vec<u8> {
    match name.kind {
        NameKind::Namespaced => [PREFIX, &name.bytes].concat(),
        _ => name.bytes.clone(),
    }
}
