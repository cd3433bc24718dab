//! Tests of the parts that need no process: JSON, bytes, arguments, tables, lines.

use crate::arguments::Arguments;
use crate::bytes::{base64_decode, base64_encode, to_json, Crc32, Data};
use crate::channel::{Line, Lines};
use crate::json::{parse, Json};
use crate::status::{status_of_errno, Failure};
use crate::system::error_number;
use crate::table::Table;
use std::io::{self, Read};

fn object(text: &str) -> std::collections::BTreeMap<String, Json> {
    match parse(text.as_bytes()) {
        Ok(Json::Object(object)) => object,
        other => panic!("{text}: {other:?}"),
    }
}

fn check(operation: &str, request: &str, features: &[&str]) -> Result<Arguments, Failure> {
    Arguments::check(Table::get().operation(operation).expect(operation), &object(request), features)
}

#[test]
fn json_takes_what_the_protocol_allows() {
    let text = br#"{"a":[1,-9007199254740991,true,null],"b":{"c":"\u00e9\ud83d\ude00"}}"#;
    let expected = r#"{"a":[1,-9007199254740991,true,null],"b":{"c":"é😀"}}"#;
    assert_eq!(parse(text).expect("valid").to_string(), expected);
    assert!(parse(b"[[[[[[[[]]]]]]]]").is_ok());
}

