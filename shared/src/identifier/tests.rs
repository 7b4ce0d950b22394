use proptest::prelude::*;

use super::*;

fn at(country: &'static str) -> Place<'static> {
    Place {
        country,
        namespace: "",
    }
}

fn value(kind: Kind, raw: &str, country: &'static str) -> String {
    match normalise(kind, raw, &at(country)) {
        Ok(identifier) => identifier.value,
        Err(invalid) => panic!("{kind} {raw:?} in {country}: {invalid}"),
    }
}

fn wrong(kind: Kind, raw: &str, country: &'static str) -> Invalid {
    match normalise(kind, raw, &at(country)) {
        Ok(identifier) => panic!("{kind} {raw:?} in {country} gave {identifier:?}"),
        Err(invalid) => invalid,
    }
}

#[test]
fn the_names_of_kinds_are_the_contracts_and_read_back() {
    let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(
        names,
        [
            "nationalId",
            "accountId",
            "loyaltyId",
            "userId",
            "badgeId",
            "email",
            "phone",
            "anonymousId"
        ]
    );
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(
            serde_json::to_string(&kind).unwrap(),
            format!("\"{}\"", kind.name())
        );
    }
    assert_eq!("Email".parse::<Kind>(), Err(Invalid::UnknownKind));
}

#[test]
fn ids_of_issuers_live_in_the_namespace_and_telephones_and_emails_do_not() {
    let place = Place {
        country: "ES",
        namespace: "shop",
    };
    for kind in [
        Kind::UserId,
        Kind::AccountId,
        Kind::LoyaltyId,
        Kind::BadgeId,
        Kind::AnonymousId,
    ] {
        assert_eq!(normalise(kind, "A7", &place).unwrap().scope, "shop");
    }
    assert_eq!(normalise(Kind::Email, "a@x.org", &place).unwrap().scope, "");
    assert_eq!(
        normalise(Kind::Phone, "600111222", &place).unwrap().scope,
        ""
    );
}

#[test]
fn a_login_keeps_its_case_and_a_card_does_not() {
    assert_eq!(value(Kind::UserId, "  Ana-1 ", "ES"), "Ana-1");
    assert_eq!(value(Kind::LoyaltyId, "ab-12 34", "ES"), "AB1234");
    assert_eq!(value(Kind::BadgeId, "e\u{301}7", "ES"), "É7");
}

#[test]
fn a_number_as_text_is_a_fine_id() {
    assert_eq!(value(Kind::UserId, "7", "ES"), "7");
    assert_eq!(value(Kind::AccountId, "10000", "ES"), "10000");
}

#[test]
fn what_programs_write_for_nobody_is_blocked() {
    for junk in [
        "null",
        "NULL",
        "undefined",
        "None",
        "NaN",
        "n/a",
        "0",
        "-1",
        "anonymous",
        "test",
        "unknown",
        "000000",
        "1111-1111",
        "---",
        "00000000-0000-0000-0000-000000000000",
        "[object Object]",
    ] {
        assert_eq!(
            wrong(Kind::UserId, junk, "ES"),
            Invalid::Blocked { kind: Kind::UserId },
            "{junk}"
        );
    }
    assert_eq!(
        wrong(Kind::LoyaltyId, "0000 0000", "ES"),
        Invalid::Blocked {
            kind: Kind::LoyaltyId
        }
    );
    assert_eq!(
        wrong(Kind::UserId, " \u{200b} ", "ES"),
        Invalid::Empty { kind: Kind::UserId }
    );
    assert_eq!(
        wrong(Kind::UserId, "a\nb", "ES"),
        Invalid::Control { kind: Kind::UserId }
    );
    assert!(matches!(
        wrong(Kind::UserId, &"a".repeat(257), "ES"),
        Invalid::TooLong { .. }
    ));
}

