//! How names are spelt for the crate, which its blocking and its Tokio half have in common.

use cts_peer::{Failure, Name, NameKind};
use interprocess::local_socket::ToLocalSocketName;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Bytes of `sun_path`.
const ADDRESS_MAX: usize = 108;

/// A name in the crate's two forms: a path, or a string whose leading `@` means namespaced.
pub enum Spelling {
    Path(PathBuf),
    Text(OsString),
}

/// How a program spells a name for the crate. An address in the abstract namespace can only be given as `@` and its
/// name, without the NULs that the crate itself puts behind it.
pub fn spell(name: &Name) -> Spelling {
    let namespaced = |bytes: &[u8]| Spelling::Text(OsString::from_vec([b"@", bytes].concat()));
    match (name.kind, name.bytes.first()) {
        (NameKind::Namespaced, _) => namespaced(&name.bytes),
        (NameKind::Native, Some(0)) => {
            let end = name.bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
            namespaced(&name.bytes[1..end])
        }
        _ => Spelling::Path(PathBuf::from(OsString::from_vec(name.bytes.clone()))),
    }
}

/// The address that the crate binds. It shows none, but hands the system the whole `sockaddr_un`: a path ends at its
/// NUL, while every NUL after an abstract name is part of it.
pub fn native(spelling: &Spelling) -> Vec<u8> {
    match spelling {
        Spelling::Path(path) => path.as_os_str().as_bytes().to_vec(),
        Spelling::Text(text) => {
            let mut address = [b"\0", &text.as_bytes()[1..]].concat();
            address.resize(ADDRESS_MAX, 0);
            address
        }
    }
}

/// What the crate takes a text for.
///
/// # Errors
/// The crate refuses it.
pub fn parse(text: &[u8]) -> Result<(NameKind, Vec<u8>), Failure> {
    let name = OsStr::from_bytes(text).to_local_socket_name()?;
    let kind = if name.is_namespaced() { NameKind::Namespaced } else { NameKind::Path };
    Ok((kind, name.inner().as_bytes().to_vec()))
}
