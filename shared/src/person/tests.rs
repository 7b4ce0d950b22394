use proptest::prelude::*;
use serde_json::json;

use super::*;

fn person(traits: &Value) -> Person {
    Person::from_traits(traits.as_object().expect("an object"))
}

fn named(given: &str, surnames: &str) -> Person {
    person(&json!({"firstName": given, "lastName": surnames}))
}

fn whole(name: &str) -> (String, String) {
    let person = person(&json!({"name": name}));
    (person.given.join(" "), person.surnames.join(" "))
}

#[test]
fn traits_become_folded_fields() {
    let ana = person(&json!({
        "firstName": "  María del  Carmen ", "lastName": "De la Peña", "secondLastName": "Núñez-Cortés",
        "birthday": "1990-05-12T00:00:00.000Z", "gender": "Mujer", "company": {"name": "Acme, S.L."},
        "address": {"street": "C/ Gran Vía, nº 12", "city": "Alcalá de Henares", "postalCode": 8001, "state": "Madrid", "country": "España"},
        "email": "ignored@x.org"
    }));
    assert_eq!(ana.given, ["maria", "carmen"]);
    assert_eq!(ana.surnames, ["pena", "nunez", "cortes"]);
    assert_eq!(ana.birthday.as_deref(), Some("1990-05-12"));
    assert_eq!(ana.gender.as_deref(), Some("female"));
    assert_eq!(ana.company.as_deref(), Some("acme"));
    assert_eq!(ana.street.as_deref(), Some("gran via 12"));
    assert_eq!(ana.city.as_deref(), Some("alcala de henares"));
    assert_eq!(ana.postal_code.as_deref(), Some("08001"));
    assert_eq!(ana.state.as_deref(), Some("madrid"));
    assert_eq!(ana.country.as_deref(), Some("es"));
    assert!(!ana.is_empty());
}

#[test]
fn what_is_missing_or_a_filler_is_left_out() {
    assert!(person(&json!({})).is_empty());
    assert!(person(&json!({"firstName": 7, "lastName": null, "name": "", "birthday": "1900-01-01", "address": {"postalCode": "00000", "city": "-"}, "gender": "m", "company": "null"})).is_empty());
    assert!(person(&json!({"firstName": "undefined", "lastName": "..."})).is_empty());
    assert!(person(&json!({"firstName": "a".repeat(5000)})).is_empty());
}

#[test]
fn dates_of_birth_are_read_as_people_write_them() {
    let birthday = |raw: &str| person(&json!({"birthday": raw})).birthday;
    for raw in [
        "1990-05-12",
        "12/05/1990",
        "12-5-1990",
        "12.05.1990",
        "19900512",
        "1990/05/12",
        " 1990-05-12T22:00:00Z",
    ] {
        assert_eq!(birthday(raw).as_deref(), Some("1990-05-12"), "{raw}");
    }
    assert_eq!(birthday("05/25/1990").as_deref(), Some("1990-05-25"));
    for raw in [
        "1990-02-30",
        "1990-13-01",
        "12/05/90",
        "0001-01-01",
        "1970-01-01T00:00:00Z",
        "ayer",
        "-1-1-1",
        "99999999",
    ] {
        assert_eq!(birthday(raw), None, "{raw}");
    }
}

#[test]
fn one_field_with_the_whole_name_is_split_sensibly() {
    for (name, given, surnames) in [
        ("Ana", "ana", ""),
        ("Ana García", "ana", "garcia"),
        ("Ana García López", "ana", "garcia lopez"),
        ("Ana Martín García", "ana", "martin garcia"),
        ("Juan Carlos Pérez", "juan carlos", "perez"),
        ("María José García López", "maria jose", "garcia lopez"),
        (
            "María del Carmen de la Fuente Ruiz",
            "maria carmen",
            "fuente ruiz",
        ),
        ("García López, María", "maria", "garcia lopez"),
        ("GARCÍA LÓPEZ, MARÍA JOSÉ", "maria jose", "garcia lopez"),
        ("Sr. D. Luis Ruiz", "d luis", "ruiz"),
        ("Dra. Luisa Ruiz", "luisa", "ruiz"),
        ("Conor O'Brien", "conor", "obrien"),
        ("Mª Luisa Gómez", "ma luisa", "gomez"),
        (
            "João Pedro Souza da Silva Costa",
            "joao pedro",
            "souza silva costa",
        ),
    ] {
        assert_eq!(
            whole(name),
            (given.to_owned(), surnames.to_owned()),
            "{name}"
        );
    }
}