#[test]
fn an_email_is_one_address_however_it_is_typed() {
    for raw in [
        "ana@x.org",
        " Ana@X.ORG ",
        "mailto:ana@x.org?subject=hi",
        "MAILTO:ana@x.org",
        "\u{feff}ana@x.org",
    ] {
        assert_eq!(value(Kind::Email, raw, "ES"), "ana@x.org");
    }
    assert_eq!(
        value(Kind::Email, "José@España.es", "ES"),
        "josé@xn--espaa-rta.es"
    );
    assert_eq!(
        value(Kind::Email, "jose\u{301}@xn--espaa-rta.es", "ES"),
        "josé@xn--espaa-rta.es"
    );
    assert_eq!(
        value(Kind::Email, "a.b+c@gmail.com", "ES"),
        "a.b+c@gmail.com"
    );
}

#[test]
fn what_is_no_email_says_which_part_is_wrong() {
    assert_eq!(wrong(Kind::Email, "ana.x.org", "ES"), Invalid::EmailAt);
    assert_eq!(wrong(Kind::Email, "ana@b@x.org", "ES"), Invalid::EmailAt);
    assert_eq!(wrong(Kind::Email, "@x.org", "ES"), Invalid::EmailAt);
    assert_eq!(
        wrong(Kind::Email, "ana maria@x.org", "ES"),
        Invalid::EmailLocal
    );
    assert_eq!(
        wrong(Kind::Email, "ana..m@x.org", "ES"),
        Invalid::EmailLocal
    );
    for domain in [
        "x", "x.", "x..org", "-x.org", "x.o", "1.2.3.4", "x_y.org", "x y.org",
    ] {
        assert_eq!(
            wrong(Kind::Email, &format!("ana@{domain}"), "ES"),
            Invalid::EmailDomain,
            "{domain}"
        );
    }
    let long = format!("{}@x.org", "a".repeat(65));
    assert_eq!(wrong(Kind::Email, &long, "ES"), Invalid::EmailLocal);
}

#[test]
fn an_email_of_nobody_is_blocked_and_a_shared_one_is_not() {
    for junk in [
        "test@test.com",
        "noreply@shop.es",
        "NO-REPLY@x.org",
        "a@a.es",
        "asdf@asdf.com",
        "null@x.org",
    ] {
        assert_eq!(
            wrong(Kind::Email, junk, "ES"),
            Invalid::Blocked { kind: Kind::Email },
            "{junk}"
        );
    }
    assert_eq!(value(Kind::Email, "info@shop.es", "ES"), "info@shop.es");
    assert_eq!(
        value(Kind::Email, "ana@example.com", "ES"),
        "ana@example.com"
    );
}

#[test]
fn a_typing_mistake_in_a_providers_name_is_offered_for_correction() {
    let suggest = |raw: &str| email::suggest(&normalise(Kind::Email, raw, &at("ES")).unwrap());
    for raw in [
        "ana@gmial.com",
        "ana@gmail.con",
        "ana@gmail.co",
        "ana@gamil.com",
        "ana@gmai.com",
        "ana@gmail.es",
    ] {
        assert_eq!(suggest(raw).as_deref(), Some("ana@gmail.com"), "{raw}");
    }
    assert_eq!(suggest("ana@hotmial.es").as_deref(), Some("ana@hotmail.es"));
    assert_eq!(suggest("ana@firma.con").as_deref(), Some("ana@firma.com"));
    for raw in [
        "ana@gmail.com",
        "ana@hotmail.fr",
        "ana@email.com",
        "ana@x.org",
        "ana@gmx.net",
        "ana@yahoo.fr",
    ] {
        assert_eq!(suggest(raw), None, "{raw}");
    }
}

#[test]
fn a_spanish_telephone_has_one_form() {
    for raw in [
        "600111222",
        "600 11 12 22",
        "600.111.222",
        "600-111-222",
        "+34600111222",
        "+34 (600) 111 222",
        "0034 600 111 222",
        "34600111222",
        "tel:+34-600-111-222",
        "\u{202a}+34 600\u{a0}111\u{a0}222\u{202c}",
    ] {
        assert_eq!(value(Kind::Phone, raw, "ES"), "+34600111222", "{raw}");
    }
    assert_eq!(value(Kind::Phone, "915 55 12 34", "es"), "+34915551234");
    assert_eq!(value(Kind::Phone, "+34600111222", ""), "+34600111222");
}

