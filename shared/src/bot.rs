//! Whether a program did what a person should have done: by what it says of itself.
//!
//! Owns the words. Flags and never drops: an event of a crawler is stored like any other, and stays in the record of its own visitor,
//! where no person's counts grow by it. What hides behind a browser's name is not known here.

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventType};

/// Longest user agent that is looked at. Unit: bytes.
const USER_AGENT_BYTES_MAX: usize = 512;
/// What crawlers, checkers and previewers call themselves.
const CRAWLERS: [&str; 20] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "scrap",
    "archiver",
    "mediapartners-google",
    "google-read-aloud",
    "facebookexternalhit",
    "embedly",
    "preview",
    "whatsapp/",
    "lighthouse",
    "pagespeed",
    "gtmetrix",
    "pingdom",
    "uptime",
    "statuscake",
    "datadogsynthetics",
    "newrelicsynthetics",
];
/// What browsers without a window, and what drives them, call themselves.
const HEADLESS: [&str; 6] = [
    "headless",
    "phantomjs",
    "puppeteer",
    "playwright",
    "selenium",
    "jsdom",
];
/// Telephones whose names hold a word of [`CRAWLERS`].
const PEOPLE: [&str; 1] = ["cubot"];

/// Why an event is taken for a program's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bot {
    /// It calls itself a crawler, a checker or a previewer.
    Crawler,
    /// It calls itself a browser without a window.
    Headless,
    /// It says that a page was seen and does not say by what browser.
    Silent,
}

impl Bot {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crawler => "crawler",
            Self::Headless => "headless",
            Self::Silent => "silent",
        }
    }
}

/// Judges the user agent of a request; none is there where it is missing.
pub fn of_request(user_agent: Option<&[u8]>) -> Option<Bot> {
    let said = user_agent.unwrap_or_default();
    let said = said.get(..USER_AGENT_BYTES_MAX).unwrap_or(said);
    if said.trim_ascii().is_empty() {
        return Some(Bot::Silent);
    }
    let mut said = String::from_utf8_lossy(said).to_ascii_lowercase();
    for name in PEOPLE {
        said = said.replace(name, "");
    }
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&HEADLESS) {
        Some(Bot::Headless)
    } else {
        has(&CRAWLERS).then_some(Bot::Crawler)
    }
}

/// What a judged request says of one of its events: programs of servers send without a user agent too, but see no pages.
pub fn of_kind(request: Option<Bot>, kind: EventType) -> Option<Bot> {
    request.filter(|bot| *bot != Bot::Silent || kind == EventType::Page)
}

/// What an event says itself, in `context.userAgent`: that of the visitor, where a server passes on what a browser did.
pub fn of_event(event: &Event) -> Option<Bot> {
    of_visitor(event.text_at(&["context", "userAgent"])?)
}

/// Judges a visitor's user agent that is there.
pub fn of_visitor(user_agent: &str) -> Option<Bot> {
    of_request(Some(user_agent.as_bytes())).filter(|bot| *bot != Bot::Silent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Taking;

    fn judged(said: &str) -> Option<Bot> {
        of_request(Some(said.as_bytes()))
    }

    #[test]
    fn crawlers_and_browsers_without_a_window_are_known_by_their_names() {
        for said in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Mozilla/5.0 (compatible; YandexBot/3.0)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "Pingdom.com_bot_version_1.4",
            "WhatsApp/2.23.20.0",
        ] {
            assert_eq!(judged(said), Some(Bot::Crawler), "{said}");
        }
        for said in [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Unknown; Linux x86_64) PhantomJS/2.1.1",
            "Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/24.0.0",
        ] {
            assert_eq!(judged(said), Some(Bot::Headless), "{said}");
        }
    }

    #[test]
    fn people_and_servers_are_no_bots() {
        for said in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "analytics-node-next/latest",
            "analytics-python/2.4.0",
            "python-requests/2.32",
            "curl/8.9.1",
            "okhttp/4.12.0",
        ] {
            assert_eq!(judged(said), None, "{said}");
        }
    }

    #[test]
    fn only_a_page_that_nobody_says_to_have_seen_is_silent() {
        for said in [None, Some(b"".as_slice()), Some(b"  ")] {
            assert_eq!(of_request(said), Some(Bot::Silent));
        }
        for kind in EventType::ALL {
            let wanted = (kind == EventType::Page).then_some(Bot::Silent);
            assert_eq!(of_kind(Some(Bot::Silent), kind), wanted);
            assert_eq!(of_kind(Some(Bot::Crawler), kind), Some(Bot::Crawler));
            assert_eq!(of_kind(None, kind), None);
        }
        let event = |agent: &str| {
            let text = format!(
                r#"{{"type":"page","userId":"u","messageId":"m","context":{{"userAgent":"{agent}"}}}}"#
            );
            Event::take(&text, Taking::default()).unwrap()
        };
        assert_eq!(of_event(&event("AhrefsBot/7.0")), Some(Bot::Crawler));
        assert_eq!(of_event(&event("")), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_and_what_is_beyond_the_limit_says_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _either = of_request(Some(&bytes));
            let mut long = vec![b'x'; USER_AGENT_BYTES_MAX];
            long.extend_from_slice(&bytes);
            prop_assert_eq!(of_request(Some(&long)), None);
        }
    }
}
