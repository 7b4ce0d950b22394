//! What the values of commands must be.

/// Longest name of a source, a touchpoint or a person. Unit: characters.
const NAME_CHARS_MAX: usize = 100;
/// Longest origin. Unit: bytes.
const ORIGIN_BYTES_MAX: usize = 300;
/// Most origins of a source.
pub const ORIGINS_MAX: usize = 100;

/// Says what to do about an error; shown on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Advised {
    /// What went wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// What was typed is wrong: nothing was tried.
    pub wrong_usage: bool,
}

impl Advised {
    /// An error with its hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            wrong_usage: false,
        }
    }

    /// The same of a value that is none.
    pub fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            wrong_usage: true,
            ..Self::new(message, hint)
        }
    }
}

/// A country: two letters, given back as capitals.
///
/// # Errors
/// It is something else.
pub fn country(text: &str) -> Result<String, Advised> {
    let text = text.trim();
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Advised::wrong(
        format!("{text:?} is no country"),
        "write two letters (ISO 3166-1), as ES or MX",
    ))
}

/// A time zone that is known.
///
/// # Errors
/// It is not.
pub fn zone(text: &str) -> Result<(), Advised> {
    match jiff::tz::TimeZone::get(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Advised::wrong(
            format!("{text:?} is no time zone"),
            "write an IANA name, as Europe/Madrid or America/Bogota",
        )),
    }
}

/// A name: one line, not empty, not too long; blanks around it are taken away.
///
/// # Errors
/// It is none.
pub fn name(what: &str, text: &str) -> Result<String, Advised> {
    let text = text.trim();
    if text.is_empty()
        || text.chars().count() > NAME_CHARS_MAX
        || text.chars().any(char::is_control)
    {
        return Err(Advised::wrong(
            format!("{text:?} is no name for {what}"),
            format!("write 1 to {NAME_CHARS_MAX} characters on one line"),
        ));
    }
    Ok(text.to_owned())
}

/// An origin as browsers send it: `scheme://host[:port]`, lower case.
///
/// # Errors
/// It is none.
pub fn origin(text: &str) -> Result<String, Advised> {
    let wrong = || {
        Err(Advised::wrong(
            format!("{text:?} is no origin"),
            "write SCHEME://HOST[:PORT] without a path, as https://www.example.org",
        ))
    };
    let lower = text.trim().trim_end_matches('/').to_ascii_lowercase();
    let Some((scheme, rest)) = lower.split_once("://") else {
        return wrong();
    };
    let scheme_ok = scheme.starts_with(|char: char| char.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let Ok(authority) = rest.parse::<http::uri::Authority>() else {
        return wrong();
    };
    let port_is_one = rest == authority.host() || authority.port_u16().is_some();
    let plain =
        !rest.contains(['@', '/', '?', '#', '*']) && !authority.host().is_empty() && port_is_one;
    if !scheme_ok || !plain || lower.len() > ORIGIN_BYTES_MAX {
        return wrong();
    }
    // Browsers leave the usual port out.
    let usual = [("https", ":443"), ("http", ":80")]
        .into_iter()
        .find(|(one, _)| *one == scheme)
        .and_then(|(_, port)| lower.strip_suffix(port));
    Ok(usual.unwrap_or(&lower).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for (given, kept) in [
            ("https://www.Example.org", "https://www.example.org"),
            ("https://example.org:443/", "https://example.org"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("https://[::1]:9000", "https://[::1]:9000"),
        ] {
            assert_eq!(origin(given).unwrap(), kept);
        }
        for wrong in [
            "",
            "example.org",
            "https://",
            "https://a.org/path",
            "https://u@a.org",
            "*",
            "https://*.a.org",
            "https://a b",
            "://a",
            "https://a.org:port",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_countries_and_zones_are_checked() {
        assert_eq!(name("a source", " Web ").unwrap(), "Web");
        assert!(
            name("a source", " ").is_err()
                && name("a source", "a\nb").is_err()
                && name("a source", &"x".repeat(101)).is_err()
        );
        assert_eq!(country("mx").unwrap(), "MX");
        assert!(country("ESP").is_err() && country("1A").is_err());
        assert!(zone("America/Bogota").is_ok() && zone("Mars/Olympus").is_err());
    }
}
