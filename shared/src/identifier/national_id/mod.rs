//! National ids of persons: DNI and NIE (Spain), RUT (Chile), CUIT/CUIL (Argentina), CURP (Mexico), CPF (Brazil).
//!
//! Owns guessing the document from its shape, its check digit and its normal form: capitals without separators. What
//! looks like a document of the place's own country is judged as that and nothing else, so that a mistyped DNI is never
//! taken for somebody else's RUT. A right check digit proves typing, not identity. Companies' numbers (CIF, NIT, CNPJ,
//! a company's CUIT or RUT) are recognised and refused: they never link persons.

mod es;
mod latam;

use std::fmt;

use super::{Invalid, Kind, blocked};

/// A national id of a person that is understood here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Document {
    /// Documento nacional de identidad, Spain; also the NIF that begins with K or L.
    EsDni,
    /// Número de identidad de extranjero, Spain; also the NIF that begins with M.
    EsNie,
    /// Rol único tributario (or nacional), Chile.
    ClRut,
    /// Clave única de identificación tributaria (or laboral), Argentina.
    ArCuit,
    /// Clave única de registro de población, Mexico.
    MxCurp,
    /// Cadastro de pessoas físicas, Brazil.
    BrCpf,
}

impl Document {
    /// Every document.
    pub const ALL: [Document; 6] = [
        Document::EsDni,
        Document::EsNie,
        Document::ClRut,
        Document::ArCuit,
        Document::MxCurp,
        Document::BrCpf,
    ];

