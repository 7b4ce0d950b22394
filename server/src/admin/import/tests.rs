mod rows; // what is said of lines and rows that are not right

use std::fs;

use super::*;
use crate::admin::{
    export::Verified,
    tests::{body, made},
};

const EVENTS: &str = r#"{"type":"identify","userId":"u1","messageId":"m1","traits":{"email":"ada@example.org"},"timestamp":"2026-01-01T10:00:00Z"}
{"type":"track","event":"Bought","userId":"u1","properties":{"topic":"bonds"}}

nonsense
{"type":"track","userId":"u1","properties":{"topic":"bonds"},"event":"Bought"}
{"type":"track","event":"Bought"}
"#;

#[tokio::test]
async fn the_same_file_twice_changes_nothing() {
    let (dir, config, _made) = made();
    let link = Link::open(config.clone()).await.unwrap();
    let path = dir.path().join("events.jsonl");
    fs::write(&path, EVENTS).unwrap();
    let first = run(&link, "CRM", &path, None, false).await.unwrap();
    assert_eq!(
        first.summary,
        Summary {
            read: 5,
            stored: 2,
            duplicates: 1,
            rejected: 2,
            flawed: 0,
        }
    );
    assert!(first.source_created && first.resolved);
    let rejects = fs::read_to_string(first.rejects.unwrap()).unwrap();
    let lines: Vec<Value> = rejects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["line"], &lines[0]["text"], &lines[1]["line"]),
        (&4.into(), &"nonsense".into(), &6.into())
    );
    assert!(
        lines[1]["reason"]
            .as_str()
            .unwrap()
            .contains("names nobody"),
        "{rejects}"
    );
    let exports = [
        body(&link, &Command::ExportCustomers).await,
        body(&link, &Command::ExportEvents).await,
    ];
    assert_eq!(exports[1].lines().count(), 2);
    assert!(exports[0].contains("ada@example.org"));

    let again = run(&link, "CRM", &path, None, false).await.unwrap();
    assert_eq!(
        again.summary,
        Summary {
            read: 5,
            stored: 0,
            duplicates: 3,
            rejected: 2,
            flawed: 0,
        }
    );
    assert!(!again.source_created);
    link.close().await;

    let link = Link::open(config).await.unwrap();
    assert_eq!(
        [
            body(&link, &Command::ExportCustomers).await,
            body(&link, &Command::ExportEvents).await
        ],
        exports
    );
    let verified: Verified = link.ask(&Command::ReplayVerify).await.unwrap();
    assert!(verified.equal, "{verified:?}");
    link.close().await;
}

#[tokio::test]
async fn rows_become_events_and_meet_what_is_known() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let events = dir.path().join("events.jsonl");
    fs::write(&events, EVENTS).unwrap();
    run(&link, "CRM", &events, None, false).await.unwrap();
    let rows = dir.path().join("rows.csv");
    // As a Spanish spreadsheet writes it: a mark at the start, semicolons, quotes, CRLF.
    fs::write(&rows, b"\xEF\xBB\xBFDNI;Correo;saldo;nota\r\n12345678Z;ADA@example.org;10000;\"una; dos\r\nl\xC3\xADneas\"\r\n;;5;\r\n1;2\r\n87654321X;bo@example.org;7;\xFF\r\n").unwrap();
    let report = run(&link, "Core", &rows, None, false).await.unwrap();
    assert_eq!(
        report.summary,
        Summary {
            read: 4,
            stored: 1,
            duplicates: 0,
            rejected: 3,
            flawed: 0,
        }
    );
    let rejects = fs::read_to_string(report.rejects.unwrap()).unwrap();
    assert!(
        rejects.contains("2 fields")
            && rejects.contains("UTF-8")
            && rejects.contains("names nobody"),
        "{rejects}"
    );
    let customers = body(&link, &Command::ExportCustomers).await;
    assert_eq!(customers.lines().count(), 1, "{customers}");
    let customer: Value = serde_json::from_str(&customers).unwrap();
    assert_eq!(
        (&customer["traits"]["saldo"], &customer["traits"]["nota"]),
        (&10000.into(), &"una; dos\r\nlíneas".into())
    );
    assert_eq!(
        run(&link, "Core", &rows, None, false)
            .await
            .unwrap()
            .summary
            .duplicates,
        1
    );
    link.close().await;
}

