//! What Windows alone has: handles, the way to keep the channel from the library and from children, and its errors.

use crate::process::CONTROL_VARIABLE;
use crate::status::Failure;
use std::ffi::{c_void, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle, RawHandle};

/// What Unix calls a descriptor is a handle here; this is its number.
pub type RawFd = usize;

/// What the protocol calls a [`RawFd`].
pub const RAW_KIND: &str = "handle";
/// The part of `operations.json` with this system's errors.
pub const ERRORS: &str = "win32";
/// Events of [`Wake::wait`].
pub const READABLE: i16 = 0;
pub const WRITABLE: i16 = 1;

const STD_INPUT_HANDLE: u32 = -10_i32 as u32;
const STD_OUTPUT_HANDLE: u32 = -11_i32 as u32;
const INFINITE: u32 = u32::MAX;

#[link(name = "kernel32")]
extern "system" {
    fn CloseHandle(handle: RawHandle) -> i32;
    fn GetCurrentProcess() -> RawHandle;
    fn GetCurrentThread() -> RawHandle;
    fn GetCurrentThreadId() -> u32;
    fn GetExitCodeProcess(process: RawHandle, code: *mut u32) -> i32;
    fn GetHandleInformation(handle: RawHandle, flags: *mut u32) -> i32;
    fn GetModuleHandleA(name: *const u8) -> RawHandle;
    fn GetProcAddress(module: RawHandle, name: *const u8) -> *const c_void;
    fn SetStdHandle(which: u32, handle: RawHandle) -> i32;
    fn TerminateProcess(process: RawHandle, code: u32) -> i32;
    fn WaitForSingleObject(handle: RawHandle, timeout_ms: u32) -> u32;
}

/// The answer of a function that says 0 for a failure.
fn check(result: i32) -> io::Result<()> {
    if result == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

type Channel = (Box<dyn Read + Send>, Box<dyn Write + Send>);

/// Takes standard input and output for the channel, by duplicates that no child inherits; standard input becomes the
/// null device and standard output standard error, so that nothing that a library reads or prints there can meet the
/// channel. In a child of another peer the channel is the connection that the environment names, and the variable goes.
pub fn take_standard_streams() -> io::Result<Channel> {
    let control = std::env::var(CONTROL_VARIABLE).ok();
    std::env::remove_var(CONTROL_VARIABLE);
    let channel: Channel = match control {
        Some(control) => {
            let connection = connect(&control)?;
            (Box::new(connection.try_clone()?), Box::new(connection))
        }
        None => (Box::new(moved(&io::stdin())?), Box::new(moved(&io::stdout())?)),
    };
    let null = File::open("NUL")?;
    // SAFETY: the handles are open; the null device's is standard input from here on, and closed by nobody.
    unsafe {
        check(SetStdHandle(STD_INPUT_HANDLE, null.into_raw_handle()))?;
        check(SetStdHandle(STD_OUTPUT_HANDLE, io::stderr().as_raw_handle()))?;
    }
    Ok(channel)
}

/// A duplicate of a standard handle, which itself is closed.
fn moved(standard: &(impl AsHandle + AsRawHandle)) -> io::Result<File> {
    let duplicate = standard.as_handle().try_clone_to_owned()?;
    // SAFETY: the process owns its standard handles, and both are replaced before anything uses them again.
    drop(unsafe { OwnedHandle::from_raw_handle(standard.as_raw_handle()) });
    Ok(duplicate.into())
}

/// The channel of a child: `loopback:PORT:TOKEN`, of which the token goes first.
fn connect(control: &str) -> io::Result<TcpStream> {
    let parts = control.strip_prefix("loopback:").and_then(|rest| rest.split_once(':'));
    let parts = parts.and_then(|(port, token)| Some((port.parse::<u16>().ok()?, token)));
    let (port, token) = parts.ok_or(io::ErrorKind::InvalidInput)?;
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.write_all(format!("{token}\n").as_bytes())?;
    Ok(connection)
}

/// A text of the protocol, which is WTF-8, as the system has it.
pub fn os_text(wtf8: &[u8]) -> Result<OsString, Failure> {
    let mut units = Vec::new();
    let mut rest = wtf8;
    while !rest.is_empty() {
        let valid = std::str::from_utf8(rest).map_or_else(|error| error.valid_up_to(), str::len);
        let (text, behind) = rest.split_at(valid);
        units.extend(String::from_utf8_lossy(text).encode_utf16());
        rest = match behind {
            [] => behind,
            [0xED, high @ 0xA0..=0xBF, low @ 0x80..=0xBF, ..] => {
                units.push(0xD000 | u16::from(high & 0x3F) << 6 | u16::from(low & 0x3F));
                &behind[3..]
            }
            _ => return Err(Failure::new("invalid_name", "no WTF-8")),
        };
    }
    Ok(OsString::from_wide(&units))
}

/// Ends the process at once: nothing that other threads do can delay it.
pub fn end_process(status: i32) -> ! {
    // SAFETY: nothing is left to be done.
    unsafe { TerminateProcess(GetCurrentProcess(), status as u32) };
    unreachable!("the process has ended")
}

/// The calling thread, as the system knows it.
pub fn thread_id() -> i64 {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { GetCurrentThreadId() }.into()
}

/// Gives the calling thread the description by which a runner finds it on Wine (peer_protocol.md, 4.6). A system without
/// descriptions is none on which that is asked for.
pub fn describe_thread() {
    type SetThreadDescription = unsafe extern "system" fn(RawHandle, *const u16) -> i32;
    let text: Vec<u16> = format!("cts-{}\0", thread_id()).encode_utf16().collect();
    // SAFETY: the names and the text end with NUL, and a function of that name has this type.
    unsafe {
        let kernel = GetModuleHandleA(b"kernel32.dll\0".as_ptr());
        let describe = GetProcAddress(kernel, b"SetThreadDescription\0".as_ptr());
        if !describe.is_null() {
            std::mem::transmute::<*const c_void, SetThreadDescription>(describe)(GetCurrentThread(), text.as_ptr());
        }
    }
}

/// Whether a handle is open.
pub fn check_open(handle: RawFd) -> io::Result<()> {
    let mut flags = 0;
    // SAFETY: room for the flags.
    check(unsafe { GetHandleInformation(handle as RawHandle, &mut flags) })
}

/// Closes a handle.
///
/// # Safety
/// Nobody uses it any more.
pub unsafe fn close_raw(handle: RawFd) {
    unsafe { CloseHandle(handle as RawHandle) };
}

/// Waits for the end of a process, and answers its exit code.
pub fn await_process(process: RawHandle) -> io::Result<u32> {
    let mut code = 0;
    // SAFETY: room for the code.
    unsafe {
        if WaitForSingleObject(process, INFINITE) != 0 {
            return Err(io::Error::last_os_error());
        }
        check(GetExitCodeProcess(process, &mut code))?;
    }
    Ok(code)
}

/// Ends a process, unless it has ended.
pub fn kill_process(process: RawHandle) {
    // SAFETY: the caller's handle is open.
    unsafe { TerminateProcess(process, 1) };
}

/// The number of a symbolic name of the table (Microsoft, "System Error Codes").
pub fn error_number(name: &str) -> Option<i32> {
    let known = ERROR_NUMBERS.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number)
}

