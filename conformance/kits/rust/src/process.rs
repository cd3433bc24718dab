//! Children of this peer that are peers: the operations on processes, which are the kit's.

pub use crate::child::Child;
use crate::handle::Handle;
use std::sync::Arc;

/// The operations that every peer offers beside those of its library.
pub const OPERATIONS: [&str; 3] = ["process.spawn", "process.wait", "process.close"];
/// Names the socket on which a child opens its channel.
pub const CONTROL_VARIABLE: &str = "CTS_CONTROL";

/// A child under a name of the requester.
pub type ChildHandle = Arc<Handle<Child>>;