#[test]
fn json_refuses_everything_else_and_says_why() {
    let lines: [(&[u8], &str); 12] = [
        (br#"{"a":1,"a":1}"#, "twice"),
        (br#"{"a":{"b":1,"b":2}}"#, "twice"),
        (b"1.0", "integer"),
        (b"1e3", "integer"),
        (b"9007199254740992", "2^53"),
        (b"-9007199254740992", "2^53"),
        (b"99999999999999999999999", "integer"),
        (b"\"\xff\"", "UTF-8"),
        (br#""\ud800""#, "escape"),
        (b"[[[[[[[[[]]]]]]]]]", "deeper"),
        (b"{} {}", "trailing"),
        (b"", "EOF"),
    ];
    for (line, expected) in lines {
        let why = parse(line).expect_err(&String::from_utf8_lossy(line));
        assert!(why.contains(expected), "{}: {why}", String::from_utf8_lossy(line));
    }
}

#[test]
fn patterns_are_those_of_the_shared_vectors() {
    let vectors = object(include_str!("../../vectors.json"));
    let Json::List(patterns) = &vectors["pattern"] else { panic!("pattern is no list") };
    assert!(!patterns.is_empty());
    for vector in patterns {
        let Json::Object(vector) = vector else { panic!("{vector}") };
        let (Json::Number(seed), Json::Number(length)) = (&vector["seed"], &vector["length"]) else { panic!() };
        let (Json::Number(crc32), Json::Text(head)) = (&vector["crc32"], &vector["head"]) else { panic!() };
        let data = Data::Pattern { seed: *seed as usize, length: *length as usize };
        let bytes = data.slice(0, data.len());
        let mut digest = Crc32::default();
        digest.update(&bytes);
        assert_eq!(i64::from(digest.value()), *crc32, "seed {seed}");
        assert_eq!(base64_encode(&bytes[..bytes.len().min(16)]), *head);
        let cut: Vec<u8> = (0..data.len()).step_by(1000).map(|at| data.slice(at, 1)[0]).collect();
        assert_eq!(cut, bytes.iter().step_by(1000).copied().collect::<Vec<u8>>());
    }
}

#[test]
fn base64_is_strict() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64_encode(bytes.as_bytes()), text);
        assert_eq!(base64_decode(text).expect(text), bytes.as_bytes());
    }
    for text in ["Zg", "Zg=", "Zh==", "Z===", "====", "Zm9v\n", "Z=g=", "Zg==Zg=="] {
        assert_eq!(base64_decode(text), None, "{text}");
    }
    assert_eq!(to_json(b"a b").to_string(), r#""a b""#);
    assert_eq!(to_json(b"a\0").to_string(), r#"{"b64":"YQA="}"#);
}

#[test]
fn arguments_are_checked_before_anything_is_done() {
    let good = [
        ("stream.read", r#"{"until":"some"}"#),
        ("stream.read", r#"{"until":"exact","max":0,"buffer":1,"chunk":1}"#),
        ("stream.write", r#"{"data":{"seed":65520,"length":1073741824}}"#),
        ("stream.write_vectored", r#"{"data":"abc","lengths":[1,0,2],"unknown":1}"#),
        ("local.listen", r#"{"kind":"path","name":{"b64":"AA=="}}"#),
        ("stream.adopt", r#"{"raw":{"kind":"fd","value":"18446744073709551615"}}"#),
    ];
    for (operation, request) in good {
        assert!(check(operation, request, &[]).is_ok(), "{request}");
    }
    let bad = [
        ("stream.read", r#"{}"#),
        ("stream.read", r#"{"until":"never"}"#),
        ("stream.read", r#"{"until":"exact"}"#),
        ("stream.read", r#"{"until":"some","max":-1}"#),
        ("stream.read", r#"{"until":"some","max":"5"}"#),
        ("stream.read", r#"{"until":"some","buffer":0}"#),
        ("stream.read", r#"{"until":"some","buffer":4294967296}"#),
        ("stream.read", r#"{"until":"some","chunk":0}"#),
        ("stream.write", r#"{"data":{"seed":65521,"length":1}}"#),
        ("stream.write", r#"{"data":{"seed":1,"length":1073741825}}"#),
        ("stream.write", r#"{"data":{"seed":1}}"#),
        ("stream.write", r#"{"data":{"b64":"Zg"}}"#),
        ("stream.write", r#"{"data":1}"#),
        ("stream.write_vectored", r#"{"data":"abc","lengths":[1,1]}"#),
        ("stream.adopt", r#"{"raw":{"kind":"fd","value":7}}"#),
        ("stream.adopt", r#"{"raw":{"kind":"fd","value":"07"}}"#),
        ("stream.adopt", r#"{"raw":{"kind":"door","value":"7"}}"#),
        ("local.listen", r#"{"kind":"path"}"#),
    ];
    for (operation, request) in bad {
        assert_eq!(check(operation, request, &[]).expect_err(request).status, "invalid_argument", "{request}");
    }
    let long = format!(r#"{{"data":"{}"}}"#, "x".repeat(4097));
    assert_eq!(check("stream.write", &long, &[]).expect_err("too long").status, "invalid_argument");
}

#[test]
fn an_argument_of_a_feature_not_offered_is_unsupported() {
    let request = r#"{"kind":"path","name":"n","mode":511}"#;
    assert_eq!(check("local.listen", request, &[]).expect_err("not offered").status, "unsupported");
    let arguments = check("local.listen", request, &["local.listen.mode"]).expect("offered");
    assert_eq!(arguments.unsigned("mode"), Some(0o777));
    let beyond = r#"{"kind":"path","name":"n","mode":512}"#;
    assert_eq!(check("local.listen", beyond, &["local.listen.mode"]).expect_err("beyond").status, "invalid_argument");
}

#[test]
fn every_error_name_of_the_table_is_known_here() {
    for (name, status) in Table::get().errors() {
        let number = error_number(name).unwrap_or_else(|| panic!("{name}"));
        assert!(Table::get().lists("statuses", status), "{status}");
        assert_eq!(status_of_errno(number), status, "{name}");
    }
    assert_eq!(status_of_errno(libc::EXDEV), "failed");
    assert_eq!(Failure::from(io::Error::from_raw_os_error(libc::EPIPE)).status, "broken_pipe");
    assert_eq!(Failure::from(io::Error::from(io::ErrorKind::InvalidInput)).status, "invalid_argument");
}

/// 64 MiB without a line end, and then two lines; tells how much was asked for at once.
struct Flood {
    left: usize,
    tail: io::Cursor<Vec<u8>>,
    most: usize,
}

impl Read for &mut Flood {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.most = self.most.max(buffer.len());
        if self.left == 0 {
            return self.tail.read(buffer);
        }
        let length = buffer.len().min(self.left);
        buffer[..length].fill(b'x');
        self.left -= length;
        Ok(length)
    }
}

#[test]
fn lines_have_a_limit_and_a_flood_is_not_kept() {
    let mut flood = Flood { left: 64 << 20, tail: io::Cursor::new(b"x\nnext\r\nrest".to_vec()), most: 0 };
    let mut lines = Lines::new(&mut flood, 65_536);
    assert_eq!(lines.next_line().expect("read"), Some(Line::TooLong));
    assert_eq!(lines.next_line().expect("read"), Some(Line::Bytes(b"next".to_vec())));
    assert_eq!(lines.next_line().expect("read"), None);
    assert!(flood.most <= 65_536);
    let limit = [vec![b'y'; 65_535], b"\n".to_vec(), vec![b'z'; 65_536], b"\n".to_vec()].concat();
    let mut lines = Lines::new(io::Cursor::new(limit), 65_536);
    assert_eq!(lines.next_line().expect("read"), Some(Line::Bytes(vec![b'y'; 65_535])));
    assert_eq!(lines.next_line().expect("read"), Some(Line::TooLong));
}
