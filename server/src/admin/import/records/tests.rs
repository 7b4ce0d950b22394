use proptest::prelude::*;

use super::*;

/// Line, text and cells (or the reason) of every record.
fn records(text: &str, columns: Option<usize>) -> Vec<(u64, String, Result<Vec<String>, String>)> {
    // A short buffer, so that lines and CR LF are cut in the midst.
    let input = io::BufReader::with_capacity(7, text.as_bytes());
    let mut records = Records::new(input, b';');
    let mut found = Vec::new();
    while let Some(record) = records.next(columns).unwrap() {
        let cell = |cell: &[u8]| String::from_utf8(cell.to_vec()).unwrap();
        found.push((
            record.number,
            cell(&record.raw),
            record.cells.map(|cells| cells.iter().map(cell).collect()),
        ));
    }
    found
}

/// Lines of records that are some, and those of the refused with their reasons.
type Lines = (Vec<u64>, Vec<(u64, String, String)>);

fn parted(text: &str) -> Lines {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for (number, raw, cells) in records(text, Some(3)) {
        match cells {
            Ok(_) => taken.push(number),
            Err(reason) => refused.push((number, raw, reason)),
        }
    }
    (taken, refused)
}

fn rows(count: u64) -> Vec<String> {
    (1..=count).map(|n| format!("{n};Ana {n};x")).collect()
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_line() {
    for end in ["\n", "\r\n", "\r"] {
        for count in [30, 2_000] {
            let mut lines = rows(count);
            lines[11] = "12;\"Ana;x".into();
            let (taken, refused) = parted(&lines.join(end));
            assert_eq!(taken.len() as u64, count - 1, "{end:?}");
            assert!(!taken.contains(&12) && taken.ends_with(&[count]));
            let [(number, raw, reason)] = &refused[..] else {
                panic!("{refused:?}")
            };
            assert_eq!((*number, raw.as_str()), (12, "12;\"Ana;x"));
            assert!(
                reason.contains("a quote is opened in line 12 and")
                    && reason.contains("closed")
                    && reason.contains("write it twice or take it away"),
                "{reason}"
            );
        }
    }
}

#[test]
fn a_quote_that_a_later_row_closes_costs_its_own_line() {
    // A cell of the same column, of another, one with quotes inside, one with blanks; a second stray quote, before and behind.
    for closing in [
        "25;\"Ana; Eva\";x",
        "25;Ana;\"x\"",
        "25;\"\"\"Ana\"\" Eva\";x",
        "25;\" Ana\";x",
        "25;\"Ana;x",
        "25;Ana\";x",
        "25;Ana\";\"x\"",
        "25;Ana;x\"",
        "\"25\";Ana;x",
    ] {
        let mut lines = rows(40);
        lines[11] = "12;\"Ana;x".into();
        lines[24] = closing.into();
        let (taken, refused) = parted(&lines.join("\n"));
        let lost: Vec<u64> = refused.iter().map(|(number, ..)| *number).collect();
        let both = closing == "25;\"Ana;x";
        assert_eq!(
            lost,
            if both { vec![12, 25] } else { vec![12] },
            "{closing}"
        );
        assert_eq!(taken.len() + lost.len(), 40, "{closing}");
        assert!(refused[0].2.contains("opened in line 12"), "{refused:?}");
    }
}

#[test]
fn cells_in_quotes_keep_their_line_breaks() {
    let text = "1;\"Calle 1\r\n\r\n2º; B\";x\r\n\r\n2;\"says \"\"hi\"\"\nand \"there\" goes\";\"y\"\n3;\"a\" ; b ";
    let found = records(text, Some(3));
    let cells: Vec<_> = found
        .iter()
        .map(|(number, _, cells)| (*number, cells.clone().unwrap()))
        .collect();
    assert_eq!(
        cells[0],
        (
            1,
            vec!["1".into(), "Calle 1\r\n\r\n2º; B".into(), "x".into()]
        )
    );
    assert_eq!(found[0].1, "1;\"Calle 1\r\n\r\n2º; B\";x");
    assert_eq!(cells[1].0, 5);
    assert_eq!(
        cells.last().unwrap(),
        &(7, vec!["3".into(), "a".into(), "b".into()])
    );
    // Long notes stay one cell, whatever stands in them, as far as the limit.
    let notes = "line, of; a note\n".repeat(RECORD_LINES_MAX - 2);
    let found = records(&format!("1;Ana;\"{notes}\"\n2;Eva;\n"), Some(3));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].2.as_ref().unwrap()[2], notes.trim());
}

#[test]
fn a_line_or_a_cell_without_end_is_not_held() {
    let long = "x".repeat(3 * RECORD_BYTES_MAX);
    for text in [
        format!("1;{long};\n2;Ana;x\n3;Eva;x"),
        format!("1;\"Ana;x\n2;Ana;x\n3;Eva;x\n{long}\n"),
        format!("1;\"{long}\n2;Ana;x\n3;Eva;x"),
    ] {
        let (taken, refused) = parted(&text);
        assert_eq!(taken, [2, 3]);
        assert!(
            refused
                .iter()
                .all(|(_, raw, _)| raw.len() <= RECORD_BYTES_MAX)
        );
    }
}

proptest! {
    /// Where nothing is refused, a file says what it says to everybody else.
    #[test]
    fn records_are_those_of_any_reader(text in "([ab ;]|\"|\r\n|\n|\r){0,40}") {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(b';')
            .flexible(true)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let theirs: Vec<Vec<String>> = reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();
        let ours: Result<Vec<Vec<String>>, String> =
            records(&text, None).into_iter().map(|(_, _, cells)| cells).collect();
        if let Ok(ours) = ours {
            prop_assert_eq!(ours, theirs);
        }
    }
}