#[test]
fn a_companys_name_is_no_persons() {
    for (name, company) in [
        ("Acme, S.L.", "acme"),
        ("Acme Ibérica SL", "acme iberica"),
        ("Bodegas Ruiz S.A.", "bodegas ruiz"),
        ("Pérez & Hijos", "perez & hijos"),
    ] {
        let firm = person(&json!({"name": name}));
        assert_eq!(
            (firm.full_name(), firm.company.as_deref()),
            (None, Some(company)),
            "{name}"
        );
    }
    assert_eq!(whole("Maria Sa"), ("maria".to_owned(), "sa".to_owned()));
}

#[test]
fn the_whole_name_completes_what_stands_apart() {
    let ana = person(&json!({"firstName": "Ana Belén", "name": "Ana Belén García Ruiz"}));
    assert_eq!(
        (ana.given.join(" "), ana.surnames.join(" ")),
        ("ana belen".into(), "garcia ruiz".into())
    );
    let ana = person(&json!({"lastName": "Santiago", "name": "Ana Belén Santiago"}));
    assert_eq!(
        (ana.given.join(" "), ana.surnames.join(" ")),
        ("ana belen".into(), "santiago".into())
    );
    let ana = person(&json!({"firstName": "Ana", "name": "Luis Ruiz"}));
    assert_eq!((ana.given.join(" "), ana.surnames.len()), ("ana".into(), 0));
}

const COMPATIBLE: [(&str, &str, &str, &str); 48] = [
    ("María", "García López", "maria", "GARCIA LOPEZ"),
    ("María", "García López", "María", "López García"),
    ("María", "García López", "María", "García"),
    ("Ana", "Souza Silva", "Ana", "Silva"),
    ("J.", "García", "José", "García López"),
    ("J. M.", "García", "José María", "García"),
    ("María", "García L.", "María", "García López"),
    ("Paco", "Ruiz", "Francisco", "Ruiz"),
    ("Paco", "Ruiz", "Kiko", "Ruiz"),
    ("Fco.", "Ruiz", "Francisco", "Ruiz"),
    ("Pepe", "Ruiz", "José", "Ruiz"),
    ("Lola", "Ruiz", "Dolores", "Ruiz"),
    ("Charo", "Ruiz", "Rosario", "Ruiz"),
    ("Nacho", "Ruiz", "Ignacio", "Ruiz"),
    ("Chema", "Ruiz", "José María", "Ruiz"),
    ("Mariví", "Ruiz", "María Victoria", "Ruiz"),
    ("Juanjo", "Ruiz", "Juan José", "Ruiz"),
    ("Maite", "Ruiz", "María Teresa", "Ruiz"),
    ("Toni", "Ruiz", "Antonio", "Ruiz"),
    ("Jordi", "Ruiz", "Jorge", "Ruiz"),
    ("Iñaki", "Ruiz", "Ignacio", "Ruiz"),
    ("Bob", "Smith", "Robert", "Smith"),
    ("Bill", "Smith", "William", "Smith"),
    ("Liz", "Smith", "Elizabeth", "Smith"),
    ("María José", "Ruiz", "María", "Ruiz"),
    ("Juan Carlos", "Ruiz", "Carlos", "Ruiz"),
    ("Mª Carmen", "Ruiz", "María del Carmen", "Ruiz"),
    ("Mª Carmen", "Ruiz", "Carmen", "Ruiz"),
    ("María Carmen", "Ruiz", "Mamen", "Ruiz"),
    ("Mariajosé", "Ruiz", "María José", "Ruiz"),
    ("Luismi", "Ruiz", "Luis Miguel", "Ruiz"),
    ("Gonzalo", "Ruiz", "Gonxalo", "Ruiz"),
    ("Alejandro", "Ruiz", "Alejnadro", "Ruiz"),
    ("Álvaro", "Sepúlveda", "Álvaro", "Sepúlbeda"),
    ("Elena", "Ruiz", "Helena", "Ruiz"),
    ("Ana", "Jiménez", "Ana", "Giménez"),
    ("Ana", "Vázquez", "Ana", "Básquez"),
    ("Ana", "Llorente", "Ana", "Yorente"),
    ("Ana", "Echeverría", "Ana", "Etxeberria"),
    ("Ana", "Fdez. Glez.", "Ana", "Fernández González"),
    ("Ana", "Fernándes", "Ana", "Fernández"),
    ("Ana", "Rodríguez", "Ana", "Rodrígue"),
    ("Ana", "De la Fuente", "Ana", "Fuente"),
    ("Ana", "García-López", "Ana", "García López"),
    ("Ana", "García y López", "Ana", "García López"),
    ("Conor", "O'Brien", "Conor", "O´Brien"),
    ("Martín", "Ruiz", "Ruiz", "Martín"),
    ("Lucía", "Fernanda Ruiz", "Lucía Fernanda", "Ruiz"),
];

