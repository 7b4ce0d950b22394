//! From rows to events.

use super::*;

fn madrid() -> TimeZone {
    TimeZone::get("Europe/Madrid").unwrap()
}

fn event(names: &[&str], fields: &[&str], map: &str) -> Result<Value, String> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mapping =
        Mapping::new(&names, toml::from_str(map).unwrap()).map_err(|error| error.to_string())?;
    let mut events = mapping.events(fields, &madrid())?;
    assert_eq!(events.len(), 1, "{events:?}");
    Ok(serde_json::from_str(&events.remove(0)).unwrap())
}

#[test]
fn columns_go_where_their_names_say() {
    let names = [
        "Correo electrónico",
        "DNI",
        "Teléfono",
        "Primer apellido",
        "saldo",
        "Código postal",
        "userId",
        "vip",
        "ref",
    ];
    let fields = [
        "ada@example.org",
        "12345678Z",
        "600000001",
        "Byron",
        "10000.50",
        "08001",
        "42",
        "true",
        "007",
    ];
    assert_eq!(
        event(&names, &fields, "").unwrap(),
        serde_json::json!({
            "type": "identify", "userId": "42",
            "traits": {"email": "ada@example.org", "nationalId": "12345678Z", "phone": "600000001", "lastName": "Byron",
                "saldo": serde_json::from_str::<Value>("10000.50").unwrap(), "address": {"postalCode": "08001"}, "vip": true, "ref": "007"}
        })
    );
}

#[test]
fn a_map_file_outranks_the_names() {
    let map = r#"
        type = "track"
        event = "Order Completed"
        timestamp = "Date"
        others = "ignore"
        [columns]
        "No" = "userId"
        "Total" = { to = "properties.total", as = "number" }
        [fixed]
        "context.trenza.channel" = "store"
    "#;
    let names = ["No", "Total", "Date", "Note"];
    let made = event(&names, &["7", "12.50", "2026-01-15T10:00:00Z", "x"], map).unwrap();
    assert_eq!(
        made,
        serde_json::json!({"type": "track", "event": "Order Completed", "userId": "7", "timestamp": "2026-01-15T10:00:00Z",
            "properties": {"total": serde_json::from_str::<Value>("12.50").unwrap()}, "context": {"trenza": {"channel": "store"}}})
    );
    assert!(
        event(&names, &["7", "twelve", "", ""], map)
            .unwrap_err()
            .contains("no number")
    );
}

#[test]
fn a_wrong_mapping_says_what_there_is() {
    assert!(
        event(&["a"], &["1"], "[columns]\n\"b\" = \"userId\"")
            .unwrap_err()
            .contains("column \"b\"")
    );
    assert!(
        event(&["a"], &["1"], "[columns]\n\"a\" = \"user\"")
            .unwrap_err()
            .contains("no member")
    );
    assert!(
        event(&["a"], &["1"], "type = \"dance\"")
            .unwrap_err()
            .contains("dance")
    );
    assert!(toml::from_str::<MapFile>("kind = \"track\"").is_err());
}

/// The events of the rows of a file of `config/import/`, by the mapping beside it.
fn example(map: &str, file: &str) -> Vec<Value> {
    let mut lines = file.lines().map(|line| line.split(';').collect::<Vec<_>>());
    let names: Vec<String> = lines
        .next()
        .unwrap()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mapping = Mapping::new(&names, toml::from_str(map).unwrap()).unwrap();
    let events = lines.flat_map(|row| mapping.events(&row, &madrid()).unwrap());
    events
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect()
}

#[test]
fn the_example_of_a_crm_says_persons_companies_and_who_decides() {
    let events = example(
        include_str!("../../../../../config/import/crm.toml"),
        include_str!("../../../../../config/import/crm.csv"),
    );
    let kinds: Vec<&str> = events
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["identify", "group", "identify", "group", "identify"]
    );
    assert_eq!(
        events[1],
        serde_json::json!({"type": "group", "groupId": "E-100", "userId": "C-1",
            "traits": {"name": "Talleres Soler SL", "nationalId": "B12345674", "role": "Gerente", "decides": true, "pays": false, "from": "2020-02-01"},
            "context": {"traits": {"email": "m.soler@talleres-soler.example", "phone": "612345678"},
                "trenza": {"facet": "professional"}}})
    );
    assert_eq!(events[3]["traits"]["to"], "2025-12-31");
    assert_eq!(events[0]["traits"]["firstName"], "Marta");
    assert!(events[0]["traits"].get("Cargo").is_none());
}

