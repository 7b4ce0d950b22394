//! Rows of a CSV file, each as an event, or two.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::Context as _;
use jiff::tz::TimeZone;

use super::{
    super::check::Advised,
    Line,
    mapping::{self, Mapping},
    records::{Cells, MARK, Record, Records},
};

/// Most columns of a file.
const COLUMNS_MAX: usize = 1_000;

/// What to do with a file of another encoding.
const SAVE_AS_UTF_8: &str = "save the file as UTF-8 (in a spreadsheet: \"CSV UTF-8\")";

/// How the line begins by which a spreadsheet names the separator, before the one that names the columns.
const NAMES_SEPARATOR: &[u8] = b"sep=";

/// Rows of a file whose columns are known.
pub struct Rows {
    records: Records<BufReader<File>>,
    separator: u8,
    columns: usize,
    mapping: Mapping,
}

impl Rows {
    /// Those of a file. The first line names the columns; the separator (comma, semicolon, tab) is the one that the first line has most
    /// of, or what a line `sep=;` before it names. Lines of nothing but separators are none.
    ///
    /// # Errors
    /// The first line cannot be read, or the mapping is wrong or does not fit the columns.
    pub fn open(file: File, map: Option<&Path>) -> anyhow::Result<Self> {
        let mut reader = BufReader::new(file);
        let start = reader.fill_buf().context("the file cannot be read")?;
        let named = named_separator(start);
        let separator = named.unwrap_or_else(|| separator(start));
        let mut records = Records::new(reader, separator);
        let unread = "the first line cannot be read";
        if named.is_some() {
            records.next(None).context(unread)?;
        }
        let first = loop {
            match records.next(None).context(unread)? {
                Some(record) if is_blank(&record, separator) => {}
                first => break first,
            }
        };
        let names = names(first)?;
        Ok(Self {
            records,
            separator,
            columns: names.len(),
            mapping: Mapping::of(&names, map)?,
        })
    }

    /// Each as a line; times without a zone are those of `zone`.
    pub fn lines(mut self, zone: TimeZone) -> impl Iterator<Item = anyhow::Result<Line>> {
        std::iter::from_fn(move || {
            loop {
                return match self.records.next(Some(self.columns)) {
                    Ok(None) => None,
                    Ok(Some(record)) if is_blank(&record, self.separator) => continue,
                    Ok(Some(record)) => {
                        let cells = record.cells;
                        Some(Ok(Line {
                            number: record.number,
                            raw: String::from_utf8_lossy(&record.raw).into_owned(),
                            events: cells.and_then(|cells| events(&cells, &self.mapping, &zone)),
                            is_row: true,
                            at: record.at,
                        }))
                    }
                    Err(error) => Some(Err(
                        anyhow::Error::new(error).context("the file cannot be read")
                    )),
                };
            }
        })
    }
}

/// Whether nothing stands in it: a spreadsheet writes a row that somebody emptied as separators alone, be there too many or too few.
fn is_blank(record: &Record, separator: u8) -> bool {
    let is_nothing = |byte: &u8| *byte == separator || byte.is_ascii_whitespace();
    match &record.cells {
        Ok(cells) => cells.iter().all(<[u8]>::is_empty),
        Err(_) => record.raw.iter().all(is_nothing),
    }
}

/// The separator that the first line names, as `sep=;`; none when it is a line like any other.
fn named_separator(start: &[u8]) -> Option<u8> {
    let start = start.strip_prefix(MARK).unwrap_or(start);
    let end = start.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    let (word, named) = start[..end?].split_at_checked(NAMES_SEPARATOR.len())?;
    match *named {
        [sign] if word.eq_ignore_ascii_case(NAMES_SEPARATOR) => {
            let is_one = sign == b'\t' || (sign.is_ascii_punctuation() && sign != b'"');
            is_one.then_some(sign)
        }
        _ => None,
    }
}

/// What the first line calls the columns; an empty file has none.
fn names(first: Option<Record>) -> anyhow::Result<Vec<String>> {
    let Some(first) = first else {
        return Ok(Vec::new());
    };
    let cells = first.cells.map_err(|reason| {
        Advised::new(
            format!("the first line names no columns: {reason}"),
            "mend the first line, then import again; nothing was stored",
        )
    })?;
    // Read with signs in place of what is none, a column would have a name that means nothing.
    let names: Result<Vec<String>, _> = cells
        .iter()
        .map(|name| std::str::from_utf8(name).map(|name| name.trim().to_owned()))
        .collect();
    let names = names.map_err(|_| {
        Advised::new(
            format!(
                "line {}, which names the columns, is not UTF-8",
                first.number
            ),
            format!("{SAVE_AS_UTF_8}, then import again; nothing was stored"),
        )
    })?;
    anyhow::ensure!(
        names.len() <= COLUMNS_MAX,
        "the file has {} columns, the limit is {COLUMNS_MAX}",
        names.len()
    );
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (at, name) in names
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
    {
        let Some(before) = seen.insert(name.to_lowercase(), at) else {
            continue;
        };
        // `ref` and `Ref` are two traits; `Nombre` and `nombre` are one member.
        if names[before] == *name || mapping::is_one(&names[before], name) {
            return Err(Advised::new(
                format!(
                    "the first line names {name:?} twice: columns {} and {}",
                    before + 1,
                    at + 1
                ),
                "give each column a name of its own, or take one of the two out",
            )
            .into());
        }
    }
    Ok(names)
}

