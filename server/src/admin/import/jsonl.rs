//! Events, one JSON object a line.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
};

use anyhow::Context as _;
use trenza_shared::event::EVENT_BYTES_MAX;

use super::Line;

/// Lines of a file. A line over the limit of an event is refused without being held.
pub fn read(file: File) -> impl Iterator<Item = anyhow::Result<Line>> {
    let mut reader = BufReader::new(file);
    let (mut number, mut at) = (0, 0);
    std::iter::from_fn(move || {
        loop {
            match next(&mut reader, number + 1) {
                Ok(None) => return None,
                Ok(Some((read, line))) => {
                    number += 1;
                    at += read;
                    if let Some(line) = line {
                        return Some(Ok(Line { at, ..line }));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// The next line with the bytes it took; the inner one is none when it is empty.
fn next(reader: &mut BufReader<File>, number: u64) -> anyhow::Result<Option<(u64, Option<Line>)>> {
    let failed = || format!("line {number} cannot be read");
    // Some room for blanks around an event of the greatest length.
    let limit = (EVENT_BYTES_MAX + 1024) as u64;
    let mut bytes = Vec::new();
    let mut read = reader
        .by_ref()
        .take(limit)
        .read_until(b'\n', &mut bytes)
        .with_context(failed)? as u64;
    if read == 0 {
        return Ok(None);
    }
    let whole = bytes.last() == Some(&b'\n') || read < limit;
    if !whole {
        read += skip_line(reader).with_context(failed)?;
    }
    let start = if number == 1 {
        bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes)
    } else {
        &bytes
    };
    let text = String::from_utf8_lossy(start);
    let raw = text.trim();
    if raw.is_empty() {
        return Ok(Some((read, None)));
    }
    let events = if !whole {
        Err(format!(
            "the line is longer than an event may be: {EVENT_BYTES_MAX} bytes"
        ))
    } else if std::str::from_utf8(start).is_err() {
        Err("the line is not UTF-8".to_owned())
    } else {
        Ok(vec![raw.to_owned()])
    };
    Ok(Some((
        read,
        Some(Line {
            number,
            raw: raw.to_owned(),
            events,
            is_row: false,
            at: 0,
        }),
    )))
}

/// Goes to the end of the line; bytes skipped.
fn skip_line(reader: &mut BufReader<File>) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let held = reader.fill_buf()?;
        if held.is_empty() {
            return Ok(skipped);
        }
        let end = held.iter().position(|byte| *byte == b'\n');
        let step = end.map_or(held.len(), |at| at + 1);
        reader.consume(step);
        skipped += step as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}