const INCOMPATIBLE: [(&str, &str, &str, &str); 25] = [
    ("María", "García López", "Marta", "García López"),
    ("María", "García López", "Mario", "García López"),
    ("Ana", "García López", "Luis", "García López"),
    ("Daniel", "García", "Daniela", "García"),
    ("Fernando", "García", "Fernanda", "García"),
    ("Zoilo", "García", "Zoila", "García"),
    ("Antonio", "García", "Antonia", "García"),
    ("Julia", "García", "Julio", "García"),
    ("José María", "García", "María José", "García"),
    ("José María", "García", "María", "García"),
    ("María José", "García", "José", "García"),
    ("María Jesús", "García", "Jesús", "García"),
    ("José Luis", "García", "José Antonio", "García"),
    ("María Carmen", "García", "María Pilar", "García"),
    ("J.", "García", "Luis", "García"),
    ("M. J.", "García", "José María", "García"),
    ("Ana", "García", "Ana", "Ruiz"),
    ("Ana", "García López", "Ana", "García Pérez"),
    ("Ana", "García López", "Ana", "Ruiz Pérez"),
    ("Ana", "Martín", "Ana", "Marín"),
    ("Ana", "Ruiz", "Ana", "Ruz"),
    ("Ana", "García García", "Ana", "García López"),
    ("Paco", "Ruiz", "Pepe", "Ruiz"),
    ("Bob", "Smith", "Bill", "Smith"),
    ("Sara", "Ruiz", "Sarai", "Ruiz"),
];

#[test]
fn names_of_one_person_written_otherwise_are_compatible() {
    for (given, surnames, other_given, other_surnames) in COMPATIBLE {
        let (one, other) = (named(given, surnames), named(other_given, other_surnames));
        assert!(
            one.names_compatible(&other) && other.names_compatible(&one),
            "{one:?} {other:?}"
        );
    }
}

#[test]
fn names_of_relatives_and_strangers_are_not_compatible() {
    for (given, surnames, other_given, other_surnames) in INCOMPATIBLE {
        let (one, other) = (named(given, surnames), named(other_given, other_surnames));
        assert!(
            !one.names_compatible(&other) && !other.names_compatible(&one),
            "{one:?} {other:?}"
        );
    }
}

#[test]
fn half_a_name_contradicts_nobody() {
    let full = named("Ana", "Ruiz");
    for half in [named("Luis", ""), named("", "Gil"), Person::default()] {
        assert!(full.names_compatible(&half) && half.names_compatible(&full));
        assert_eq!(half.name_key(), None);
    }
}

#[test]
fn the_key_of_a_name_is_the_same_however_it_is_written() {
    for (given, surnames, other_given, other_surnames) in [
        ("Paco", "García López", "FRANCISCO", "Lopez Garcia"),
        ("Chema", "Giménez", "José María", "Jiménez"),
        ("Elena", "Fdez.", "Helena", "Fernández"),
    ] {
        let (one, other) = (named(given, surnames), named(other_given, other_surnames));
        assert_eq!(one.name_key(), other.name_key());
        assert!(one.name_key().is_some());
    }
    assert_ne!(
        named("Ana", "Ruiz").name_key(),
        named("Eva", "Ruiz").name_key()
    );
}

#[test]
fn folded_text_has_no_accents() {
    for (text, folded) in [
        ("  ÑANDÚ \t Ágil ", "nandu agil"),
        ("Straße", "strasse"),
        ("ŁÓDŹ", "lodz"),
        ("İstanbul", "istanbul"),
        ("ﬁn Ⅷ", "fin viii"),
        ("Ａｎａ", "ana"),
    ] {
        assert_eq!(fold(text), folded);
    }
}

