//! Why a value is no identifier, in words a clerk can act on.
//!
//! Owns the reasons and their sentences. A sentence never repeats the value: it may end in a log. Only
//! [`Invalid::suggestion`] carries one, for the screen where it was typed.

use super::Kind;
use super::national_id::Document;

/// What is wrong with a value given as an identifier. `Display` is the English sentence.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Invalid {
    /// Nothing was typed.
    #[error("the {} is empty; type it or leave the field out", .kind.name())]
    Empty {
        /// What was asked for.
        kind: Kind,
    },
    /// Longer than any real one.
    #[error("the {} is longer than {bytes_max} bytes; check what was pasted", .kind.name())]
    TooLong {
        /// What was asked for.
        kind: Kind,
        /// The limit it passes.
        bytes_max: usize,
    },
    /// Control characters inside, such as a tab or a line break.
    #[error("the {} has control characters; type it again without line breaks or tabs", .kind.name())]
    Control {
        /// What was asked for.
        kind: Kind,
    },
    /// A value that stands for nobody: `null`, `test`, `600000000`, `00000000T`.
    #[error("this {} is a placeholder that many people type; ask for the real one or leave it out", .kind.name())]
    Blocked {
        /// What was asked for.
        kind: Kind,
    },
    /// Not of the form `name@domain`.
    #[error("an e-mail has exactly one @ with a name before and a domain after; check it")]
    EmailAt,
    /// The part before the @ is too long or has forbidden characters.
    #[error("the part of the e-mail before the @ is not possible; check spaces, dots and signs")]
    EmailLocal,
    /// The part after the @ is no domain of the internet.
    #[error("the part of the e-mail after the @ is no domain; it looks like example.com")]
    EmailDomain,
    /// Letters or signs that no telephone number has, or no digits.
    #[error("a telephone has only digits, spaces and + ( ) - . /; check it")]
    PhoneCharacters,
    /// The number belongs to a switchboard: whoever answers is not known.
    #[error("the telephone has an extension; give the person's direct number")]
    PhoneExtension,
    /// A number without prefix, and the place's country is not known.
    #[error("the telephone has no country; start it with + and the country code")]
    PhoneCountry,
    /// Too few or too many digits for its country.
    #[error(
        "the telephone has too few or too many digits; check it, or start with + and the country code"
    )]
    PhoneLength,
    /// The right number of digits, but no such range.
    #[error(
        "no telephone of this country starts so; check it, or start with + and the country code"
    )]
    PhoneRange,
    /// The check letter or digit does not match.
    #[error("the check letter or digit of the {document} does not match; check every figure")]
    CheckDigit {
        /// As what it was read.
        document: Document,
        /// The same number with the right check letter or digit, if there is one.
        right: Option<String>,
    },
    /// The number of a DNI or the like without its check letter.
    #[error("the {document} lacks its letter; type it too")]
    CheckMissing {
        /// As what it was read.
        document: Document,
        /// The same number with its check letter.
        right: String,
    },
    /// Looks like this document but cannot be one (a date or a place that does not exist).
    #[error("this looks like a {document} but has an impossible part; check every figure")]
    DocumentShape {
        /// As what it was read.
        document: Document,
    },
    /// No known national id looks like this.
    #[error(
        "no national id known here looks like this; check it, or put its name in front, as DNI 12345678Z"
    )]
    DocumentUnknown,
    /// Two countries' documents fit, and neither is the place's.
    #[error("two countries' documents look like this; put the name in front, as CPF or CUIT")]
    DocumentAmbiguous,
    /// A valid number of a company (CIF, NIT, CNPJ, a company's CUIT or RUT): it never links persons.
    #[error("this is a company's number, not a person's; write it under company")]
    Company,
    /// A lookup without a colon.
    #[error("write KIND:VALUE, for example email:ana@example.com")]
    LookupColon,
    /// A lookup whose percent-encoding is not UTF-8.
    #[error("the percent-encoding of the value is not UTF-8; encode it as UTF-8, % as %25")]
    LookupEncoding,
    /// Not one of the names of [`Kind`].
    #[error(
        "unknown kind; use email, phone, nationalId, loyaltyId, badgeId, accountId, userId or anonymousId"
    )]
    UnknownKind,
}

impl Invalid {
    /// What is wrong and what to do, in English.
    #[must_use]
    pub fn sentence_en(&self) -> String {
        self.to_string()
    }

