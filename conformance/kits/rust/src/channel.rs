//! The channel: lines in, lines out.

use std::io::{self, Read, Write};
use std::sync::Mutex;

/// What stood on a line.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// Its bytes without the line end.
    Bytes(Vec<u8>),
    /// It was longer than the protocol allows; what was read of it is gone.
    TooLong,
}

/// Cuts the input into lines. Never holds more than one block and one line of the longest kind.
pub struct Lines<R> {
    input: R,
    line_bytes_max: usize,
    block: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<R: Read> Lines<R> {
    /// `line_bytes_max` counts the LF.
    pub fn new(input: R, line_bytes_max: usize) -> Lines<R> {
        Lines { input, line_bytes_max, block: vec![0; 65_536].into_boxed_slice(), start: 0, end: 0 }
    }

    /// The next line; `None` at the end of input. An unfinished last line is no line.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            if self.start == self.end {
                self.start = 0;
                self.end = self.read_block()?;
                if self.end == 0 {
                    return Ok(None);
                }
            }
            let block = &self.block[self.start..self.end];
            let line_end = block.iter().position(|byte| *byte == b'\n');
            let part = &block[..line_end.unwrap_or(block.len())];
            // The LF counts, so that a line of exactly the limit has one byte less beside it.
            too_long |= line.len() + part.len() >= self.line_bytes_max;
            if too_long {
                line = Vec::new();
            } else {
                line.extend_from_slice(part);
            }
            self.start += part.len() + usize::from(line_end.is_some());
            if line_end.is_some() {
                break;
            }
        }
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(Line::Bytes(line)))
    }

    fn read_block(&mut self) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => return result,
            }
        }
    }
}

/// The writing side, used by every thread.
pub struct Output(Mutex<Box<dyn Write + Send>>);

impl Output {
    pub fn new(output: impl Write + Send + 'static) -> Output {
        Output(Mutex::new(Box::new(output)))
    }

    /// Writes one line in one piece. A runner that has gone is noticed at the end of input, not here.
    pub fn write_line(&self, mut line: String) {
        line.push('\n');
        let mut output = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Err(error) = output.write_all(line.as_bytes()).and_then(|()| output.flush()) {
            eprintln!("peer: cannot write a reply: {error}");
        }
    }
}