const ERROR_NUMBERS: [(&str, i32); 26] = [
    ("ERROR_FILE_NOT_FOUND", 2),
    ("ERROR_PATH_NOT_FOUND", 3),
    ("ERROR_TOO_MANY_OPEN_FILES", 4),
    ("ERROR_ACCESS_DENIED", 5),
    ("ERROR_INVALID_HANDLE", 6),
    ("ERROR_NOT_ENOUGH_MEMORY", 8),
    ("ERROR_OUTOFMEMORY", 14),
    ("ERROR_NOT_SUPPORTED", 50),
    ("ERROR_INVALID_PARAMETER", 87),
    ("ERROR_BROKEN_PIPE", 109),
    ("ERROR_CALL_NOT_IMPLEMENTED", 120),
    ("ERROR_SEM_TIMEOUT", 121),
    ("ERROR_INVALID_NAME", 123),
    ("ERROR_BAD_PATHNAME", 161),
    ("ERROR_ALREADY_EXISTS", 183),
    ("ERROR_FILENAME_EXCED_RANGE", 206),
    ("ERROR_PIPE_BUSY", 231),
    ("ERROR_NO_DATA", 232),
    ("ERROR_PIPE_NOT_CONNECTED", 233),
    ("ERROR_MORE_DATA", 234),
    ("WAIT_TIMEOUT", 258),
    ("ERROR_PIPE_CONNECTED", 535),
    ("ERROR_PIPE_LISTENING", 536),
    ("ERROR_OPERATION_ABORTED", 995),
    ("ERROR_IO_PENDING", 997),
    ("ERROR_NO_SYSTEM_RESOURCES", 1450),
];

/// Nothing tells readiness here, so that peers offer no mode in which the kit would wait for it.
#[derive(Default)]
pub struct Wake;

impl Wake {
    pub fn set(&self) {}

    pub fn wait(&self, _handle: RawFd, _events: i16, _ended: impl Fn() -> bool) -> Result<(), Failure> {
        unreachable!("no handle can be waited for")
    }
}