#[test]
fn a_mobile_of_argentina_or_mexico_has_one_form_with_and_without_its_mobile_digit() {
    for raw in [
        "+54 9 11 2345-6789",
        "+54 11 2345-6789",
        "011 15 2345-6789",
        "11 15 2345 6789",
        "11 2345 6789",
        "0054 9 11 2345 6789",
    ] {
        assert_eq!(value(Kind::Phone, raw, "AR"), "+541123456789", "{raw}");
    }
    for raw in [
        "+52 1 55 1234 5678",
        "+52 55 1234 5678",
        "55 1234 5678",
        "044 55 1234 5678",
        "1 55 1234 5678",
        "52 1 55 1234 5678",
    ] {
        assert_eq!(value(Kind::Phone, raw, "MX"), "+525512345678", "{raw}");
    }
}

#[test]
fn telephones_of_other_countries_are_read_by_the_place() {
    assert_eq!(value(Kind::Phone, "9 8765 4320", "CL"), "+56987654320");
    assert_eq!(
        value(Kind::Phone, "(11) 96123-4567", "BR"),
        "+5511961234567"
    );
    assert_eq!(value(Kind::Phone, "300 123 4567", "CO"), "+573001234567");
    assert_eq!(value(Kind::Phone, "06 12 34 56 78", "FR"), "+33612345678");
    assert_eq!(value(Kind::Phone, "(415) 867-5309", "US"), "+14158675309");
    // Italian land lines keep their zero.
    assert_eq!(value(Kind::Phone, "06 6982 1234", "IT"), "+390669821234");
    assert_eq!(
        value(Kind::Phone, "+44 (0)20 7946 0958", "ES"),
        "+442079460958"
    );
}

#[test]
fn what_is_no_telephone_says_why() {
    assert_eq!(wrong(Kind::Phone, "60011122", "ES"), Invalid::PhoneLength);
    assert_eq!(wrong(Kind::Phone, "6001112223", "ES"), Invalid::PhoneLength);
    assert_eq!(wrong(Kind::Phone, "212345678", "ES"), Invalid::PhoneRange);
    assert_eq!(wrong(Kind::Phone, "ana", "ES"), Invalid::PhoneCharacters);
    assert_eq!(
        wrong(Kind::Phone, "600 111 22O", "ES"),
        Invalid::PhoneCharacters
    );
    assert_eq!(
        wrong(Kind::Phone, "915551234 ext. 12", "ES"),
        Invalid::PhoneExtension
    );
    assert_eq!(
        wrong(Kind::Phone, "915551234x12", "ES"),
        Invalid::PhoneExtension
    );
    assert_eq!(wrong(Kind::Phone, "600111222", ""), Invalid::PhoneCountry);
    assert_eq!(wrong(Kind::Phone, "600111222", "??"), Invalid::PhoneCountry);
    assert_eq!(
        wrong(Kind::Phone, "+999 600111222", "ES"),
        Invalid::PhoneCountry
    );
}

#[test]
fn a_telephone_of_nobody_is_blocked() {
    for junk in [
        "600000000",
        "666666666",
        "+34123456789",
        "+34 000 000 000",
        "900000000",
    ] {
        assert_eq!(
            wrong(Kind::Phone, junk, "ES"),
            Invalid::Blocked { kind: Kind::Phone },
            "{junk}"
        );
    }
}

