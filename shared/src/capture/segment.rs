//! Segment's browser SDK, as its snippet for HTML loads it.
//!
//! Owns the script at `/analytics.js/v1/KEY/analytics.min.js`: the bytes of the npm package, behind one statement that has it ask this
//! host, and nobody else, for its settings.

use bytes::Bytes;

use super::snippet::Script;

/// `dist/umd/standalone.js` of `@segment/analytics-next` (MIT, its licence stands beside it).
const PACKAGE: &[u8] = include_bytes!("vendored/analytics-next-1.84.3.js");

/// The SDK knows its host by the address of its own script, but over https alone; where it knows none it asks Segment's.
const OWN_HOST: &[u8] = br#"!function(s){if(!s||!s.src)return;var a=window[s.getAttribute("data-global-segment-analytics-key")||"analytics"];if(a&&!a._cdn)a._cdn=s.src.split("/analytics.js/v1/")[0]}(document.currentScript);
"#;

/// `GET /analytics.js/v1/{key}/analytics.min.js`: the same for every key, which the snippet says itself.
pub fn script() -> Script {
    Script::new(Bytes::from([OWN_HOST, PACKAGE].concat()))
}
