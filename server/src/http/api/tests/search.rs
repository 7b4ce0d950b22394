use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    tables::Role,
    testing::{CORE, Server},
    views::page::encoded,
};

fn person(number: usize, given: &str, surnames: &str) -> Value {
    json!({
        "type": "identify", "messageId": format!("p-{number}"), "userId": format!("u-{number}"),
        "timestamp": "2026-02-01T09:00:00Z", "traits": {"firstName": given, "lastName": surnames},
    })
}

/// The logins of whom a search finds.
async fn found(server: &Server, query: &str) -> BTreeSet<String> {
    let path = format!("/v1/customers?q={}", encoded(query));
    let found = server.get(Role::Steward, &path).await;
    assert_eq!(found.status, 200, "{}", found.text);
    let customers = found.json["customers"].as_array().unwrap();
    let logins = customers.iter().map(|customer| {
        let all = customer["identifiers"].as_array().unwrap();
        let login = all.iter().find(|one| one["kind"] == "userId").unwrap();
        login["value"].as_str().unwrap().to_owned()
    });
    logins.collect()
}

#[tokio::test]
async fn a_name_is_found_by_any_part_without_accents_and_in_spite_of_mistakes() {
    let server = Server::start().await;
    let everybody = [
        person(1, "Francisco Javier", "Gutiérrez Muñoz"),
        person(2, "María José", "Vázquez de la Peña"),
        person(3, "Ángela", "Llamas Hernández"),
        person(4, "Jordi", "Puigdemont i Casamajó"),
        person(5, "Nélida", "Ocampo"),
    ];
    server.capture(CORE, &everybody).await;
    for (query, number) in [
        ("gutierrez", 1),
        ("GUTIÉRREZ", 1),
        ("muñoz", 1),
        ("munoz fran", 1),
        ("gutierez", 1),
        ("gutiérrze", 1),
        ("tierre", 1),
        ("paco gutierres", 1),
        ("basquez", 2),
        ("peña jose", 2),
        ("yamas", 3),
        ("ernandez angela", 3),
        ("puigdemon", 4),
        ("jordi puigdemont i casamajo", 4),
        ("maría de la peña", 2),
        ("puigdemnot", 4),
        ("casamajo jordi", 4),
        ("nelida", 5),
        ("ocanpo", 5),
        ("u-5", 5),
    ] {
        let logins = found(&server, query).await;
        assert_eq!(logins, [format!("u-{number}")].into(), "{query}");
    }
    for query in ["zzyzx", "gutierrez ocampo", "12", "%", "   "] {
        assert_eq!(found(&server, query).await, BTreeSet::new(), "{query}");
    }
}

#[tokio::test]
async fn a_telephone_is_found_by_its_beginning_as_people_write_it() {
    let server = Server::start().await;
    let mut elena = person(1, "Elena", "Ruiz Soto");
    elena["traits"]["phone"] = json!("+34 615 47 21 44");
    let mut rosa = person(2, "Rosa", "Ruiz Gil");
    rosa["traits"]["phone"] = json!("611000001");
    server.capture(CORE, &[elena, rosa]).await;
    for (query, number) in [
        ("615472144", 1),
        ("61547", 1),
        ("615 47", 1),
        ("615-472-1", 1),
        ("(615) 47.21", 1),
        ("0034615472", 1),
        ("+3461547", 1),
        ("+34 615 47", 1),
        ("elena 61547", 1),
        ("elena 615 47 21 44", 1),
        ("ruiz 611000001", 2),
        ("ruiz 611", 2),
    ] {
        let logins = found(&server, query).await;
        assert_eq!(logins, [format!("u-{number}")].into(), "{query}");
    }
    for query in ["rosa 615", "47", "547", "0033615"] {
        assert_eq!(found(&server, query).await, BTreeSet::new(), "{query}");
    }
}

#[tokio::test]
async fn whoever_bears_several_very_frequent_names_is_found() {
    let server = Server::start().await;
    // More of each name than are looked at one by one, and few of both.
    let mut everybody = Vec::new();
    for number in 0..1_700 {
        everybody.push(person(
            number,
            "María",
            &format!("Pérez{}", letters(number)),
        ));
        everybody.push(person(number + 2_000, &letters(number), "García"));
    }
    for number in 4_000..4_007 {
        everybody.push(person(number, "María", "García"));
    }
    for part in everybody.chunks(500) {
        server.capture(CORE, part).await;
    }
    let both: BTreeSet<String> = (4_000..4_007).map(|number| format!("u-{number}")).collect();
    assert_eq!(found(&server, "maria garcia").await, both);
    assert_eq!(found(&server, "García, María").await, both);
    // Beginnings, and words that are mistyped, of which too many bear each.
    for query in ["mar gar", "maria gracia", "garc mraia"] {
        assert_eq!(found(&server, query).await, both, "{query}");
    }
}

/// A word for a number.
fn letters(mut number: usize) -> String {
    let mut word = String::from("q");
    for _ in 0..4 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word
}
