//! Records of a CSV file: its lines, taken apart into cells.
//!
//! Owns what a quote means. One that is opened and not closed where it should be costs its own line, never those after it: they are
//! read again as lines of their own. Never decides what a cell says.

use std::{
    collections::VecDeque,
    io::{self, BufRead},
};

/// Most lines of one record: the line breaks of a cell in quotes, with room for long notes.
pub const RECORD_LINES_MAX: usize = 500;
/// Longest record, and longest line. Unit: bytes.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Of so many columns and lines on, a cell whose every line has as many cells as a row is rows, not text.
const ROWS_LIKE_MIN: usize = 3;
/// What a spreadsheet may put at the start of a file in UTF-8.
pub const MARK: &[u8] = b"\xEF\xBB\xBF";

/// One record.
pub struct Record {
    /// Number of its first line, from 1.
    pub number: u64,
    /// The text of its lines; of one that is refused for a quote, of its first.
    pub raw: Vec<u8>,
    /// Its cells, or why it is none.
    pub cells: Result<Cells, String>,
    /// Where it ends. Unit: bytes of the file.
    pub at: u64,
}

/// The cells of a record, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Each without the blanks around it.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |end| {
            let cell = &self.text[from..*end];
            from = *end;
            cell.trim_ascii()
        })
    }

    fn end(&mut self) {
        self.ends.push(self.text.len());
    }
}

/// A line as it stands in the file.
struct Physical {
    number: u64,
    /// Without what ends it, at most [`RECORD_BYTES_MAX`].
    text: Vec<u8>,
    /// What ends it: LF, CR LF, CR, or the end of the file.
    end: &'static [u8],
    is_whole: bool,
    at: u64,
}

/// The records of a file.
pub struct Records<R> {
    input: R,
    separator: u8,
    /// Lines that were looked at and are still to be read.
    ahead: VecDeque<Physical>,
    line: u64,
    at: u64,
}

impl<R: BufRead> Records<R> {
    /// Those of this input, with this separator between cells.
    pub fn new(input: R, separator: u8) -> Self {
        Self {
            input,
            separator,
            ahead: VecDeque::new(),
            line: 0,
            at: 0,
        }
    }

    /// The next record, passing over empty lines; none at the end. One that has not so many cells as there are columns is refused.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn next(&mut self, columns: Option<usize>) -> io::Result<Option<Record>> {
        let first = loop {
            match self.line()? {
                None => return Ok(None),
                Some(line) if line.text.is_empty() => {}
                Some(line) => break line,
            }
        };
        let mut parser = Parser::new(self.separator);
        let mut lines = vec![first];
        let mut bytes = 0;
        let refused = loop {
            let Some(line) = lines.last() else { break None };
            bytes += line.text.len() + line.end.len();
            if !line.is_whole && lines.len() == 1 {
                // Its quotes are not known, so it is a line of its own.
                break Some(Refused::whole(format!(
                    "the line is longer than {RECORD_BYTES_MAX} bytes; take out what is no text of a row"
                )));
            }
            let is_long = lines.len() >= RECORD_LINES_MAX || bytes > RECORD_BYTES_MAX;
            match parser.feed(line) {
                Fed::Ended if line.is_whole => break counted(&parser, &lines, columns),
                Fed::Astray => break Some(Refused::astray(parser.opened, line.number)),
                Fed::Open | Fed::Ended if is_long => {
                    break Some(Refused::first(format!(
                        "a quote is opened in line {} and not closed within {RECORD_LINES_MAX} lines and {RECORD_BYTES_MAX} bytes: write it twice or take it away",
                        parser.opened
                    )));
                }
                Fed::Open | Fed::Ended => match self.line()? {
                    Some(line) => lines.push(line),
                    None => {
                        break Some(Refused::first(format!(
                            "a quote is opened in line {} and never closed: write it twice or take it away",
                            parser.opened
                        )));
                    }
                },
            }
        };
        let cells = match refused {
            None => Ok(parser.cells),
            Some(refused) => {
                if refused.is_first_only {
                    for line in lines.drain(1..).rev() {
                        self.ahead.push_front(line);
                    }
                }
                Err(refused.reason)
            }
        };
        Ok(Some(record(lines, cells)))
    }

    fn line(&mut self) -> io::Result<Option<Physical>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let (mut text, mut is_whole, begun): (Vec<u8>, _, _) = (Vec::new(), true, self.at);
        let end: &'static [u8] = loop {
            let held = self.input.fill_buf()?;
            if held.is_empty() {
                break b"";
            }
            let found = held.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &held[..found.unwrap_or(held.len())];
            // What is beyond the limit is passed over without being held.
            let kept = part.len().min(RECORD_BYTES_MAX - text.len());
            is_whole &= kept == part.len();
            text.extend_from_slice(&part[..kept]);
            let is_return = found.is_some_and(|at| held[at] == b'\r');
            let step = part.len() + usize::from(found.is_some());
            self.input.consume(step);
            self.at += step as u64;
            if is_return {
                if self.input.fill_buf()?.first() == Some(&b'\n') {
                    self.input.consume(1);
                    self.at += 1;
                    break b"\r\n";
                }
                break b"\r";
            }
            if found.is_some() {
                break b"\n";
            }
        };
        if self.at == begun {
            return Ok(None);
        }
        if begun == 0 && text.starts_with(MARK) {
            text.drain(..MARK.len());
        }
        self.line += 1;
        Ok(Some(Physical {
            number: self.line,
            text,
            end,
            is_whole,
            at: self.at,
        }))
    }
}

