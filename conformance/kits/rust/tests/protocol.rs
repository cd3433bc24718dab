//! The kit as a process: the example peer is started and spoken to over its channel.

use serde_json::{json, Value};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A peer under test. Dropping it kills it, should it still run, and removes its directory.
struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    replies: HashMap<u64, Value>,
    next_id: u64,
    /// Of the call announced last.
    tid: i64,
    directory: PathBuf,
}

/// The example peer.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own path");
    tests.ancestors().nth(2).expect("the build directory").join("examples/std_unix")
}

impl Peer {
    fn start() -> Peer {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let serial = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("cts-kit-{}-{serial}", std::process::id()));
        std::fs::create_dir(&directory).expect("a new directory");
        let mut child = Command::new(program())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example peer was built with the tests");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let input = child.stdin.take();
        Peer { child, input, output, replies: HashMap::new(), next_id: 0, tid: 0, directory }
    }

    fn raw(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("open");
        input.write_all(line).and_then(|()| input.flush()).expect("the peer reads");
    }

    fn send(&mut self, mut request: Value) -> u64 {
        self.next_id += 1;
        request["id"] = self.next_id.into();
        self.raw(format!("{request}\n").as_bytes());
        self.next_id
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer writes");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn wait(&mut self, id: u64) -> Value {
        loop {
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
            let message = self.line();
            assert!(message.get("event").is_none(), "{message}");
            self.replies.insert(message["id"].as_u64().expect("an id"), message);
        }
    }

    /// Sends a watched request and waits until its call has begun.
    fn begin(&mut self, mut request: Value) -> u64 {
        request["watch"] = true.into();
        let id = self.send(request);
        loop {
            let message = self.line();
            if message["event"] == "begun" {
                assert_eq!(message["id"], id);
                self.tid = message["tid"].as_i64().expect("a number");
                return id;
            }
            self.replies.insert(message["id"].as_u64().expect("an id"), message);
        }
    }

    fn call(&mut self, request: Value) -> Value {
        let id = self.send(request);
        self.wait(id)
    }

    fn ok(&mut self, request: Value) -> Value {
        let reply = self.call(request.clone());
        assert_eq!(reply["status"], "ok", "{request}: {reply}");
        reply
    }

    fn status(&mut self, request: Value) -> String {
        self.call(request)["status"].as_str().expect("a status").to_owned()
    }

    fn listen(&mut self, name: &str) -> String {
        let path = self.directory.join(name).to_str().expect("UTF-8").to_owned();
        self.ok(json!({"op": "local.listen", "kind": "path", "name": path, "as": name}));
        path
    }

    /// Two ends of a connection, `c` and `s`.
    fn connect(&mut self) {
        let path = self.listen("l");
        let accept = self.send(json!({"op": "listener.accept", "on": "l", "as": "s", "lane": "s"}));
        self.ok(json!({"op": "local.connect", "kind": "native", "name": path, "as": "c"}));
        assert_eq!(self.wait(accept)["status"], "ok");
    }

    /// Ends the input; the exit status of the peer.
    fn end(&mut self) -> Option<i32> {
        drop(self.input.take());
        self.child.wait().expect("a child").code()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn hello_tells_the_offer() {
    let mut peer = Peer::start();
    let hello = peer.ok(json!({"op": "hello", "protocol": 9}));
    assert_eq!(hello["protocol"], 1);
    assert_eq!(hello["pid"], peer.child.id());
    assert_eq!(hello["lanes"], "thread");
    assert_eq!(hello["modes"], json!(["blocking", "nonblocking"]));
    assert_eq!(peer.status(json!({"op": "configure", "mode": "async"})), "invalid_argument");
    peer.ok(json!({"op": "configure", "mode": "nonblocking"}));
    assert_eq!(peer.status(json!({"op": "configure", "mode": "blocking"})), "invalid_argument");
    assert_eq!(peer.end(), Some(0));
}

#[test]
fn what_is_no_request_is_answered_and_skipped() {
    let mut peer = Peer::start();
    let long = [vec![b'x'; 65_536], b"\n".to_vec()].concat();
    let lines: [&[u8]; 7] =
        [b"\n", b"nonsense\n", b"[]\n", b"{\"id\":0}\n", b"{\"id\":1,\"id\":1}\n", b"{\"id\":1.5}\n", &long];
    for line in lines {
        peer.raw(line);
        let reply = peer.line();
        assert_eq!((&reply["id"], &reply["status"]), (&json!(0), &json!("invalid_argument")), "{reply}");
        assert!(!reply["why"].as_str().expect("a reason").is_empty());
    }
    assert_eq!(peer.status(json!({"op": "made.up"})), "unsupported");
    assert_eq!(peer.status(json!({"op": "stream.flush", "on": "x"})), "unsupported");
    assert_eq!(peer.status(json!({"op": "stream.read", "on": "x", "until": "some"})), "invalid_argument");
    assert_eq!(peer.status(json!({"op": "pending", "lane": "a"})), "invalid_argument");
    assert_eq!(peer.status(json!({"op": "stream.close", "on": "x", "lane": "control"})), "invalid_argument");
}

#[test]
fn bytes_go_through_and_are_told_by_their_digest() {
    let mut peer = Peer::start();
    peer.connect();
    let read = peer.send(json!({"op": "stream.read", "on": "s", "until": "exact", "max": 1_048_576, "lane": "s"}));
    assert_eq!(
        peer.ok(json!({"op": "stream.write", "on": "c", "data": {"seed": 7, "length": 1_048_576}}))["length"],
        1_048_576
    );
    let reply = peer.wait(read);
    assert_eq!((&reply["status"], &reply["crc32"]), (&json!("ok"), &json!(1_453_772_769)));
    peer.ok(json!({"op": "stream.write_vectored", "on": "s", "data": "hello", "lengths": [2, 0, 3]}));
    assert_eq!(peer.ok(json!({"op": "stream.read_vectored", "on": "c", "lengths": [1, 9]}))["data"], "hello");
    peer.ok(json!({"op": "stream.set_nonblocking", "on": "c", "nonblocking": true}));
    assert_eq!(peer.status(json!({"op": "stream.read", "on": "c", "until": "some"})), "would_block");
    peer.ok(json!({"op": "stream.write", "on": "s", "data": "abc"}));
    peer.ok(json!({"op": "stream.shutdown", "on": "s", "how": "write"}));
    assert_eq!(peer.status(json!({"op": "stream.write", "on": "s", "data": "d"})), "broken_pipe");
    peer.ok(json!({"op": "stream.close", "on": "s"}));
    let rest = peer.call(json!({"op": "stream.read", "on": "c", "until": "exact", "max": 10, "chunk": 2}));
    assert_eq!((&rest["status"], &rest["length"], &rest["data"]), (&json!("end"), &json!(3), &json!("abc")));
    assert_eq!(rest["chunks"].as_array().map(Vec::len), Some(2));
}

#[test]
fn lanes_do_not_delay_each_other_and_main_is_the_main_thread() {
    let mut peer = Peer::start();
    peer.connect();
    let mut reads = Vec::new();
    for lane in ["main", "b"] {
        reads.push(peer.begin(json!({"op": "stream.read", "on": "s", "until": "exact", "max": 1, "lane": lane})));
        if cfg!(target_os = "linux") {
            assert_eq!(peer.tid == i64::from(peer.child.id()), lane == "main", "the main thread has the process's id");
            assert_ne!(peer.tid, 0);
        }
    }
    assert_eq!(peer.ok(json!({"op": "pending"}))["ids"], json!(reads));
    peer.ok(json!({"op": "stream.write", "on": "c", "data": "xy", "lane": "d"}));
    for read in reads {
        assert_eq!(peer.wait(read)["length"], 1);
    }
    assert_eq!(peer.ok(json!({"op": "pending"}))["ids"], json!([]));
    for lane in 5..15 {
        assert_eq!(peer.status(json!({"op": "made.up", "lane": format!("lane {lane}")})), "unsupported");
    }
    assert_eq!(peer.status(json!({"op": "made.up", "lane": "one more"})), "unsupported");
    assert_eq!(peer.status(json!({"op": "made.up", "lane": "and another"})), "invalid_argument");
}

#[test]
fn in_blocking_mode_nothing_wakes_an_operation() {
    let mut peer = Peer::start();
    peer.connect();
    let read = peer.begin(json!({"op": "stream.read", "on": "s", "until": "some", "lane": "b"}));
    assert_eq!(peer.status(json!({"op": "stream.close", "on": "s"})), "busy");
    assert_eq!(peer.status(json!({"op": "reset"})), "busy");
    // The reset closed the other end, which nobody was inside of.
    assert_eq!(peer.wait(read)["status"], "end");
    peer.ok(json!({"op": "reset"}));
    peer.listen("again");
}

#[test]
fn in_nonblocking_mode_the_waiting_is_the_kits() {
    let mut peer = Peer::start();
    peer.ok(json!({"op": "configure", "mode": "nonblocking"}));
    peer.connect();
    let read = peer.begin(json!({"op": "stream.read", "on": "s", "until": "some", "lane": "b"}));
    let accept = peer.begin(json!({"op": "listener.accept", "on": "l", "as": "x", "lane": "d"}));
    peer.ok(json!({"op": "stream.close", "on": "s"}));
    assert_eq!(peer.wait(read)["status"], "cancelled");
    assert_eq!(peer.status(json!({"op": "listener.accept", "on": "l", "as": "x", "lane": "e"})), "invalid_argument");
    peer.ok(json!({"op": "reset"}));
    assert_eq!(peer.wait(accept)["status"], "cancelled");
}

#[test]
fn a_released_descriptor_is_the_peers_until_it_is_adopted_or_reset() {
    let mut peer = Peer::start();
    peer.connect();
    let raw = peer.ok(json!({"op": "stream.release", "on": "c"}))["raw"].clone();
    assert_eq!(peer.status(json!({"op": "stream.close", "on": "c"})), "invalid_argument");
    peer.ok(json!({"op": "stream.adopt", "as": "c", "raw": raw}));
    peer.ok(json!({"op": "stream.write", "on": "c", "data": "x"}));
    peer.ok(json!({"op": "stream.release", "on": "c"}));
    peer.ok(json!({"op": "reset"}));
    assert_eq!(peer.status(json!({"op": "stream.adopt", "as": "c", "raw": raw})), "invalid_argument");
}

#[test]
fn the_end_of_input_ends_a_peer_that_is_blocked() {
    let mut peer = Peer::start();
    peer.connect();
    for lane in ["main", "b"] {
        peer.begin(json!({"op": "stream.read", "on": "s", "until": "some", "lane": lane}));
    }
    assert_eq!(peer.end(), Some(0));
}

/// The test that all kits share, which has the peer start children too.
#[test]
fn the_exchange_of_all_kits() {
    for mode in ["blocking", "nonblocking"] {
        let exchange = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/exchange.py");
        let mut command = Command::new("python3");
        let output = command.args([exchange, "--mode", mode, "--"]).arg(program()).output().expect("python3 runs");
        assert!(output.status.success(), "{mode}:\n{}", String::from_utf8_lossy(&output.stdout));
    }
}
