//! Bytes as the protocol carries them: patterns, CRC-32, base64.

use crate::json::Json;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Length of the period of a pattern, and one more than the largest seed.
pub const PATTERN_PERIOD: usize = 65_521;

fn pattern_table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut x: u32 = 1;
        let step = |_| {
            x = x.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
            (x >> 16) as u8
        };
        (0..PATTERN_PERIOD).map(step).collect()
    })
}

/// What a write carries: bytes, or a pattern that is made when it is needed.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Bytes(Vec<u8>),
    /// Byte i is `T[(seed + i) mod 65521]`.
    Pattern {
        seed: usize,
        length: usize,
    },
}

impl Data {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Data::Bytes(bytes) => bytes.len(),
            Data::Pattern { length, .. } => *length,
        }
    }

    /// The `length` bytes from `offset` on, both within the data.
    pub fn slice(&self, offset: usize, length: usize) -> Vec<u8> {
        match self {
            Data::Bytes(bytes) => bytes[offset..offset + length].to_vec(),
            Data::Pattern { seed, .. } => {
                let table = pattern_table();
                let mut made = Vec::with_capacity(length);
                let mut position = (seed + offset) % PATTERN_PERIOD;
                while made.len() < length {
                    let run = (length - made.len()).min(PATTERN_PERIOD - position);
                    made.extend_from_slice(&table[position..position + run]);
                    position = 0;
                }
                made
            }
        }
    }
}

fn crc32_table() -> &'static [u32; 256] {
    static TABLE: OnceLock<[u32; 256]> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = [0; 256];
        for (index, entry) in table.iter_mut().enumerate() {
            *entry = (0..8).fold(index as u32, |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 });
        }
        table
    })
}

/// A running CRC-32 (IEEE 802.3).
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Crc32(0xffff_ffff)
    }
}

impl Crc32 {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let table = crc32_table();
        self.0 = bytes.iter().fold(self.0, |c, byte| table[((c ^ u32::from(*byte)) & 0xff) as usize] ^ (c >> 8));
    }

    /// The checksum of everything taken in so far.
    pub fn value(self) -> u32 {
        !self.0
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 base64 with padding.
pub fn base64_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let wide = group.iter().fold(0u32, |wide, byte| wide << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for index in 0..4 {
            let digit = BASE64[(wide >> (18 - 6 * index) & 63) as usize] as char;
            text.push(if index <= group.len() { digit } else { '=' });
        }
    }
    text
}

/// The bytes of RFC 4648 base64, or `None`: padding is required and unused bits are zero, so that each sequence of
/// bytes has one text.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if text.len() % 4 != 0 {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for (position, group) in text.chunks(4).enumerate() {
        let pad = if (position + 1) * 4 == text.len() { padding } else { 0 };
        let mut wide = 0u32;
        for byte in &group[..4 - pad] {
            wide = wide << 6 | BASE64.iter().position(|digit| digit == byte)? as u32;
        }
        wide <<= 6 * pad;
        if pad > 0 && wide & ((1 << (8 * pad)) - 1) != 0 {
            return None;
        }
        bytes.extend_from_slice(&wide.to_be_bytes()[1..4 - pad]);
    }
    Some(bytes)
}

/// Bytes as a reply carries them: a string if all of them are printable ASCII, else `{"b64": …}`.
pub fn to_json(bytes: &[u8]) -> Json {
    if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Json::Text(bytes.iter().map(|byte| *byte as char).collect());
    }
    Json::Object(BTreeMap::from([("b64".to_owned(), Json::Text(base64_encode(bytes)))]))
}
