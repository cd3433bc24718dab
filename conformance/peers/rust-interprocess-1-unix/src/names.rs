//! How names are spelt for the crate's Unix part, which its blocking and its Tokio half have in common.

use cts_peer::{Failure, Name, NameKind};
use interprocess::os::unix::udsocket::UdSocketPath;
use std::borrow::Cow;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// Bytes of `sun_path`.
const ADDRESS_MAX: usize = 108;

/// A name in the crate's form. An address in the abstract namespace is given without the NULs that the crate itself
/// puts behind it.
pub fn spell(name: &Name) -> Result<UdSocketPath<'static>, Failure> {
    let text = |bytes: &[u8]| {
        let text = CString::new(bytes).map_err(|error| Failure::new("invalid_name", error.to_string()));
        text.map(Cow::Owned)
    };
    match (name.kind, name.bytes.first()) {
        (NameKind::Namespaced, _) => text(&name.bytes).map(UdSocketPath::Namespaced),
        (NameKind::Native, Some(0)) => {
            let end = name.bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
            text(&name.bytes[1..end]).map(UdSocketPath::Namespaced)
        }
        _ => text(&name.bytes).map(UdSocketPath::File),
    }
}

/// The address that the crate binds: it hands the system the whole `sockaddr_un`, so that every NUL after an abstract
/// name is part of it.
pub fn native(path: &UdSocketPath) -> Vec<u8> {
    match path {
        UdSocketPath::Namespaced(name) => {
            let mut address = [b"\0", name.to_bytes()].concat();
            address.resize(ADDRESS_MAX, 0);
            address
        }
        _ => path.as_osstr().as_bytes().to_vec(),
    }
}