#[test]
fn the_vectors_of_every_document_are_valid_at_home() {
    for (raw, country, scope, bare) in [
        ("12345678Z", "ES", "ES-DNI", "12345678Z"),
        ("12.345.678-z", "ES", "ES-DNI", "12345678Z"),
        ("DNI 12345678Z", "ES", "ES-DNI", "12345678Z"),
        ("ES-DNI:12345678Z", "CL", "ES-DNI", "12345678Z"),
        ("1234567L", "ES", "ES-DNI", "01234567L"),
        ("01234567L", "ES", "ES-DNI", "01234567L"),
        ("X1234567L", "ES", "ES-NIE", "X1234567L"),
        ("x-1234567-l", "ES", "ES-NIE", "X1234567L"),
        ("X01234567L", "ES", "ES-NIE", "X1234567L"),
        ("Y1234567X", "ES", "ES-NIE", "Y1234567X"),
        ("Z1234567R", "ES", "ES-NIE", "Z1234567R"),
        ("12.345.678-5", "CL", "CL-RUT", "123456785"),
        ("6-K", "CL", "CL-RUT", "6K"),
        ("006-k", "CL", "CL-RUT", "6K"),
        ("20-12345678-6", "AR", "AR-CUIT", "20123456786"),
        ("HEGG560427MVZRRL04", "MX", "MX-CURP", "HEGG560427MVZRRL04"),
        ("111.444.777-35", "BR", "BR-CPF", "11144477735"),
    ] {
        let identifier =
            normalise(Kind::NationalId, raw, &at(country)).unwrap_or_else(|e| panic!("{raw}: {e}"));
        assert_eq!(
            (identifier.scope.as_str(), identifier.value.as_str()),
            (scope, bare),
            "{raw}"
        );
    }
}

#[test]
fn a_foreigners_document_is_known_by_its_shape() {
    for (raw, scope) in [
        ("12345678Z", "ES-DNI"),
        ("X1234567L", "ES-NIE"),
        ("12.345.678-5", "CL-RUT"),
        ("20-12345678-6", "AR-CUIT"),
        ("HEGG560427MVZRRL04", "MX-CURP"),
        ("111.444.777-35", "BR-CPF"),
    ] {
        for country in ["ES", "CL", "AR", "MX", "BR", "FR", ""] {
            if (raw.len(), country) == (13, "BR") && scope == "AR-CUIT"
                || scope == "BR-CPF" && country == "AR"
            {
                continue;
            }
            let identifier = normalise(Kind::NationalId, raw, &at(country))
                .unwrap_or_else(|e| panic!("{raw} {country}: {e}"));
            assert_eq!(identifier.scope, scope, "{raw} in {country}");
        }
    }
}

#[test]
fn a_companys_number_never_identifies_a_person() {
    for (raw, country) in [
        ("A58818501", "ES"),
        ("A58818501", "CL"),
        ("CIF A-58818501", "ES"),
        ("800197268-4", "CO"),
        ("NIT 800197268-4", "ES"),
        ("30-50001091-2", "AR"),
        ("11.222.333/0001-81", "BR"),
        ("96.790.240-3", "CL"),
    ] {
        assert_eq!(
            wrong(Kind::NationalId, raw, country),
            Invalid::Company,
            "{raw}"
        );
    }
    assert_eq!(
        wrong(Kind::NationalId, "A58818502", "ES"),
        Invalid::DocumentUnknown
    );
}

#[test]
fn a_wrong_check_letter_comes_with_the_right_one() {
    let invalid = wrong(Kind::NationalId, "12345678A", "ES");
    assert_eq!(invalid.suggestion().as_deref(), Some("12345678Z"));
    assert_eq!(
        invalid.sentence_es(),
        "La letra del DNI no corresponde: revise todas las cifras"
    );
    assert!(!invalid.sentence_en().contains("12345678"));
    assert_eq!(
        wrong(Kind::NationalId, "12345678", "ES")
            .suggestion()
            .as_deref(),
        Some("12345678Z")
    );
    assert_eq!(
        wrong(Kind::NationalId, "X1234567A", "ES")
            .suggestion()
            .as_deref(),
        Some("X1234567L")
    );
    assert_eq!(
        wrong(Kind::NationalId, "12345678-4", "CL")
            .suggestion()
            .as_deref(),
        Some("123456785")
    );
    assert_eq!(
        wrong(Kind::NationalId, "20-12345678-5", "AR")
            .suggestion()
            .as_deref(),
        Some("20123456786")
    );
    assert_eq!(
        wrong(Kind::NationalId, "111.444.777-36", "BR")
            .suggestion()
            .as_deref(),
        Some("11144477735")
    );
    assert_eq!(
        wrong(Kind::NationalId, "HEGG560427MVZRRL05", "MX")
            .suggestion()
            .as_deref(),
        Some("HEGG560427MVZRRL04")
    );
}