fn events(cells: &Cells, mapping: &Mapping, zone: &TimeZone) -> Result<Vec<String>, String> {
    let fields: Result<Vec<&str>, _> = cells.iter().map(std::str::from_utf8).collect();
    let fields = fields.map_err(|_| format!("the row is not UTF-8; {SAVE_AS_UTF_8}"))?;
    mapping.events(&fields, zone)
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
    use std::io::{Seek as _, Write as _};

    use super::*;

    fn read(file: File) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Line>>> {
        Ok(Rows::open(file, None)?.lines(TimeZone::UTC))
    }

    fn file(text: impl AsRef<[u8]>) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_ref()).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_first_line_that_cannot_be_followed_is_refused_and_says_where() {
        let refused = |text: &str| read(file(text)).err().map(|error| error.to_string());
        for twice in [
            "Id;Nombre;Nombre\n",
            "Id,\"Nombre\", Nombre",
            "Id\tNombre\tNOMBRE",
        ] {
            let error = refused(twice).unwrap();
            assert!(error.contains("columns 2 and 3"), "{error}");
        }
        let open = refused("Id;\"Nombre;Correo\n1;Ana;ana@example.org\n").unwrap();
        assert!(open.contains("opened in line 1"), "{open}");
        // Columns without a name, and traits that differ in case.
        for right in ["Id;;;", "Id;ref;Ref", ""] {
            assert_eq!(refused(right), None, "{right}");
        }
    }

    #[test]
    fn a_first_line_in_another_encoding_is_refused_and_says_what_to_do() {
        // "Teléfono" as Latin-1, and a whole file as UTF-16.
        for bytes in [&b"Id;Tel\xE9fono\n1;612345678\n"[..], b"\xFF\xFEI\0d\0"] {
            let error = read(file(bytes)).err().unwrap();
            let advised = error.downcast_ref::<Advised>().unwrap();
            assert!(
                advised.message.contains("line 1,") && advised.message.contains("not UTF-8"),
                "{advised}"
            );
            assert!(advised.hint.contains("CSV UTF-8"), "{}", advised.hint);
        }
    }

    /// Numbers and texts of the lines that are rows, right or wrong.
    fn rows(text: &str) -> Vec<(u64, String)> {
        let lines = read(file(text)).unwrap().map(Result::unwrap);
        lines.map(|line| (line.number, line.raw)).collect()
    }

    #[test]
    fn a_line_that_names_the_separator_is_not_the_one_that_names_the_columns() {
        for (first, row) in [
            ("sep=;\r\n", "1;\"Ruiz, Ana\""),
            ("\u{FEFF}SEP=;\n", "1;Ruiz, Ana"),
            ("sep=|\n", "1|Ruiz; Ana"),
            ("sep=\t\n", "1\tRuiz; Ana"),
        ] {
            let names = if row.contains('|') {
                "Id|Nombre, entero"
            } else {
                "Id;Nombre, entero"
            };
            let names = if row.contains('\t') {
                "Id\tNombre, entero"
            } else {
                names
            };
            let text = format!("{first}{names}\n{row}\n");
            let lines: Vec<Line> = read(file(&text)).unwrap().map(Result::unwrap).collect();
            assert_eq!((lines.len(), lines[0].number), (1, 3), "{first:?}");
            let event = lines[0].events.as_ref().unwrap().concat();
            assert!(
                event.contains("\"Id\":1") && event.contains("Ana\""),
                "{event}"
            );
        }
        // A column may be called so.
        assert_eq!(rows("sep=\n1\n"), [(2, "1".to_owned())]);
    }

    #[test]
    fn lines_of_separators_alone_are_passed_over_like_empty_ones() {
        for blank in [";;", ";;;;", ";", " ; ;", "\"\";\"\";"] {
            let text = format!("{blank}\nId;Nombre;Correo\n{blank}\n1;;\n{blank}\n{blank}");
            assert_eq!(rows(&text), [(4, "1;;".to_owned())], "{blank:?}");
        }
    }

    #[test]
    fn rows_have_the_numbers_that_an_editor_shows_however_lines_end() {
        for end in ["\n", "\r\n"] {
            let lines = [
                "Id;Name", "1;\"Ana", "Ruiz\"", "", "2;Luis", "3;a;b", "", "", "4;Eva",
            ];
            let rows: Vec<Line> = read(file(lines.join(end)))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let numbers: Vec<u64> = rows.iter().map(|row| row.number).collect();
            assert_eq!(numbers, [2, 5, 6, 9], "{end:?}");
            assert_eq!(rows[2].raw, "3;a;b");
        }
    }
}