#[test]
fn the_example_of_a_till_says_sales_and_households() {
    let events = example(
        include_str!("../../../../../config/import/till.toml"),
        include_str!("../../../../../config/import/till.csv"),
    );
    assert_eq!(events.len(), 5, "{events:?}");
    assert_eq!(
        (
            &events[0]["type"],
            &events[0]["event"],
            &events[0]["properties"]["total"]
        ),
        (
            &"track".into(),
            &"Order Completed".into(),
            &serde_json::from_str("42.50").unwrap()
        )
    );
    assert_eq!(
        (
            &events[1]["type"],
            &events[1]["groupId"],
            &events[1]["traits"]["type"]
        ),
        (&"group".into(), &"H-77".into(), &"household".into())
    );
    assert_eq!(events[1]["context"]["traits"]["loyaltyId"], "L-1000234");
    assert_eq!(events[1]["timestamp"], "2026-03-14T10:20:00Z");
}

#[test]
fn ticks_and_days_are_read_as_people_write_them() {
    let map = "[columns]\na = { to = \"properties.a\", as = \"boolean\" }\nb = { to = \"properties.b\", as = \"date\" }";
    let read = |a: &str, b: &str| event(&["a", "b"], &[a, b], map);
    for (a, b, truth, day) in [
        ("Sí", "31/12/2025", true, "2025-12-31"),
        ("x", "1-2-2026", true, "2026-02-01"),
        ("NO", "2026-02-01", false, "2026-02-01"),
    ] {
        let made = read(a, b).unwrap();
        assert_eq!(
            made["properties"],
            serde_json::json!({"a": truth, "b": day})
        );
    }
    assert!(read("maybe", "").unwrap_err().contains("neither"));
    for wrong in ["31/02/2026", "1/2/26", "tomorrow"] {
        assert!(read("", wrong).unwrap_err().contains("no day"), "{wrong}");
    }
}

#[test]
fn a_group_without_its_id_is_refused() {
    let wrong = event(&["a"], &["1"], "[group.columns]\na = \"traits.role\"").unwrap_err();
    assert!(wrong.contains("which account"), "{wrong}");
}

#[test]
fn a_telephone_is_one_whatever_its_column_is_called() {
    for name in [
        "Tel",
        "TEL.",
        "Tfno",
        "tfno.",
        "Tlf",
        "Tlf.",
        "Móvil",
        "movil",
        "MÓVIL",
        "Teléfono móvil",
        "Phone No.",
        "Cell",
    ] {
        let made = event(&[name], &["612345678"], "").unwrap();
        assert_eq!(
            made["traits"],
            serde_json::json!({"phone": "612345678"}),
            "{name}"
        );
    }
}

#[test]
fn a_person_with_two_telephones_has_both() {
    let names = ["Tel.", "Móvil", "Correo"];
    let made = event(&names, &["912345678", "612345678", "a@example.org"], "").unwrap();
    assert_eq!(
        made["traits"],
        serde_json::json!({"phone": "912345678", "email": "a@example.org"})
    );
    assert_eq!(
        made["context"]["externalIds"],
        serde_json::json!([{"id": "612345678", "type": "phone"}])
    );
    let made = event(&names, &["", "612345678", ""], "").unwrap();
    assert_eq!(made["traits"], serde_json::json!({"phone": "612345678"}));
    assert!(made.get("context").is_none());
}

#[test]
fn a_time_is_read_in_the_zone_of_the_source_and_what_is_none_refuses_the_row() {
    let map = "timestamp = \"Fecha\"";
    let read = |text: &str| {
        let made = event(&["userId", "Fecha"], &["7", text], map)?;
        Ok::<_, String>(made["timestamp"].as_str().unwrap_or("none").to_owned())
    };
    for (text, at) in [
        // As it came: the zone is said.
        ("2026-03-14T10:00:00Z", "2026-03-14T10:00:00Z"),
        ("2026-03-14T10:00:00+02:00", "2026-03-14T10:00:00+02:00"),
        ("2026-03-14", "2026-03-13T23:00:00.000Z"),
        ("14/03/2026", "2026-03-13T23:00:00.000Z"),
        ("14-7-2026", "2026-07-13T22:00:00.000Z"),
        ("2026-03-14 10:00:00", "2026-03-14T09:00:00.000Z"),
        ("2026-03-14T10:00:00", "2026-03-14T09:00:00.000Z"),
        ("14/03/2026 9:05", "2026-03-14T08:05:00.000Z"),
        ("14/03/2026  10:00:00,25", "2026-03-14T09:00:00.250Z"),
        // The clock goes from 2 to 3, and from 3 to 2.
        ("29/03/2026 02:30", "2026-03-29T01:30:00.000Z"),
        ("25/10/2026 02:30", "2026-10-25T00:30:00.000Z"),
        ("", "none"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(at), "{text}");
    }
    for wrong in [
        "mañana",
        "2026-02-30T10:00:00Z",
        "2026-02-30",
        "03/14/2026",
        "14/03/26",
        "2026-03-14 25:00",
        "2026-03-14 10",
        "2026-03-14 10:00:60.5.1",
        "14/03/2026 10:00 PM",
        "14/03/2026 10:00Z",
        "46095",
    ] {
        let error = read(wrong).unwrap_err();
        assert!(error.contains("is no time; write "), "{wrong}: {error}");
    }
    // Whatever the mapping says, by name, and of the account of the row.
    for map in [
        "[columns]\nFecha = \"originalTimestamp\"",
        "[columns]\nFecha = { to = \"originalTimestamp\", as = \"text\" }",
    ] {
        let made = event(&["userId", "Fecha"], &["7", "14/03/2026"], map).unwrap();
        assert_eq!(made["originalTimestamp"], "2026-03-13T23:00:00.000Z");
    }
    assert!(event(&["userId", "timestamp"], &["7", "ayer"], "").is_err());
}