#[test]
fn the_tables_are_sorted_and_folded() {
    use super::tables::{ABBREVIATED_SURNAMES, COMPOUNDS, GIVEN, NICKNAMES, SURNAMES};
    fn check(keys: &[&str]) {
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            keys.iter()
                .all(|key| fold(key) == *key && !key.contains(' '))
        );
    }
    check(&NICKNAMES.iter().map(|row| row.0).collect::<Vec<_>>());
    check(&COMPOUNDS.iter().map(|row| row.0).collect::<Vec<_>>());
    check(
        &ABBREVIATED_SURNAMES
            .iter()
            .map(|row| row.0)
            .collect::<Vec<_>>(),
    );
    check(GIVEN);
    check(SURNAMES);
    assert!(COMPOUNDS.iter().all(|row| {
        NICKNAMES
            .binary_search_by_key(&row.0, |nick| nick.0)
            .is_err()
    }));
}

fn given() -> impl Strategy<Value = String> {
    prop_oneof![
        "(María|José|Juan|J\\.|Ana|Luis|Chema|Paco|Carmen|M\\.|Mariví|Helena|Elena|Daniela|Daniel)( (María|José|Luis|Carmen|M\\.|del Carmen))?",
        "[a-fé]{1,7}( [a-f]{1,6}){0,2}",
        any::<String>(),
    ]
}

fn surnames() -> impl Strategy<Value = String> {
    prop_oneof![
        "(García|Garzía|Gracía|López|Lopes|Fdez|G\\.|Martín|Marín|Ruiz)( (García|López|L\\.|Jiménez|Giménez)){0,3}",
        "[a-fh]{1,7}( [a-f]{1,6}){0,3}",
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn compatibility_is_symmetric_and_reflexive(a in given(), b in surnames(), c in given(), d in surnames()) {
        let (one, other) = (named(&a, &b), named(&c, &d));
        prop_assert!(one.names_compatible(&one) && other.names_compatible(&other));
        prop_assert_eq!(one.names_compatible(&other), other.names_compatible(&one));
    }

    #[test]
    fn folding_folded_text_changes_nothing(text in any::<String>()) {
        let folded = fold(&text);
        prop_assert_eq!(fold(&folded), folded);
    }

    #[test]
    fn no_traits_make_it_panic(text in any::<String>(), date in "[0-9./T -]{0,12}", name in "\\PC{0,40}") {
        let person = person(&json!({"firstName": text, "lastName": name, "name": name, "birthday": date, "gender": text,
            "company": name, "address": {"street": text, "city": text, "postalCode": date, "state": name, "country": text}}));
        let _ = (person.is_empty(), person.name_key());
        let other = Person::from_traits(json!({"name": text, "birthday": text, "address": name}).as_object().expect("an object"));
        prop_assert_eq!(person.names_compatible(&other), other.names_compatible(&person));
    }

    #[test]
    fn a_person_read_again_from_its_own_names_is_the_same(a in given(), b in surnames()) {
        let one = named(&a, &b);
        let again = named(&one.given.join(" "), &one.surnames.join(" "));
        prop_assert_eq!(one, again);
    }
}

#[test]
fn no_name_is_none_whatever_stands_beside_it() {
    for name in ["xx", "(null)", "- Test -", "de xx", "Xx\u{fffc}", "n/a"] {
        assert_eq!(named(name, "García").given, [""; 0], "{name}");
    }
    assert_eq!(named("Test Ana", "García").given, ["test", "ana"]);
}

#[test]
fn an_apostrophe_is_one_in_whatever_form_it_comes() {
    for name in ["O'Brien", "O’Brien", "O＇Brien", "OʼBrien"] {
        assert_eq!(named(name, "García").given, ["obrien"], "{name}");
    }
    assert_eq!(named("ŉ", "García").given, ["n"]);
    assert!(named("＇ null", "García").given.is_empty());
}

#[test]
fn a_postal_code_is_one_however_its_number_is_written() {
    let code = |text: &str| person(&serde_json::from_str(text).unwrap()).postal_code;
    let written = code(r#"{"address":{"postalCode":28001.0}}"#);
    assert_eq!(written.as_deref(), Some("28001"));
    assert_eq!(written, code(r#"{"address":{"postalCode":28001}}"#));
    assert_eq!(written, code(r#"{"address":{"postalCode":"28001"}}"#));
}
