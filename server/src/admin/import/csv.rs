//! Rows of a CSV file, each as an event, or two.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
};

use anyhow::Context as _;

use super::{Line, mapping::Mapping};

/// Most columns of a file.
const COLUMNS_MAX: usize = 1_000;

/// Rows of a file. The first line names the columns; the separator (comma, semicolon, tab) is the one that the first line has most of.
///
/// # Errors
/// The first line cannot be read, or the mapping is wrong or does not fit the columns.
pub fn read(
    file: File,
    map: Option<&Path>,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Line>> + use<>> {
    let mut reader = BufReader::new(file);
    let separator = separator(reader.fill_buf().context("the file cannot be read")?);
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(Counted::new(reader));
    let names: Vec<String> = rows
        .byte_headers()
        .context("the first line cannot be read")?
        .iter()
        .map(|name| {
            String::from_utf8_lossy(name)
                .trim_start_matches('\u{FEFF}')
                .trim()
                .to_owned()
        })
        .collect();
    anyhow::ensure!(
        names.len() <= COLUMNS_MAX,
        "the file has {} columns, the limit is {COLUMNS_MAX}",
        names.len()
    );
    let mapping = Mapping::of(&names, map)?;
    let mut row = csv::ByteRecord::new();
    Ok(std::iter::from_fn(move || {
        match rows.read_byte_record(&mut row) {
            Ok(false) => None,
            Ok(true) => {
                let begins = row.position().map_or(0, csv::Position::byte);
                let number = rows.get_mut().line_from(begins);
                let at = rows.position().byte();
                let raw = row
                    .iter()
                    .map(String::from_utf8_lossy)
                    .collect::<Vec<_>>()
                    .join(char::from(separator).encode_utf8(&mut [0; 4]));
                Some(Ok(Line {
                    number,
                    events: events(&names, &row, &mapping),
                    raw,
                    at,
                }))
            }
            Err(error) => Some(Err(
                anyhow::Error::new(error).context("the file cannot be read")
            )),
        }
    }))
}

fn events(
    names: &[String],
    row: &csv::ByteRecord,
    mapping: &Mapping,
) -> Result<Vec<String>, String> {
    if row.len() != names.len() {
        return Err(format!(
            "the row has {} fields, the first line names {}",
            row.len(),
            names.len()
        ));
    }
    let fields: Result<Vec<&str>, _> = row.iter().map(std::str::from_utf8).collect();
    let fields = fields.map_err(|_| "the row is not UTF-8; save the file as UTF-8".to_owned())?;
    mapping.events(&fields)
}

/// A reader that knows in which line of the file each part of it stands: the `csv` crate tells where the row before ended, which is the
/// line before where lines end with CR LF or are empty.
struct Counted<R> {
    inner: R,
    read: u64,
    line: u64,
    is_line_begun: bool,
    /// Where lines with something in them begin, and their numbers, as far as they were read and not asked for. As many as fit into
    /// the buffer of whoever reads.
    begun: VecDeque<(u64, u64)>,
}

impl<R> Counted<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            read: 0,
            line: 1,
            is_line_begun: false,
            begun: VecDeque::new(),
        }
    }

    /// Number, from 1, of the first line with something in it that begins at or after a byte of the file.
    fn line_from(&mut self, byte: u64) -> u64 {
        while self.begun.front().is_some_and(|(at, _)| *at < byte) {
            self.begun.pop_front();
        }
        self.begun.front().map_or(self.line, |(_, line)| *line)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in buffer.iter().take(count) {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.is_line_begun = false;
                }
                b'\r' => {}
                _ if self.is_line_begun => {}
                _ => {
                    self.is_line_begun = true;
                    self.begun.push_back((self.read, self.line));
                }
            }
            self.read += 1;
        }
        Ok(count)
    }
}

fn separator(start: &[u8]) -> u8 {
    let first = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let count = |separator: u8| first.iter().filter(|byte| **byte == separator).count();
    // The first of equals wins: a comma when there is nothing to go by.
    [b',', b';', b'\t']
        .into_iter()
        .rev()
        .max_by_key(|separator| count(*separator))
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn rows_have_the_numbers_that_an_editor_shows_however_lines_end() {
        for end in ["\n", "\r\n"] {
            let lines = [
                "Id;Name", "1;\"Ana", "Ruiz\"", "", "2;Luis", "3;a;b", "", "", "4;Eva",
            ];
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(lines.join(end).as_bytes()).unwrap();
            io::Seek::rewind(&mut file).unwrap();
            let rows: Vec<Line> = read(file, None).unwrap().map(Result::unwrap).collect();
            let numbers: Vec<u64> = rows.iter().map(|row| row.number).collect();
            assert_eq!(numbers, [2, 5, 6, 9], "{end:?}");
            assert_eq!(rows[2].raw, "3;a;b");
        }
    }
}
