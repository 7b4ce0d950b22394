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
            rejected: 2
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
            rejected: 2
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
            rejected: 3
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
            rejected: 2
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
    };
    assert_eq!(second.summary, summary);
    assert_eq!(body(&link, &Command::ExportCustomers).await, customers);
    let verified: Verified = link.ask(&Command::ReplayVerify).await.unwrap();
    assert!(verified.equal, "{verified:?}");
    link.close().await;
}
