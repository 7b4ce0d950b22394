use super::*;

pub(super) fn at(country: &'static str) -> Place<'static> {
    Place {
        country,
        namespace: "",
    }
}

pub(super) fn value(kind: Kind, raw: &str, country: &'static str) -> String {
    match normalise(kind, raw, &at(country)) {
        Ok(identifier) => identifier.value,
        Err(invalid) => panic!("{kind} {raw:?} in {country}: {invalid}"),
    }
}

pub(super) fn wrong(kind: Kind, raw: &str, country: &'static str) -> Invalid {
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
