//! Chile, Argentina, Mexico and Brazil: RUT, CUIT, CURP, CPF; and the companies' numbers CNPJ and NIT (Colombia).

use super::{Document, Invalid, Reading, all_digits, digit, text};

/// RUTs from here on are companies'.
const RUT_COMPANY_MIN: u32 = 50_000_000;

/// Chile. Up to eight digits and a check digit of modulus 11, where K stands for 10.
pub(super) fn rut(body: &[u8]) -> Reading {
    let Some((last, digits)) = body.split_last() else {
        return Reading::No;
    };
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    let digits = &digits[zeros..];
    let shape = all_digits(digits)
        && (1..=8).contains(&digits.len())
        && (last.is_ascii_digit() || *last == b'K');
    if !shape {
        return Reading::No;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7, 2, 3])
        .map(|(byte, weight)| digit(*byte) * weight)
        .sum();
    let check = b"0K987654321"[(sum % 11) as usize];
    let stem = text(digits);
    if check != *last {
        return wrong(Document::ClRut, format!("{stem}{}", char::from(check)));
    }
    if number(digits) >= RUT_COMPANY_MIN {
        return Reading::Company;
    }
    Reading::Person(Document::ClRut, format!("{stem}{}", char::from(check)))
}

/// Argentina. Two digits of type, eight of the DNI, one check digit of modulus 11.
pub(super) fn cuit(body: &[u8]) -> Reading {
    if body.len() != 11 || !all_digits(body) {
        return Reading::No;
    }
    let company = match &body[..2] {
        b"20" | b"23" | b"24" | b"25" | b"26" | b"27" => false,
        b"30" | b"33" | b"34" => true,
        _ => return Reading::No,
    };
    let sum = weighted(&body[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
    // A remainder of 1 has no check digit: such numbers were issued with another type.
    let check = match sum % 11 {
        0 => Some(b'0'),
        1 => None,
        rest => Some(b'0' + (11 - rest) as u8),
    };
    match (check, company) {
        (Some(check), true) if check == body[10] => Reading::Company,
        (Some(check), false) if check == body[10] => Reading::Person(Document::ArCuit, text(body)),
        (check, _) => Reading::Wrong(Invalid::CheckDigit {
            document: Document::ArCuit,
            right: check.map(|check| format!("{}{}", text(&body[..10]), char::from(check))),
        }),
    }
}

/// Whether it has a CURP's letters and digits in the right places.
pub(super) fn is_curp_shape(body: &[u8]) -> bool {
    body.len() == 18
        && body[..4].iter().all(u8::is_ascii_uppercase)
        && all_digits(&body[4..10])
        && body[10..16].iter().all(u8::is_ascii_uppercase)
        && body[17].is_ascii_digit()
}

/// Two-letter codes of a CURP's place of birth (RENAPO); NE is abroad.
const CURP_STATES: &[u8] = b"ASBCBSCCCLCMCSCHDFDGGTGRHGJCMCMNMSNTNLOCPLQTQRSPSLSRTCTSTLVZYNZSNE";

/// Mexico. Letters of the name, date of birth, sex, place of birth, consonants, a character of the register, a check digit.
pub(super) fn curp(body: &[u8]) -> Reading {
    if !is_curp_shape(body) {
        return Reading::No;
    }
    let (month, day) = (number(&body[6..8]), number(&body[8..10]));
    let possible = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && matches!(body[10], b'H' | b'M' | b'X')
        && CURP_STATES
            .chunks_exact(2)
            .any(|state| state == &body[11..13]);
    if !possible {
        return Reading::Wrong(Invalid::DocumentShape {
            document: Document::MxCurp,
        });
    }
    let sum: u32 = body[..17]
        .iter()
        .zip((2..=18).rev())
        .map(|(byte, weight)| curp_value(*byte) * weight)
        .sum();
    let check = b'0' + ((10 - sum % 10) % 10) as u8;
    if check == body[17] {
        Reading::Person(Document::MxCurp, text(body))
    } else {
        wrong(
            Document::MxCurp,
            format!("{}{}", text(&body[..17]), char::from(check)),
        )
    }
}

/// The value of a character: its place in the alphabet with Ñ, after the digits.
fn curp_value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => digit(byte),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte.wrapping_sub(b'A')) + 11,
    }
}

/// Brazil. Nine digits and two check digits of modulus 11.
pub(super) fn cpf(body: &[u8]) -> Reading {
    if body.len() != 11 || !all_digits(body) {
        return Reading::No;
    }
    let first = cpf_check(weighted(&body[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]));
    let second = cpf_check(weighted(&body[..9], &[11, 10, 9, 8, 7, 6, 5, 4, 3]) + digit(first) * 2);
    if body[9..] == [first, second] {
        Reading::Person(Document::BrCpf, text(body))
    } else {
        wrong(
            Document::BrCpf,
            format!(
                "{}{}{}",
                text(&body[..9]),
                char::from(first),
                char::from(second)
            ),
        )
    }
}

/// Brazil, companies. Twelve digits and two check digits of modulus 11.
pub(super) fn cnpj(body: &[u8]) -> Reading {
    if body.len() != 14 || !all_digits(body) {
        return Reading::No;
    }
    let first = cpf_check(weighted(&body[..12], &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
    let second =
        cpf_check(weighted(&body[..12], &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3]) + digit(first) * 2);
    if body[12..] == [first, second] {
        Reading::Company
    } else {
        Reading::Wrong(Invalid::DocumentUnknown)
    }
}

/// Colombia, companies: nine digits that begin with 8 or 9 and a check digit of modulus 11. Persons' NITs are their
/// cédula, which has no check digit and is not read here.
pub(super) fn nit(body: &[u8]) -> Reading {
    if body.len() != 10 || !all_digits(body) || !matches!(body[0], b'8' | b'9') {
        return Reading::No;
    }
    let check = match weighted(&body[..9], &[41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11 {
        rest @ 0..=1 => rest,
        rest => 11 - rest,
    };
    if check == digit(body[9]) {
        Reading::Company
    } else {
        Reading::No
    }
}

fn cpf_check(sum: u32) -> u8 {
    match sum % 11 {
        0 | 1 => b'0',
        rest => b'0' + (11 - rest) as u8,
    }
}

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(byte, weight)| digit(*byte) * weight)
        .sum()
}

fn number(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |number, byte| number * 10 + digit(*byte))
}

fn wrong(document: Document, right: String) -> Reading {
    Reading::Wrong(Invalid::CheckDigit {
        document,
        right: Some(right),
    })
}
