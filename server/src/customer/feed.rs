//! The change feed, page by page.

use serde_json::{Value, json};
use trenza_shared::{
    clock::format_ms,
    store::{Direction, StoreError, View},
};

use crate::{
    evidence::Fed,
    tables::{FEED, FeedRow},
};

/// Most changes of one page.
pub const PAGE_MAX: usize = 1_000;

/// Changes after number `after`, oldest first, each with its number; numbers begin at 1 and never end.
///
/// # Errors
/// The store cannot be read.
pub fn page(view: &dyn View, after: u64, limit: usize) -> Result<Vec<(u64, FeedRow)>, StoreError> {
    let Some(from) = after.checked_add(1) else {
        return Ok(Vec::new());
    };
    FEED.scan(
        view,
        Some(&from),
        None,
        Direction::Forward,
        limit.clamp(1, PAGE_MAX),
    )
}

/// A change as the API shows it.
pub fn to_json(number: u64, row: &FeedRow) -> Value {
    json!({
        "id": number.to_string(),
        "type": row.kind,
        "customer": row.customer,
        "others": row.others,
        "at": format_ms(row.at_ms),
    })
}

/// A change that a decision would bring.
pub fn planned(fed: &Fed) -> Value {
    json!({ "type": fed.kind, "customer": fed.customer, "others": fed.others })
}