fn record(mut lines: Vec<Physical>, cells: Result<Cells, String>) -> Record {
    let at = lines.last().map_or(0, |line| line.at);
    let number = lines.first().map_or(0, |line| line.number);
    let raw = match lines.as_mut_slice() {
        [one] => std::mem::take(&mut one.text),
        lines => {
            let mut raw = Vec::new();
            for (index, line) in lines.iter().enumerate() {
                raw.extend_from_slice(&line.text);
                if index + 1 < lines.len() {
                    raw.extend_from_slice(line.end);
                }
            }
            raw
        }
    };
    Record {
        number,
        raw,
        cells,
        at,
    }
}

/// Why a record is none.
struct Refused {
    reason: String,
    /// Whether the lines after the first are to be read again.
    is_first_only: bool,
}

impl Refused {
    fn whole(reason: String) -> Self {
        Self {
            reason,
            is_first_only: false,
        }
    }

    fn first(reason: String) -> Self {
        Self {
            reason,
            is_first_only: true,
        }
    }

    fn astray(opened: u64, closed: u64) -> Self {
        Self::first(format!(
            "a quote is opened in line {opened} and never closed: the next one, in line {closed}, belongs to another row; write it twice or take it away"
        ))
    }
}

/// What is wrong with a record that came to its end.
fn counted(parser: &Parser, lines: &[Physical], columns: Option<usize>) -> Option<Refused> {
    let columns = columns?;
    let found = parser.cells.len();
    // Of several lines the first ends within quotes.
    let [opened, last] =
        [lines.first(), lines.last()].map(|line| line.map_or(0, |line| line.number));
    if found != columns {
        let reason = format!("the row has {found} fields, the first line names {columns}");
        if lines.len() == 1 {
            return Some(Refused::whole(reason));
        }
        // A quote of this row that one of another row closed: those between are rows.
        return Some(Refused::first(format!(
            "{reason}; a quote is opened in line {opened}, and the row would end in line {last}: if no cell has line breaks, write the quote twice or take it away"
        )));
    }
    let looks_like_row = |line: &Physical| {
        let separators = line.text.iter().filter(|byte| **byte == parser.separator);
        separators.count() + 1 == columns
    };
    let are_rows = columns >= ROWS_LIKE_MIN
        && lines.len() >= ROWS_LIKE_MIN
        && lines.iter().all(looks_like_row);
    are_rows.then(|| Refused::astray(opened, last))
}

enum State {
    /// Where a cell begins: only here a quote opens.
    Begun,
    Plain,
    Quoted,
}

/// What became of a line.
enum Fed {
    /// The record ends with it.
    Ended,
    /// A cell goes on in the next one.
    Open,
    /// It closes a quote of a line before it where it begins a cell of its own: the quote before was never closed.
    Astray,
}

struct Parser {
    separator: u8,
    cells: Cells,
    state: State,
    /// The line of the last quote that opened a cell.
    opened: u64,
}

impl Parser {
    fn new(separator: u8) -> Self {
        Self {
            separator,
            cells: Cells::default(),
            state: State::Begun,
            opened: 0,
        }
    }

    fn feed(&mut self, line: &Physical) -> Fed {
        let text = line.text.as_slice();
        let mut at = 0;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            match self.state {
                State::Begun if rest.first() == Some(&b'"') => {
                    self.state = State::Quoted;
                    self.opened = line.number;
                    at += 1;
                }
                State::Begun => self.state = State::Plain,
                State::Plain => {
                    let end = rest.iter().position(|byte| *byte == self.separator);
                    self.cells
                        .text
                        .extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                    self.cells.end();
                    let Some(end) = end else { return Fed::Ended };
                    self.state = State::Begun;
                    at += end + 1;
                }
                State::Quoted => {
                    let Some(quote) = rest.iter().position(|byte| *byte == b'"') else {
                        self.cells.text.extend_from_slice(rest);
                        self.cells.text.extend_from_slice(line.end);
                        return Fed::Open;
                    };
                    self.cells.text.extend_from_slice(&rest[..quote]);
                    at += quote + 1;
                    if text.get(at) == Some(&b'"') {
                        self.cells.text.push(b'"');
                        at += 1;
                    } else if self.opened < line.number && self.opens(text, at - 1) {
                        return Fed::Astray;
                    } else {
                        // What stands behind a closing quote still belongs to the cell.
                        self.state = State::Plain;
                    }
                }
            }
        }
    }

    /// Whether a quote stands where a cell begins, with text behind it: then it opens one.
    fn opens(&self, text: &[u8], at: usize) -> bool {
        let before = text[..at].iter().rev().find(|byte| **byte != b'"');
        let behind = text[at + 1..].iter().find(|byte| **byte != b' ');
        before.is_none_or(|byte| *byte == self.separator)
            && behind.is_some_and(|byte| *byte != self.separator)
    }
}

#[cfg(test)]
mod tests;