#[tokio::test]
async fn a_file_larger_than_a_chunk_is_taken_in_order() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let path = dir.path().join("many.jsonl");
    let line = |n: usize| {
        format!(
            r#"{{"type":"track","event":"{}","userId":"u{}","messageId":"m{n}"}}"#,
            "e".repeat(n % 900),
            n % 7
        )
    };
    let text: Vec<String> = (0..2_500).map(line).collect();
    fs::write(&path, text.join("\n")).unwrap();
    let report = run(&link, "Website", &path, None, false).await.unwrap();
    assert_eq!((report.summary.stored, report.rejects), (2_500, None));
    assert!(!report.source_created);
    assert_eq!(
        body(&link, &Command::ExportEvents)
            .await
            .lines()
            .collect::<Vec<_>>(),
        text
    );
    link.close().await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_without_being_held() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let path = dir.path().join("long.jsonl");
    let long = format!(
        r#"{{"type":"track","event":"{}","userId":"u"}}"#,
        "x".repeat(400_000)
    );
    fs::write(
        &path,
        format!("{long}\n{{\"type\":\"page\",\"userId\":\"u\"}}\n{long}"),
    )
    .unwrap();
    let report = run(&link, "Website", &path, None, false).await.unwrap();
    assert_eq!(
        report.summary,
        Summary {
            read: 3,
            stored: 1,
            duplicates: 0,
            rejected: 2,
            flawed: 0,
        }
    );
    assert!(fs::metadata(report.rejects.unwrap()).unwrap().len() < 10_000);
    link.close().await;
}

#[tokio::test]
async fn a_file_that_is_neither_is_refused() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    for (name, map) in [
        ("a.txt", None),
        ("missing.csv", None),
        ("a.jsonl", Some("map.toml")),
    ] {
        let path = dir.path().join(name);
        if name != "missing.csv" {
            fs::write(&path, "x").unwrap();
        }
        assert!(
            run(&link, "Website", &path, map.map(Path::new), false)
                .await
                .is_err(),
            "{name}"
        );
    }
    link.close().await;
}

#[tokio::test]
async fn persons_and_companies_of_a_crm_are_imported_once() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let [rows, map] = ["crm.csv", "crm.toml"].map(|name| dir.path().join(name));
    fs::write(&rows, include_str!("../../../../config/import/crm.csv")).unwrap();
    fs::write(&map, include_str!("../../../../config/import/crm.toml")).unwrap();
    let first = run(&link, "CRM", &rows, Some(&map), false).await.unwrap();
    let summary = Summary {
        read: 3,
        stored: 5,
        duplicates: 0,
        rejected: 0,
        flawed: 0,
    };
    assert_eq!(first.summary, summary);
    let customers = body(&link, &Command::ExportCustomers).await;
    assert_eq!(customers.lines().count(), 3, "{customers}");
    // Of a role whose person cannot be read nothing is taken.
    let again = fs::read_to_string(&rows).unwrap() + "C-4;;;;;E-100;;;Compras;quizá;;;\n";
    fs::write(&rows, again).unwrap();
    let second = run(&link, "CRM", &rows, Some(&map), false).await.unwrap();
    let summary = Summary {
        read: 4,
        stored: 0,
        duplicates: 5,
        rejected: 1,
        flawed: 0,
    };
    assert_eq!(second.summary, summary);
    assert_eq!(body(&link, &Command::ExportCustomers).await, customers);
    let verified: Verified = link.ask(&Command::ReplayVerify).await.unwrap();
    assert!(verified.equal, "{verified:?}");
    link.close().await;
}

/// What an import refused: line, reason and text of each.
fn refused(report: &Report) -> Vec<(u64, String, String)> {
    told(report.rejects.as_ref())
}

/// The same of any of its files.
fn told(file: Option<&PathBuf>) -> Vec<(u64, String, String)> {
    let text = fs::read_to_string(file.unwrap()).unwrap();
    let one = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (line["line"].as_u64().unwrap(), text("reason"), text("text"))
    };
    text.lines().map(one).collect()
}