/// What a mapping is refused with, and what to do.
fn refused(names: &[&str], map: &str) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let error = Mapping::new(&names, toml::from_str(map).unwrap()).unwrap_err();
    (error.message, error.hint)
}

#[test]
fn a_word_that_is_no_kind_of_value_is_told_with_its_column_and_the_words_there_are() {
    let (error, hint) = refused(
        &["Alta"],
        "[columns]\nAlta = { to = \"traits.alta\", as = \"fecha\" }",
    );
    assert!(
        error.contains("\"Alta\"") && error.contains("\"fecha\""),
        "{error}"
    );
    assert!(
        hint.contains("text, number, date, boolean, guess"),
        "{hint}"
    );
    for (wrong, part) in [
        ("{ to = \"traits.alta\", like = \"date\" }", "like"),
        ("{ as = \"date\" }", "where to"),
        ("7", "where to"),
        ("{ to = \"traits.alta\", as = 7 }", "7"),
    ] {
        for table in ["columns", "group.columns"] {
            let map = format!("[{table}]\nAlta = {wrong}");
            let (error, _) = refused(&["Alta"], &map);
            assert!(
                error.contains("\"Alta\"") && error.contains(part),
                "{error}"
            );
        }
    }
}

#[test]
fn fixed_values_that_nothing_would_read_are_refused_with_those_there_are() {
    let group = "[group.columns]\na = \"groupId\"\n[group.fixed]\n";
    for (map, words) in [
        (
            "[fixed]\n\"context.trenza.facet\" = \"profesional\"".to_owned(),
            "personal or professional",
        ),
        (
            format!("{group}\"traits.type\" = \"hogar\""),
            "household or organisation",
        ),
        (
            "type = \"group\"\n[fixed]\n\"traits.type\" = \"hogar\"".to_owned(),
            "household or organisation",
        ),
        ("[fixed]\ntimestamp = \"ayer\"".to_owned(), "2025-12-31T"),
    ] {
        let (error, hint) = refused(&["a"], &map);
        assert!(
            error.contains("in every row") && hint.contains(words),
            "{error}: {hint}"
        );
    }
    let names = ["a".to_owned()];
    for right in [
        "[fixed]\n\"context.trenza.facet\" = \"personal\"\n\"traits.type\" = \"vip\"".to_owned(),
        format!("{group}\"traits.type\" = \"organisation\""),
        format!("{group}\"traits.type\" = \"Household\""),
        "[fixed]\ntimestamp = 2026-01-01T00:00:00Z".to_owned(),
    ] {
        assert!(
            Mapping::new(&names, toml::from_str(&right).unwrap()).is_ok(),
            "{right}"
        );
    }
}

#[test]
fn two_columns_for_one_member_are_refused_with_both_names() {
    let names = ["Alta", "Cliente", "Tel", "Otro", "userId"];
    for map in [
        "[columns]\nAlta = \"traits.alta\"\nCliente = \"traits.alta\"",
        "[columns]\nAlta = \"properties.a\"\nCliente = \"properties.a\"",
        "timestamp = \"Alta\"\n[columns]\nCliente = \"timestamp\"",
        "[group.columns]\nOtro = \"groupId\"\nAlta = \"traits.phone\"\nCliente = \"traits.phone\"",
    ] {
        let (error, _) = refused(&names, map);
        assert!(error.contains("\"Alta\" and \"Cliente\""), "{map}: {error}");
    }
    // One is named by the mapping, the other by itself.
    let (error, _) = refused(&names, "[columns]\nCliente = \"userId\"");
    assert!(error.contains("\"Cliente\" and \"userId\""), "{error}");
    // A person may have two telephones.
    let map = "[columns]\nOtro = \"traits.phone\"\nAlta = \"traits.phone\"";
    let fields = ["612345671", "c", "612345672", "612345673", "7"];
    let made = event(&names, &fields, map).unwrap();
    assert_eq!(made["context"]["externalIds"].as_array().unwrap().len(), 2);
}
