//! What an import says of lines and rows that are not right, and where.

use super::*;

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