#[tokio::test]
async fn a_stray_quote_costs_its_own_row_and_no_other() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let path = dir.path().join("quote.csv");
    let mut lines: Vec<String> = (1..=1_500)
        .map(|n| format!("C-{n};Ana {n};ana{n}@example.org"))
        .collect();
    lines.insert(0, "userId;Nombre;Correo".into());
    lines[11] = format!("C-11;\"Ana 11;ana11@example.org{}", "x".repeat(5_000));
    // Another one, and a cell in quotes that would close it.
    lines[700] = "C-700;\"Ana 700;ana700@example.org".into();
    lines[720] = "C-720;\"Ana; 720\";ana720@example.org".into();
    fs::write(&path, lines.join("\n")).unwrap();
    let report = run(&link, "CRM", &path, None, false).await.unwrap();
    let summary = Summary {
        read: 1_500,
        stored: 1_498,
        duplicates: 0,
        rejected: 2,
        flawed: 0,
    };
    assert_eq!(report.summary, summary);
    let refused = refused(&report);
    for ((number, reason, text), line) in refused.iter().zip([12, 701]) {
        assert_eq!((*number, text), (line, &lines[line as usize - 1]));
        assert!(
            reason.contains(&format!("opened in line {line} ")),
            "{reason}"
        );
    }
    link.close().await;
}

#[tokio::test]
async fn a_row_that_would_be_nobodys_is_refused_with_what_is_wrong() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let path = dir.path().join("nobody.csv");
    let rows = [
        "Nombre;Correo;Teléfono;DNI",
        "Ana;ana@;12;12345678A",
        "Eva;eva@;612345678;",
        "Luis;nobody at home;;",
    ];
    fs::write(&path, rows.join("\n")).unwrap();
    let report = run(&link, "CRM", &path, None, false).await.unwrap();
    let summary = Summary {
        read: 3,
        stored: 1,
        duplicates: 0,
        rejected: 2,
        flawed: 1,
    };
    assert_eq!(report.summary, summary);
    let refused = refused(&report);
    let [(2, all, text), (4, one, _)] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!(text, rows[1]);
    for part in [
        "email: ",
        "phone: ",
        "nationalId: ",
        "the check letter",
        "at least one identifier that is right",
    ] {
        assert!(all.contains(part), "{part} not in {all}");
    }
    assert!(one.contains("email: ") && !one.contains("phone: "), "{one}");
    assert_eq!(body(&link, &Command::ExportEvents).await.lines().count(), 1);
    // An event is what happened, whoever it was.
    let events = dir.path().join("anonymous.jsonl");
    let lines = [
        r#"{"type":"track","event":"Seen","anonymousId":"v-1","messageId":"m1"}"#,
        r#"{"type":"track","event":"Seen","messageId":"m2","context":{"traits":{"email":"ana@"}}}"#,
    ];
    fs::write(&events, lines.join("\n")).unwrap();
    let report = run(&link, "CRM", &events, None, false).await.unwrap();
    assert_eq!((report.summary.stored, report.rejects), (2, None));
    link.close().await;
}

#[tokio::test]
async fn rows_of_accounts_need_no_person_but_a_role_needs_one() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let [rows, map] = ["firms.csv", "firms.toml"].map(|name| dir.path().join(name));
    fs::write(&map, "type = \"group\"\n[columns]\n\"Id\" = \"groupId\"\n\"Contacto\" = \"context.traits.email\"").unwrap();
    let text =
        "Id;Empresa;Contacto\nE-1;Soler;\nE-2;Prat;ana@example.org\nE-3;Gil;ana@\nnull;Roca;\n";
    fs::write(&rows, text).unwrap();
    let report = run(&link, "CRM", &rows, Some(&map), false).await.unwrap();
    let summary = Summary {
        read: 4,
        stored: 2,
        duplicates: 0,
        rejected: 2,
        flawed: 0,
    };
    assert_eq!(report.summary, summary);
    let refused = refused(&report);
    assert!(
        refused[0].1.contains("email: ") && refused[1].1.contains("no groupId"),
        "{refused:?}"
    );
    // Of a person with a company nothing is taken when the person is nobody.
    let [rows, map] = ["crm.csv", "crm.toml"].map(|name| dir.path().join(name));
    fs::write(&map, include_str!("../../../../config/import/crm.toml")).unwrap();
    let text = include_str!("../../../../config/import/crm.csv").to_owned();
    fs::write(&rows, text + ";Eva;Gil;eva@;;E-100;;;Compras;;;;\n").unwrap();
    let report = run(&link, "CRM", &rows, Some(&map), false).await.unwrap();
    assert_eq!((report.summary.stored, report.summary.rejected), (5, 1));
    link.close().await;
}
