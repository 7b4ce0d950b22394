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
