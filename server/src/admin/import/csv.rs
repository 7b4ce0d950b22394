//! Rows of a CSV file, each as an event, or two.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
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
        .from_reader(reader);
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
                let number = row.position().map_or(0, csv::Position::line);
                let at = rows.position().byte();
                let raw = row
                    .iter()
                    .map(String::from_utf8_lossy)
                    .collect::<Vec<_>>()
                    .join(",");
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
