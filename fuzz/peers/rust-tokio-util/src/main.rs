//! tokio-util's LengthDelimitedCodec as a peer of the differential fuzz targets. What travels is in fuzz/README.md.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use tokio_util::codec::length_delimited::{Builder, LengthDelimitedCodec, LengthDelimitedCodecError};
use tokio_util::codec::{Decoder, Encoder};

const OFFERS: [&str; 4] = ["decode u32", "encode u32", "decode length", "encode length"];

const DECODE: u8 = 1;
const ENCODE: u8 = 2;
const CODEC_U32: u8 = 1;
const CODEC_LENGTH: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const BODY_AT_SKIP: u8 = 4;

const FRAME: u8 = 0;
const END: u8 = 1;
const WOULD_BLOCK: u8 = 2;
const MESSAGE_TRUNCATED: u8 = 20;
const MESSAGE_TOO_LARGE: u8 = 21;
const MALFORMED: u8 = 22;
const UNENCODABLE: u8 = 23;
const NOT_OFFERED: u8 = 0xFF;

/// A header makes the codec reserve what it announces: with a greater limit the allocator ends the process.
const LIMIT_MAX: u64 = 1 << 26;

/// Bodies that are encoded are made: longer ones are not.
const ENCODED_MAX: u64 = 1 << 17;

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn number(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(width)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        if len > self.0.len() {
            return None;
        }
        let (front, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(front)
    }
}

/// The codec of a request; None if it has none like it.
fn codec(cursor: &mut Cursor, encodes: bool) -> Option<LengthDelimitedCodec> {
    let codec = cursor.number(1)? as u8;
    let flags = cursor.number(1)? as u8;
    let _varint_bytes = cursor.number(1)?;
    let (width, offset, skip) = (cursor.number(4)? as usize, cursor.number(4)? as usize, cursor.number(4)? as usize);
    let adjustment = cursor.number(8)? as i64;
    let max = cursor.number(8)?;
    if max > LIMIT_MAX {
        return None;
    }
    let mut builder = Builder::new();
    builder.max_frame_length(usize::try_from(max).ok()?);
    match codec {
        CODEC_U32 => {}
        CODEC_LENGTH => {
            // Where a body begins, its dialect is that of BODY_AT_SKIP; the two are one where `skip` is the header.
            if !encodes && flags & BODY_AT_SKIP == 0 && skip != offset + width {
                return None;
            }
            // What it writes before the field it does not say: bytes of the caller's are not part of it.
            if encodes && (offset != 0 || flags & BODY_AT_SKIP != 0) {
                return None;
            }
            builder.length_field_offset(offset).length_field_length(width).num_skip(skip);
            // It negates the adjustment (docs/findings/tokio-util.md).
            builder.length_adjustment(isize::try_from(adjustment).ok().filter(|value| *value != isize::MIN)?);
            if flags & LITTLE_ENDIAN != 0 {
                builder.little_endian();
            }
        }
        _ => return None,
    }
    Some(builder.new_codec())
}

fn status_of(error: &io::Error) -> u8 {
    match error.get_ref() {
        Some(inner) if inner.is::<LengthDelimitedCodecError>() => MESSAGE_TOO_LARGE,
        _ if error.kind() == io::ErrorKind::InvalidInput || error.kind() == io::ErrorKind::InvalidData => MALFORMED,
        _ => MESSAGE_TRUNCATED, // "bytes remaining on stream"
    }
}

fn put_u32(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&u32::try_from(value).expect("a length of a request").to_be_bytes());
}

fn put_last(out: &mut Vec<u8>, status: u8) {
    out.push(status);
    out.extend_from_slice(&0u64.to_be_bytes());
}

/// Takes the frames that are complete; an error is the last. One of which no byte was consumed would come for ever, and
/// is taken once.
fn frames<F>(out: &mut Vec<u8>, buffer: &mut BytesMut, mut next: F) -> Result<(), io::Error>
where
    F: FnMut(&mut BytesMut) -> Result<Option<BytesMut>, io::Error>,
{
    loop {
        let before = buffer.len();
        let Some(frame) = next(buffer)? else { return Ok(()) };
        out.push(FRAME);
        put_u32(out, frame.len());
        out.extend_from_slice(&frame);
        if buffer.len() == before && before != 0 {
            return Ok(());
        }
    }
}

fn decode(cursor: &mut Cursor) -> Option<Vec<u8>> {
    let mut codec = codec(cursor, false)?;
    let ends = cursor.number(1)? != 0;
    let mut out = Vec::new();
    let mut buffer = BytesMut::new();
    while !cursor.0.is_empty() {
        let len = cursor.number(4)? as usize;
        buffer.extend_from_slice(cursor.take(len)?);
        if let Err(error) = frames(&mut out, &mut buffer, |b| codec.decode(b)) {
            put_last(&mut out, status_of(&error));
            return Some(out);
        }
    }
    if !ends {
        put_last(&mut out, WOULD_BLOCK);
    } else {
        match frames(&mut out, &mut buffer, |b| codec.decode_eof(b)) {
            Ok(()) => put_last(&mut out, END),
            Err(error) => put_last(&mut out, status_of(&error)),
        }
    }
    Some(out)
}

fn encode(cursor: &mut Cursor) -> Option<Vec<u8>> {
    let mut codec = codec(cursor, true)?;
    let body_len = cursor.number(8)?;
    if body_len > ENCODED_MAX {
        return None;
    }
    let body = vec![b'x'; body_len as usize];
    let mut written = BytesMut::new();
    let mut out = Vec::new();
    match codec.encode(Bytes::from(body.clone()), &mut written) {
        Ok(()) => {
            let header_len = written.len().checked_sub(body.len()).expect("a body that was written");
            out.push(FRAME);
            put_u32(&mut out, header_len);
            out.extend_from_slice(&written[..header_len]);
        }
        Err(error) => out.push(match status_of(&error) {
            MALFORMED => UNENCODABLE,
            status => status,
        }),
    }
    Some(out)
}

fn answer(request: &[u8]) -> Vec<u8> {
    let mut cursor = Cursor(request);
    let answered = match cursor.number(1) {
        Some(what) if what as u8 == DECODE => decode(&mut cursor),
        Some(what) if what as u8 == ENCODE => encode(&mut cursor),
        _ => None,
    };
    answered.unwrap_or_else(|| vec![NOT_OFFERED])
}

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut head = [0; 4];
    loop {
        match input.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let mut batch = vec![0; u32::from_be_bytes(head) as usize];
        input.read_exact(&mut batch)?;
        let mut cursor = Cursor(&batch);
        let mut answers = Vec::new();
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "a batch that is none");
        for _ in 0..cursor.number(4).ok_or_else(broken)? {
            let len = cursor.number(4).ok_or_else(broken)? as usize;
            answers.push(answer(cursor.take(len).ok_or_else(broken)?));
        }
        if answers.is_empty() {
            answers = OFFERS.iter().map(|offer| offer.as_bytes().to_vec()).collect();
        }
        let mut told = Vec::new();
        put_u32(&mut told, answers.len());
        for one in &answers {
            put_u32(&mut told, one.len());
            told.extend_from_slice(one);
        }
        output.write_all(&u32::try_from(told.len()).expect("a length").to_be_bytes())?;
        output.write_all(&told)?;
        output.flush()?;
    }
}
