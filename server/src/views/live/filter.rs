//! Which of the rows a developer wants to see.

use serde::Deserialize;

use super::Row;
use crate::views::page::encoded;

/// Longest filter. Unit: characters.
const FILTER_CHARS_MAX: usize = 200;

/// What the page's filter says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    pub(super) source: String,
    pub(super) show: String,
    pub(super) q: String,
    pub(super) after: String,
    pub(super) wait_s: u64,
}

impl Filter {
    /// Everything of one source, by its name or key.
    pub fn of(source: String) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }

    /// The same, as a page's address says it.
    pub(super) fn query(&self) -> String {
        format!(
            "?source={}&show={}&q={}",
            encoded(&self.source),
            encoded(&self.show),
            encoded(&self.q)
        )
    }

    /// Whether it leaves anything out of what it looks at.
    pub(super) fn is_set(&self) -> bool {
        self.show == "problems" || !self.q.trim().is_empty()
    }

    /// Whether a row is wanted. What it says of a row holds until something goes wrong with it. That a program sent an
    /// event is told of it, and nothing that went wrong.
    pub(super) fn wants(&self, row: &Row, message_id: Option<&str>) -> bool {
        let q: String = self.q.trim().chars().take(FILTER_CHARS_MAX).collect();
        let q = q.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&q);
        let named = q.is_empty() || has(&row.name) || has(row.kind) || message_id.is_some_and(has);
        named && (self.show != "problems" || row.wrong)
    }
}
