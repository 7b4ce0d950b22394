//! What an import says of lines and rows that are not right, and where.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    http::StatusCode,
    middleware::{Next, from_fn},
    response::IntoResponse as _,
};

use super::*;

#[tokio::test]
async fn a_row_with_a_telephone_that_is_none_is_taken_and_told() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let path = dir.path().join("people.csv");
    let rows = "email,phone,nationalId\nana@example.org,600111222,12345678Z\nluis@example.org,12,\neva@example.org,600111333,12345678A\n";
    fs::write(&path, rows).unwrap();
    let report = run(&link, "CRM", &path, None, false).await.unwrap();
    let summary = Summary {
        read: 3,
        stored: 3,
        flawed: 2,
        ..Summary::default()
    };
    assert_eq!((report.summary, report.rejects), (summary, None));
    let [(three, phone, text), (four, document, _)] = &told(report.flaws.as_ref())[..] else {
        panic!("two rows");
    };
    assert_eq!(
        (*three, *four, text.as_str()),
        (3, 4, "luis@example.org,12,")
    );
    assert!(phone.starts_with("phone: "), "{phone}");
    assert!(document.starts_with("nationalId: "), "{document}");
    link.close().await;
}

#[tokio::test]
async fn events_with_identifiers_that_are_none_are_taken_and_told() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let path = dir.path().join("flawed.jsonl");
    let lines = [
        r#"{"type":"identify","userId":"u1","messageId":"m1","traits":{"phone":"12"}}"#,
        r#"{"type":"identify","userId":"u2","messageId":"m2","traits":{"phone":"600111222"}}"#,
        r#"{"type":"identify","userId":"u3","messageId":"m3","traits":{"nationalId":"12345678A"}}"#,
    ];
    fs::write(&path, lines.join("\n")).unwrap();
    let report = run(&link, "Website", &path, None, false).await.unwrap();
    let summary = Summary {
        read: 3,
        stored: 3,
        flawed: 2,
        ..Summary::default()
    };
    assert_eq!((report.summary, report.rejects), (summary, None));
    let [(1, phone, text), (3, document, _)] = &told(report.flaws.as_ref())[..] else {
        panic!("two lines");
    };
    assert_eq!(text, lines[0]);
    assert!(phone.starts_with("phone: "), "{phone}");
    assert!(document.starts_with("nationalId: "), "{document}");
    link.close().await;
}

#[tokio::test]
async fn what_an_earlier_import_said_of_the_same_file_is_gone() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let path = dir.path().join("mended.csv");
    let wrong = "email,phone\nana@example.org,12\nnobody,\n";
    fs::write(&path, wrong).unwrap();
    let first = run(&link, "CRM", &path, None, false).await.unwrap();
    let files = [first.rejects.unwrap(), first.flaws.unwrap()];
    assert!(files.iter().all(|file| file.exists()));
    let beside = dir.path().join("mended.csv.rejects.jsonl.old");
    fs::write(&beside, "").unwrap();
    fs::write(&path, "email,phone\nana@example.org,600111222\n").unwrap();
    let second = run(&link, "CRM", &path, None, false).await.unwrap();
    assert_eq!((second.rejects, second.flaws), (None, None));
    assert!(files.iter().all(|file| !file.exists()) && beside.exists());
    // What cannot be removed is told.
    fs::create_dir(&files[0]).unwrap();
    let error = run(&link, "CRM", &path, None, false).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("cannot remove") && error.contains("mended.csv.rejects.jsonl"),
        "{error}"
    );
    link.close().await;
}

#[tokio::test]
async fn an_import_whose_server_stops_says_that_it_may_be_run_again() {
    let (dir, config, _made) = made();
    let Link::Own(mut own) = Link::open(config.clone()).await.unwrap() else {
        panic!("nothing else runs")
    };
    let path = dir.path().join("many.csv");
    let rows: Vec<String> = (0..2_500).map(|n| format!("u{n}")).collect();
    fs::write(&path, format!("userId\n{}\n", rows.join("\n"))).unwrap();
    // It answers to the start and to the first chunk.
    let asked = Arc::new(AtomicUsize::new(0));
    let whole = own.router.clone();
    own.router = whole.clone().layer(from_fn(move |request, next: Next| {
        let stops = asked.fetch_add(1, Ordering::Relaxed) >= 2;
        async move {
            if stops {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            next.run(request).await
        }
    }));
    let link = Link::Own(own);
    let error = run(&link, "CRM", &path, None, false).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("same import again is safe") && error.contains("503"),
        "{error}"
    );
    let Link::Own(mut own) = link else {
        panic!("the same one")
    };
    own.router = whole;
    let link = Link::Own(own);
    let again = run(&link, "CRM", &path, None, false).await.unwrap();
    assert_eq!(
        (again.summary.stored, again.summary.duplicates),
        (1_500, 1_000)
    );
    link.close().await;
}