#[test]
fn a_documents_filler_is_blocked_and_the_manuals_vector_is_not() {
    for (raw, country) in [
        ("00000000T", "ES"),
        ("0T", "ES"),
        ("99999999R", "ES"),
        ("X0000000T", "ES"),
        ("11.111.111-1", "CL"),
        ("111.111.111-11", "BR"),
        ("XEXX010101HNEXXXA4", "MX"),
    ] {
        assert_eq!(
            wrong(Kind::NationalId, raw, country),
            Invalid::Blocked {
                kind: Kind::NationalId
            },
            "{raw}"
        );
    }
    assert_eq!(value(Kind::NationalId, "12345678Z", "ES"), "12345678Z");
}

#[test]
fn a_spanish_telephone_is_nobodys_document() {
    for raw in [
        "600111222",
        "+34600111222",
        "34600111222",
        "ana",
        "12",
        "P@ssport",
    ] {
        assert!(
            normalise(Kind::NationalId, raw, &at("ES")).is_err(),
            "{raw}"
        );
    }
}

#[test]
fn a_lookup_reads_what_a_record_shows() {
    let place = at("ES");
    for (kind, raw, country) in [
        (Kind::Email, "Ana+x@x.org", "ES"),
        (Kind::Phone, "600111222", "ES"),
        (Kind::NationalId, "12345678Z", "ES"),
        (Kind::NationalId, "6-K", "CL"),
        (Kind::NationalId, "123456785", "CL"),
        (Kind::UserId, "a:b/100% ñ", "ES"),
    ] {
        let identifier = normalise(kind, raw, &at(country)).unwrap();
        assert_eq!(
            parse_lookup(&identifier.to_lookup(), &place),
            Ok(identifier.clone())
        );
        assert_eq!(
            parse_lookup(&identifier.to_string(), &place),
            Ok(identifier)
        );
    }
    assert_eq!(
        parse_lookup("email:ana%40x.org", &place).unwrap().value,
        "ana@x.org"
    );
    assert_eq!(
        parse_lookup("phone: 34600111222", &place).unwrap().value,
        "+34600111222"
    );
    assert_eq!(parse_lookup("email", &place), Err(Invalid::LookupColon));
    assert_eq!(parse_lookup("mail:x", &place), Err(Invalid::UnknownKind));
    assert_eq!(
        parse_lookup("userId:%ff", &place),
        Err(Invalid::LookupEncoding)
    );
}

#[test]
fn every_reason_speaks_two_languages() {
    for invalid in [
        wrong(Kind::Email, "", "ES"),
        wrong(Kind::Email, "x", "ES"),
        wrong(Kind::Phone, "1", "ES"),
        wrong(Kind::NationalId, "1A", "ES"),
        wrong(Kind::NationalId, "A58818501", "ES"),
        wrong(Kind::UserId, "null", "ES"),
    ] {
        assert!(
            !invalid.sentence_es().is_empty() && invalid.sentence_es() != invalid.sentence_en()
        );
        assert!(
            invalid.sentence_es().starts_with(char::is_uppercase),
            "{}",
            invalid.sentence_es()
        );
    }
}

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

/// Not a law but a figure: run with `--ignored --nocapture`.
#[test]
#[ignore = "prints how long a normal form takes"]
fn how_long_a_normal_form_takes() {
    for (kind, raw) in [
        (Kind::Email, "Ana.Garcia@Example.com"),
        (Kind::Phone, "600 11 12 22"),
        (Kind::Phone, "+34600111222"),
        (Kind::NationalId, "12345678Z"),
        (Kind::UserId, "ana-1234567"),
        (Kind::LoyaltyId, "ab-1234 5678"),
    ] {
        let _ = normalise(kind, raw, &at("ES"));
        let begun = std::time::Instant::now();
        for _ in 0..20_000 {
            let _ = std::hint::black_box(normalise(kind, std::hint::black_box(raw), &at("ES")));
        }
        println!("{kind} {raw}: {} ns", begun.elapsed().as_nanos() / 20_000);
    }
}
