//! Laws of normal forms, tried on many texts.

use proptest::prelude::*;

use super::tests::{at, wrong};
use super::*;

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

fn countries() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "ES", "CL", "AR", "MX", "BR", "CO", "US", "GB", "IT", "FR", "", "zz", "ñ",
    ])
}

/// Texts that often are identifiers, and often nearly.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9]{1,14}",
        "[+]?[0-9 .()-]{5,18}",
        "[+](54|549|52|521|34|1|39|55|56)[0-9]{8,11}",
        "[XYZKLM0-9][0-9]{6,7}[A-Z]",
        "[0-9.]{1,10}-[0-9K]",
        "(20|27|30)[0-9]{9}",
        "[A-Z]{4}[0-9]{6}[HM][A-Z]{5}[0-9A-Z][0-9]",
        "[a-zA-Z0-9.+_éñÑİßΣ-]{1,12}@[a-zA-Z0-9éñßİ.-]{1,12}\\.[a-z]{2,4}",
        "\\PC{0,20}@\\PC{0,12}\\.\\PC{2,5}",
        "[a-zA-Z0-9 éñİßŉǰ_-]{1,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_normal_form_is_its_own_normal_form(kind in kinds(), raw in texts(), country in countries()) {
        if let Ok(identifier) = normalise(kind, &raw, &at(country)) {
            let home = match kind {
                Kind::NationalId => Document::ALL.into_iter().find(|d| d.scope() == identifier.scope).unwrap().country(),
                _ => country,
            };
            prop_assert_eq!(normalise(kind, &identifier.value, &at(home)), Ok(identifier.clone()));
            prop_assert_eq!(identifier.value.trim(), &identifier.value);
            prop_assert_eq!(parse_lookup(&identifier.to_lookup(), &at(home)), Ok(identifier));
        }
    }

    #[test]
    fn no_text_makes_it_panic(raw in any::<String>(), country in any::<String>(), namespace in any::<String>()) {
        let place = Place { country: &country, namespace: &namespace };
        for kind in Kind::ALL {
            if let Err(invalid) = normalise(kind, &raw, &place) {
                prop_assert!(!invalid.sentence_es().is_empty());
            }
        }
        let _ = parse_lookup(&raw, &place);
    }

    #[test]
    fn one_wrong_digit_or_letter_in_a_dni_never_validates(number in 0u32..100_000_000, place in 0usize..9, other in "[0-9][0-9A-Z]") {
        let letter = letter_of(number);
        let right = format!("{number:08}{letter}");
        let mut mistaken = right.clone();
        // Digits are mistaken for digits; the letter for anything.
        let other = if place < 8 { &other[..1] } else { &other[1..] };
        mistaken.replace_range(place..=place, other);
        if mistaken != right {
            prop_assert!(normalise(Kind::NationalId, &mistaken, &at("ES")).is_err(), "{}", mistaken);
        }
    }

    #[test]
    fn separators_change_nothing(number in 1u32..49_999_999, country in countries()) {
        let dni = format!("{number:08}{}", letter_of(number));
        let dotted = format!("{}.{}.{}-{}", &dni[..2], &dni[2..5], &dni[5..8], dni[8..].to_lowercase());
        prop_assert_eq!(
            normalise(Kind::NationalId, &dni, &at(country)),
            normalise(Kind::NationalId, &dotted, &at(country))
        );
        let phone = format!("6{number:08}");
        let spaced = format!("(6{}) {}-{}", &phone[1..3], &phone[3..6], &phone[6..]);
        prop_assert_eq!(normalise(Kind::Phone, &phone, &at(country)), normalise(Kind::Phone, &spaced, &at(country)));
    }
}

/// The letter of a DNI, asked of the code by giving none.
fn letter_of(number: u32) -> char {
    let invalid = wrong(Kind::NationalId, &format!("{number:08}"), "ES");
    invalid
        .suggestion()
        .and_then(|right| right.chars().last())
        .unwrap()
}