#[tokio::test]
async fn local_times_of_rows_are_those_of_the_zone_of_their_source() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let create =
        serde_json::json!({"command": "source_create", "name": "CRM", "zone": "America/Bogota"});
    body(&link, &serde_json::from_value(create).unwrap()).await;
    let path = dir.path().join("times.csv");
    let rows = "userId,timestamp\nu1,14/03/2026 10:00\nu2,mañana\n";
    fs::write(&path, rows).unwrap();
    let report = run(&link, "CRM", &path, None, false).await.unwrap();
    let refused = refused(&report);
    let [(3, reason, _)] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("\"mañana\" is no time"), "{reason}");
    let events = body(&link, &Command::ExportEvents).await;
    assert!(events.contains("2026-03-14T15:00:00.000Z"), "{events}");
    link.close().await;
}

#[tokio::test]
async fn a_row_whose_role_cannot_be_what_it_says_is_refused_with_the_reason() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    let [rows, map] = ["roles.csv", "roles.toml"].map(|name| dir.path().join(name));
    let columns = "[columns]\nId = \"userId\"\n[group.columns]\nFirma = \"groupId\"\n";
    let names = ["role", "weight", "decides", "from", "to"];
    let mapped = names.map(|name| format!("{name} = \"traits.{name}\"\n"));
    fs::write(&map, columns.to_owned() + &mapped.concat()).unwrap();
    let long = format!("7;E-1;{};;;;", "x".repeat(65));
    let lines = [
        "Id;Firma;role;weight;decides;from;to",
        "1;E-1;Gerente;50;true;2026-01-01;2026-12-31",
        "2;E-1;;0,5;;;",
        "3;E-1;;140;;;",
        "4;E-1;;;sí;;",
        "5;E-1;;;;pronto;",
        "6;E-1;;;;2026-12-31;2026-01-01",
        &long,
        "8;;;140;sí;;",
        "9;E-1;;;;;",
    ];
    fs::write(&rows, lines.join("\n")).unwrap();
    let report = run(&link, "CRM", &rows, Some(&map), false).await.unwrap();
    // Who belongs to nothing has no role that could be wrong.
    assert_eq!((report.summary.stored, report.summary.rejected), (5, 6));
    let refused = refused(&report);
    let reasons = [
        "weight: it is \"0,5\"; write a whole number from 0 to 100 (percent)",
        "weight: it is 140; write a whole number",
        "decides: it is \"sí\"; write true or false",
        "from: it is \"pronto\"; write a day as",
        "to: the last day is before the first",
        "role: it is \"xxx",
    ];
    for ((number, told, text), (reason, line)) in refused.iter().zip(reasons.iter().zip(3..)) {
        assert_eq!((*number, text.as_str()), (line, lines[line as usize - 1]));
        assert!(told.starts_with(reason), "{told}");
    }
    // Of accounts alone nobody has a role: a trait of theirs may be called so.
    fs::write(&map, "type = \"group\"\n[columns]\nFirma = \"groupId\"\n").unwrap();
    fs::write(&rows, "Firma;weight\nE-2;140\n").unwrap();
    let report = run(&link, "CRM", &rows, Some(&map), false).await.unwrap();
    assert_eq!((report.summary.stored, report.rejects), (1, None));
    link.close().await;
}

#[tokio::test]
async fn people_that_two_systems_number_alike_are_kept_apart_by_namespaces() {
    let (dir, config, _made) = made();
    let link = Link::open(config).await.unwrap();
    for name in ["Shop", "Clinic"] {
        let create =
            serde_json::json!({"command": "source_create", "name": name, "namespace": name});
        body(&link, &serde_json::from_value(create).unwrap()).await;
        let path = dir.path().join(format!("{name}.csv"));
        let row = |n: u8| format!("{n};{name}{n}@example.org\n");
        fs::write(&path, format!("userId;email\n{}{}", row(1), row(2))).unwrap();
        let report = run(&link, name, &path, None, false).await.unwrap();
        assert!(!report.source_created && report.summary.stored == 2);
    }
    let customers = body(&link, &Command::ExportCustomers).await;
    assert_eq!(customers.lines().count(), 4, "{customers}");
    link.close().await;
}
