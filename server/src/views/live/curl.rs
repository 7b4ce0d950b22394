//! An event as a command that sends it again.

use crate::views::reached::Reached;

/// A text as one word of a shell (POSIX, 2.2.2); none where no shell can hold it.
fn quoted(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', r"'\''")))
}

/// The command that sends an event of a type to where it was sent; sent again as it is, it is recognised as the same.
pub fn command(reached: &Reached, key: &str, kind: &str, text: &str) -> Option<String> {
    let kind = if kind.is_empty() { "track" } else { kind };
    let trusting = match reached.cacert() {
        Some(file) => format!("--cacert {} ", quoted(file)?),
        None => String::new(),
    };
    Some(format!(
        "curl -sS {trusting}{} -H {} -H 'content-type: application/json' --data-raw {}",
        quoted(&format!("{}/v1/{kind}", reached.url))?,
        quoted(&format!("x-write-key: {key}"))?,
        quoted(text)?
    ))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::views::reached::Trust;

    #[test]
    fn the_command_holds_key_path_and_body() {
        let mut reached = Reached {
            url: "https://x.org".into(),
            trust: Trust::Everybody,
            ca: "/srv/o'neil/ca.pem".into(),
        };
        assert_eq!(
            command(&reached, "wk_1", "page", r#"{"a":"it's"}"#).unwrap(),
            r#"curl -sS 'https://x.org/v1/page' -H 'x-write-key: wk_1' -H 'content-type: application/json' --data-raw '{"a":"it'\''s"}'"#
        );
        assert_eq!(command(&reached, "wk_1", "page", "a\0b"), None);
        reached.trust = Trust::Nobody;
        let told = command(&reached, "wk_1", "page", "{}").unwrap();
        assert!(
            told.starts_with(r"curl -sS --cacert '/srv/o'\''neil/ca.pem' 'https://x.org/v1/page' "),
            "{told}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_gives_every_text_back_as_it_was(text in "[^\0]{0,40}", evil in "['\"\\\\$`!;&|\n*~ ]{0,12}") {
            let text = format!("{text}{evil}x");
            let script = format!("printf %s {}", quoted(&text).unwrap());
            let said = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
        }
    }
}