    /// The scope of an identifier of this document: country and name.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Document::EsDni => "ES-DNI",
            Document::EsNie => "ES-NIE",
            Document::ClRut => "CL-RUT",
            Document::ArCuit => "AR-CUIT",
            Document::MxCurp => "MX-CURP",
            Document::BrCpf => "BR-CPF",
        }
    }

    /// The country that issues it, ISO 3166-1 alpha-2.
    #[must_use]
    pub fn country(self) -> &'static str {
        &self.scope()[..2]
    }

    /// The document's everyday name.
    #[must_use]
    pub fn name(self) -> &'static str {
        &self.scope()[3..]
    }

    /// Whether its check character is a letter.
    #[must_use]
    pub const fn has_letter(self) -> bool {
        matches!(self, Document::EsDni | Document::EsNie)
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a text without separators turns out to be.
enum Reading {
    /// Not of this shape.
    No,
    /// A person's document with its normal form.
    Person(Document, String),
    /// A company's number with a right check digit.
    Company,
    /// Of this shape, but wrong.
    Wrong(Invalid),
}

/// Longest document without separators (a CURP) plus the longest name in front (`MX-CURP`), in bytes.
const BYTES_MAX: usize = 18 + 8;

/// The document and normal form of trimmed text typed in `country`.
pub(super) fn normal_form(text: &str, country: &str) -> Result<(Document, String), Invalid> {
    let compact = Compact::of(text).ok_or(Invalid::DocumentUnknown)?;
    let (label, body) = split_label(compact.bytes());
    let reading = match label {
        Some(label) => labelled(label, body),
        None => guessed(body, country, compact.after_dash),
    };
    match reading {
        Reading::Person(document, value) if blocked::is_blocked_national_id(document, &value) => {
            Err(Invalid::Blocked {
                kind: Kind::NationalId,
            })
        }
        Reading::Person(document, value) => Ok((document, value)),
        Reading::Company => Err(Invalid::Company),
        Reading::Wrong(invalid) => Err(invalid),
        Reading::No => Err(Invalid::DocumentUnknown),
    }
}

/// Capitals and digits of a text, without separators, on the stack.
struct Compact {
    bytes: [u8; BYTES_MAX],
    len: usize,
    /// How many letters and digits follow the last dash; 0 without a dash.
    after_dash: usize,
}

impl Compact {
    /// `None` when there is anything but letters, digits and separators, or too much of it.
    fn of(text: &str) -> Option<Self> {
        let mut compact = Compact {
            bytes: [0; BYTES_MAX],
            len: 0,
            after_dash: 0,
        };
        let mut dash_at = None;
        for c in text.chars() {
            match c {
                'A'..='Z' | 'a'..='z' | '0'..='9' => {
                    *compact.bytes.get_mut(compact.len)? = (c as u8).to_ascii_uppercase();
                    compact.len += 1;
                }
                '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' => dash_at = Some(compact.len),
                '.' | ',' | '/' | '_' | ':' | '\'' | '·' => {}
                c if c == ' ' || c == '\u{a0}' || c == '\u{202f}' => {}
                _ => return None,
            }
        }
        compact.after_dash = dash_at.map_or(0, |at| compact.len - at);
        Some(compact)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A name that people and exports put in front of the number.
#[derive(Clone, Copy)]
enum Label {
    Es,
    Rut,
    Cuit,
    Curp,
    Cpf,
    Company,
}

const LABELS: [(&[u8], Label); 18] = [
    (b"ESDNI", Label::Es),
    (b"ESNIE", Label::Es),
    (b"DNI", Label::Es),
    (b"NIE", Label::Es),
    (b"NIF", Label::Es),
    (b"CIF", Label::Es),
    (b"CLRUT", Label::Rut),
    (b"RUT", Label::Rut),
    (b"RUN", Label::Rut),
    (b"ARCUIT", Label::Cuit),
    (b"CUIT", Label::Cuit),
    (b"CUIL", Label::Cuit),
    (b"MXCURP", Label::Curp),
    (b"CURP", Label::Curp),
    (b"BRCPF", Label::Cpf),
    (b"CPF", Label::Cpf),
    (b"CNPJ", Label::Company),
    (b"NIT", Label::Company),
];

/// Takes the name in front away, unless the whole is a CURP that happens to begin so.
fn split_label(compact: &[u8]) -> (Option<Label>, &[u8]) {
    if latam::is_curp_shape(compact) {
        return (None, compact);
    }
    for (name, label) in LABELS {
        if let Some(body) = compact.strip_prefix(name) {
            return (Some(label), body);
        }
    }
    (None, compact)
}

fn labelled(label: Label, body: &[u8]) -> Reading {
    match label {
        Label::Es => es::read(body),
        Label::Rut => latam::rut(body),
        Label::Cuit => latam::cuit(body),
        Label::Curp => latam::curp(body),
        Label::Cpf => latam::cpf(body),
        Label::Company => or_else(latam::cnpj(body), || latam::nit(body)),
    }
}

fn guessed(body: &[u8], country: &str, after_dash: usize) -> Reading {
    let home = match country_code(country) {
        [b'E', b'S'] => es::read(body),
        [b'C', b'L'] => latam::rut(body),
        [b'A', b'R'] => latam::cuit(body),
        [b'M', b'X'] => latam::curp(body),
        [b'B', b'R'] => or_else(latam::cpf(body), || latam::cnpj(body)),
        [b'C', b'O'] => latam::nit(body),
        _ => Reading::No,
    };
    or_else(home, || abroad(body, after_dash))
}

/// A document of another country than the place's: only if its check digits are right and no other fits. A bare row of
/// digits is rather a telephone or a mistyped DNI, so documents of digits alone need the dash they are printed with.
fn abroad(body: &[u8], after_dash: usize) -> Reading {
    let only_if =
        |seen: bool, read: fn(&[u8]) -> Reading| if seen { read(body) } else { Reading::No };
    let mut found = Reading::No;
    for reading in [
        only_if(body.len() == 9, es::read),
        only_if(
            body.len() >= 8 && (after_dash == 1 || body.ends_with(b"K")),
            latam::rut,
        ),
        only_if(after_dash == 1, latam::cuit),
        latam::curp(body),
        only_if(after_dash == 2, latam::cpf),
        only_if(after_dash == 2, latam::cnpj),
        only_if(after_dash == 1, latam::nit),
    ] {
        found = match (found, reading) {
            (Reading::Person(..), Reading::Person(..)) => {
                return Reading::Wrong(Invalid::DocumentAmbiguous);
            }
            (Reading::Person(document, value), _) => Reading::Person(document, value),
            (_, Reading::Person(document, value)) => Reading::Person(document, value),
            (Reading::Company, _) | (_, Reading::Company) => Reading::Company,
            (Reading::No, reading) => reading,
            (Reading::Wrong(_), Reading::Wrong(_)) => Reading::Wrong(Invalid::DocumentUnknown),
            (found, Reading::No) => found,
        };
    }
    found
}

fn or_else(reading: Reading, other: impl FnOnce() -> Reading) -> Reading {
    match reading {
        Reading::No => other(),
        reading => reading,
    }
}

fn country_code(country: &str) -> [u8; 2] {
    match country.as_bytes() {
        [a, b] => [a.to_ascii_uppercase(), b.to_ascii_uppercase()],
        _ => [0, 0],
    }
}

/// The value of a digit; callers have checked that it is one.
fn digit(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(b'0'))
}

fn all_digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

/// The ASCII bytes as text.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests;