    /// What is wrong and what to do, in Spanish.
    #[must_use]
    pub fn sentence_es(&self) -> String {
        match self {
            Invalid::Empty { kind } => format!("{} está en blanco: escríbalo o deje el campo sin usar", thing_es(*kind)),
            Invalid::TooLong { kind, bytes_max } => {
                format!("{} pasa de {bytes_max} bytes: revise lo que se ha pegado", thing_es(*kind))
            }
            Invalid::Control { kind } => {
                format!("{} lleva caracteres de control: escríbalo sin saltos de línea ni tabuladores", thing_es(*kind))
            }
            Invalid::Blocked { kind } => {
                format!("{} es de relleno, muchos escriben el mismo: pida el verdadero o déjelo en blanco", thing_es(*kind))
            }
            Invalid::EmailAt => "Un correo lleva una sola @, con un nombre delante y un dominio detrás: revíselo".into(),
            Invalid::EmailLocal => "La parte del correo delante de la @ no es posible: revise espacios, puntos y signos".into(),
            Invalid::EmailDomain => "La parte del correo detrás de la @ no es un dominio, como ejemplo.com".into(),
            Invalid::PhoneCharacters => "Un teléfono solo lleva cifras, espacios y + ( ) - . /: revíselo".into(),
            Invalid::PhoneExtension => "El teléfono lleva extensión: pida el número directo de la persona".into(),
            Invalid::PhoneCountry => "Al teléfono le falta el país: empiece por + y el prefijo".into(),
            Invalid::PhoneLength => {
                "Al teléfono le faltan o le sobran cifras: revíselo, o empiece por + y el prefijo del país".into()
            }
            Invalid::PhoneRange => {
                "Ningún teléfono de este país empieza así: revíselo, o empiece por + y el prefijo del país".into()
            }
            Invalid::CheckDigit { document, .. } if document.has_letter() => {
                format!("La letra del {document} no corresponde: revise todas las cifras")
            }
            Invalid::CheckDigit { document, .. } => {
                format!("El dígito de control del {document} no corresponde: revise todas las cifras")
            }
            Invalid::CheckMissing { document, .. } => format!("Al {document} le falta la letra: escríbala también"),
            Invalid::DocumentShape { document } => {
                format!("Parece un {document}, pero una parte no es posible: revise todas las cifras")
            }
            Invalid::DocumentUnknown => {
                "No parece ningún documento conocido: revíselo, o ponga delante cuál es, como DNI 12345678Z".into()
            }
            Invalid::DocumentAmbiguous => {
                "Parece documento de dos países: ponga delante cuál es, CPF o CUIT".into()
            }
            Invalid::Company => "Es el número de una empresa, no de una persona: póngalo en empresa".into(),
            Invalid::LookupColon => "Escriba TIPO:VALOR, por ejemplo email:ana@example.com".into(),
            Invalid::LookupEncoding => {
                "La codificación con % del valor no es UTF-8: codifíquelo en UTF-8, el % como %25".into()
            }
            Invalid::UnknownKind => {
                "Tipo desconocido: use email, phone, nationalId, loyaltyId, badgeId, accountId, userId o anonymousId".into()
            }
        }
    }

    /// The value that was probably meant, to offer as "¿12345678Z?". It is a guess: a person must confirm it.
    #[must_use]
    pub fn suggestion(&self) -> Option<String> {
        match self {
            Invalid::CheckDigit { right, .. } => right.clone(),
            Invalid::CheckMissing { right, .. } => Some(right.clone()),
            _ => None,
        }
    }

    /// A stable word for counters and reject files, without any personal data.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Invalid::Empty { .. } => "empty",
            Invalid::TooLong { .. } => "too_long",
            Invalid::Control { .. } => "control_characters",
            Invalid::Blocked { .. } => "blocked",
            Invalid::EmailAt | Invalid::EmailLocal | Invalid::EmailDomain => "email",
            Invalid::PhoneCharacters
            | Invalid::PhoneExtension
            | Invalid::PhoneCountry
            | Invalid::PhoneLength
            | Invalid::PhoneRange => "phone",
            Invalid::CheckDigit { .. } | Invalid::CheckMissing { .. } => "check_digit",
            Invalid::DocumentShape { .. }
            | Invalid::DocumentUnknown
            | Invalid::DocumentAmbiguous => "national_id",
            Invalid::Company => "company",
            Invalid::LookupColon | Invalid::LookupEncoding => "lookup",
            Invalid::UnknownKind => "unknown_kind",
        }
    }
}

/// The thing with its article, to begin a sentence.
fn thing_es(kind: Kind) -> &'static str {
    match kind {
        Kind::NationalId => "El documento de identidad",
        Kind::AccountId => "El número de cuenta",
        Kind::LoyaltyId => "El número de la tarjeta",
        Kind::UserId => "El nombre de usuario",
        Kind::BadgeId => "El código de la acreditación",
        Kind::Email => "El correo",
        Kind::Phone => "El teléfono",
        Kind::AnonymousId => "El código de visitante",
        Kind::Record => "La ficha",
    }
}
