use crate::identifier::tests::{at, value, wrong};
use crate::identifier::*;

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
