//! Postal addresses: street, town, code, state, country.

use serde_json::{Map, Value};

use super::fold::{field, fold};
use crate::canonical;

/// The parts of an address, folded.
#[derive(Default)]
pub(super) struct Address {
    pub(super) street: Option<String>,
    pub(super) city: Option<String>,
    pub(super) postal_code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) country: Option<String>,
}

impl Address {
    /// Reads `address`, an object or one line of text taken for the street.
    pub(super) fn from_traits(traits: &Map<String, Value>) -> Address {
        let part = |name: &str| {
            traits
                .get("address")
                .and_then(|address| text(address.get(name)?))
        };
        let line = traits
            .get("address")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let country = part("country").as_deref().and_then(country);
        Address {
            street: part("street").or(line).as_deref().and_then(street),
            city: part("city").as_deref().and_then(field),
            postal_code: part("postalCode")
                .as_deref()
                .and_then(|raw| postal_code(raw, country.as_deref())),
            state: part("state").as_deref().and_then(field),
            country,
        }
    }
}

/// Text, or a number as text: postal codes come as both.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        // `28001` and `28001.0` are one content, so they must be one code.
        number @ Value::Number(_) => Some(canonical::to_string(number)),
        _ => None,
    }
}

/// Words and numbers of a street; *calle* and *número* are mostly left out by people, so they always are here.
fn street(raw: &str) -> Option<String> {
    // "c/" is calle; the sign of number is not a letter o.
    let folded = field(&raw.replace(['º', 'ª', '°'], " "))?;
    let mut words: Vec<&str> = Vec::new();
    for word in folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        match word {
            "calle" | "c" | "cl" | "numero" | "num" | "n" | "no" | "nro" | "de" | "del" | "la"
            | "el" | "los" | "las" => {}
            "avenida" | "avda" | "avd" | "av" | "avinguda" => words.push("av"),
            "plaza" | "pza" | "plza" | "pl" | "placa" => words.push("pl"),
            "paseo" | "pso" | "ps" | "passeig" => words.push("ps"),
            "carretera" | "ctra" | "crta" => words.push("ctra"),
            "street" | "st" => words.push("st"),
            "road" | "rd" => words.push("rd"),
            word => words.push(word),
        }
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// Letters and digits. Spain's lose their leading zero in spreadsheets.
fn postal_code(raw: &str, country: Option<&str>) -> Option<String> {
    let code: String = fold(raw)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .take(16)
        .collect();
    let lost_zero =
        code.len() == 4 && country == Some("es") && code.bytes().all(|b| b.is_ascii_digit());
    match code.as_str() {
        "" => None,
        zeros if zeros.bytes().all(|b| b == b'0') => None,
        _ if lost_zero => Some(format!("0{code}")),
        _ => Some(code),
    }
}

/// The countries around here by their names in Spanish, English and their own language.
fn country(raw: &str) -> Option<String> {
    let folded = field(raw)?;
    let code = match folded.as_str() {
        "espana" | "spain" | "esp" | "espanya" | "espainia" => "es",
        "portugal" | "prt" => "pt",
        "francia" | "france" | "fra" => "fr",
        "italia" | "italy" | "ita" => "it",
        "alemania" | "germany" | "deutschland" | "deu" => "de",
        "reino unido" | "united kingdom" | "uk" | "gbr" | "inglaterra" | "england" => "gb",
        "chile" | "chl" => "cl",
        "argentina" | "arg" => "ar",
        "mexico" | "mejico" | "mex" => "mx",
        "brasil" | "brazil" | "bra" => "br",
        "colombia" | "col" => "co",
        "peru" | "per" => "pe",
        "uruguay" | "ury" => "uy",
        "venezuela" | "ven" => "ve",
        "ecuador" | "ecu" => "ec",
        "bolivia" | "bol" => "bo",
        "paraguay" | "pry" => "py",
        "estados unidos" | "united states" | "usa" | "united states of america" => "us",
        _ => return Some(folded),
    };
    Some(code.to_owned())
}
