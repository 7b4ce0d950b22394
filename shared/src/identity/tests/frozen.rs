//! Bytes that other replicas and older stores hold: they never change.

use super::*;

fn hex(bytes: &[u8]) -> String {
    crate::id::to_hex(bytes)
}

#[test]
fn the_hash_of_an_identifier_is_frozen() {
    let samples = ["dni:12345678Z", "email:ana@example.org", "cookie:v1"];
    let hashes = samples.map(|text| hex(&key_hash(&id(text))));
    assert_eq!(
        hashes,
        [
            "ff02a0b58b494cec6bd5c2cc4b63d93a",
            "5393e9fc01ef490c0ca3602356ac0659",
            "f4b9e95ae99a8bdbc480511c841e8f70"
        ]
    );
}

#[test]
fn the_id_of_a_decision_is_frozen() {
    let same = decided(DecisionKind::Same, &["email:a", "phone:p"], &[]);
    let later = decided(DecisionKind::NotSame, &["email:a", "phone:p"], &[same.id]);
    let undo = Decision::undo(same.id, "they are two", "ana", 1_700_000_000_000);
    let ids = [same, later, undo].map(|one| one.id.to_string());
    assert_eq!(
        ids,
        [
            "d_fffd629d35805e6846dfe7b9b8b3a5d9",
            "d_a9043d91c0757ca59b51b23d0eaeefb9",
            "d_812061172615ac563cf9be6d5f8610a7"
        ]
    );
}

#[test]
fn the_stored_shapes_are_frozen() {
    let not = decided(DecisionKind::NotSame, &["email:a", "email:c"], &[]);
    let rules = Rules::default();
    let nodes = [
        node("dni:1 email:a", "ana lopez", 1),
        node("dni:2 email:a", "", 2),
        node("email:a email:b", "", 3),
        node("email:a email:c", "", 4),
    ];
    let graph = grown(&nodes, &Decisions::of([not]), &rules);
    let component = graph.components().remove(0);
    // Rows of the store are the MessagePack of named fields after a version byte.
    let bytes = rmp_serde::to_vec_named(&component).unwrap();
    let read: Component = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(read, component);
    let profile = graph.profile(&id("email:a")).unwrap();
    let profile_bytes = rmp_serde::to_vec_named(&profile).unwrap();
    let read: KeyProfile = rmp_serde::from_slice(&profile_bytes).unwrap();
    assert_eq!(read, profile);
    let node_bytes = rmp_serde::to_vec_named(&nodes[0]).unwrap();
    let read: Node = rmp_serde::from_slice(&node_bytes).unwrap();
    assert_eq!(read, nodes[0]);
    assert_eq!(
        hex(&profile_bytes),
        "82a3686f74c2a57369676e7383cf23748f8a26dc021d91cf14d927e50934811bcf40bad686c0e7a17592cf25bc1dc9bf539d76cfd8423a5e4dc1468acf9969ddda6b0b311c92cf22d95f8e0cd0d9efcf4bb9ab67573d129e"
    );
    assert_eq!(
        serde_json::to_string(&nodes[0]).unwrap(),
        r#"{"fingerprint":"fp_76df460019b38d2f6810040c5046739b","payload":{"identifiers":[{"kind":"nationalId","scope":"ES-DNI","value":"1"},{"kind":"email","scope":"","value":"a"}],"day":null,"person":{"given":["ana"],"surnames":["lopez"],"birthday":null,"street":null,"city":null,"postal_code":null,"state":null,"country":null,"gender":null,"company":null}},"first_at_ms":86400000}"#
    );
    let text = serde_json::to_string(&component).unwrap();
    let first = r#"{"id":"fp_426ae0c8fdf1357d8418c3f1191e002b","groups":[{"seed":"fp_426ae0c8fdf1357d8418c3f1191e002b","seed_at_ms":345600000,"members":["fp_426ae0c8fdf1357d8418c3f1191e002b"],"shared":[{"identifier":{"kind":"email","scope":"","value":"a"},"why":{"contradiction":{"exclusive":{"one":{"kind":"nationalId","scope":"ES-DNI","value":"1"},"other":{"kind":"nationalId","scope":"ES-DNI","value":"2"}}}}}]}"#;
    assert!(text.starts_with(first), "{text}");
    let hashes = [bytes, node_bytes].map(|bytes| blake3::hash(&bytes).to_hex().to_string());
    assert_eq!(
        hashes,
        [
            "815d3a42d77149ece775fb0aa2cf3c6f0dbc67ee1983d1bc876983a60f77dd50",
            "9ac2b2bbda83ec27e95a19396ac28b8191407161bab03c2b245108522c9c5b45"
        ]
    );
}
