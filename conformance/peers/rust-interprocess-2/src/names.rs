//! How names are spelt for the crate, which its blocking and its Tokio half have in common.

use cts_peer::{Name, NameKind};
use interprocess::local_socket::{self, GenericFilePath, GenericNamespaced, ToFsName, ToNsName};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The name as the crate has it.
pub fn spell(name: &Name) -> io::Result<local_socket::Name<'_>> {
    match (name.kind, name.bytes.first()) {
        (NameKind::Namespaced, _) => OsStr::from_bytes(&name.bytes).to_ns_name::<GenericNamespaced>(),
        (NameKind::Native, Some(0)) => OsStr::from_bytes(&name.bytes[1..]).to_ns_name::<GenericNamespaced>(),
        _ => Path::new(OsStr::from_bytes(&name.bytes)).to_fs_name::<GenericFilePath>(),
    }
}
