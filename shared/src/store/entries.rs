//! Walks a range of any length with bounded memory, one page at a time.

use super::{Direction, Entry, Range, Space, StoreError, View};

/// Entries of the first page; later pages follow from the size of what was seen.
const PAGE_ENTRIES_FIRST: usize = 64;
/// Most entries of a page.
const PAGE_ENTRIES_MAX: usize = 4096;
/// A page is at most so many times as long as the one before.
const PAGE_GROWTH: usize = 16;
/// What a page should weigh. Unit: bytes.
const PAGE_BYTES: usize = 512 * 1024;

/// The smallest key that is greater than every key with this prefix; `None` when there is none (only 0xFF bytes).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1; // it is not 0xFF
    Some(end)
}

/// At most `max` entries whose key starts with `prefix`.
///
/// # Errors
/// As [`View::scan`].
pub fn scan_prefix(
    view: &(impl View + ?Sized),
    space: Space,
    prefix: &[u8],
    direction: Direction,
    max: usize,
) -> Result<Vec<Entry>, StoreError> {
    let end = prefix_end(prefix);
    view.scan(
        space,
        Range {
            from: prefix,
            to: end.as_deref(),
        },
        direction,
        max,
    )
}

/// Every entry of `range`, read page by page. On a live store each page sees the state at its own time; use
/// [`super::snapshot`] for one state throughout.
pub fn entries<'a>(
    view: &'a dyn View,
    space: Space,
    range: Range<'_>,
    direction: Direction,
) -> Entries<'a> {
    Entries {
        view,
        space,
        from: range.from.to_vec(),
        to: range.to.map(<[u8]>::to_vec),
        direction,
        page: Vec::new().into_iter(),
        page_entries: PAGE_ENTRIES_FIRST,
        done: range.is_empty(),
    }
}

/// Every entry whose key starts with `prefix`, read page by page.
pub fn prefix_entries<'a>(
    view: &'a dyn View,
    space: Space,
    prefix: &[u8],
    direction: Direction,
) -> Entries<'a> {
    let end = prefix_end(prefix);
    entries(
        view,
        space,
        Range {
            from: prefix,
            to: end.as_deref(),
        },
        direction,
    )
}

/// The iterator of [`entries`]. It ends after an error.
pub struct Entries<'a> {
    view: &'a dyn View,
    space: Space,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    direction: Direction,
    page: std::vec::IntoIter<Entry>,
    page_entries: usize,
    done: bool,
}

impl Entries<'_> {
    /// The same for somebody who wants no more than so many.
    pub(super) fn of_few(mut self, entries: usize) -> Self {
        self.page_entries = entries.clamp(1, PAGE_ENTRIES_FIRST);
        self
    }

    fn next_page(&mut self) -> Result<(), StoreError> {
        let range = Range {
            from: &self.from,
            to: self.to.as_deref(),
        };
        let page = self
            .view
            .scan(self.space, range, self.direction, self.page_entries)?;
        self.done = page.len() < self.page_entries;
        if let Some((last, _)) = page.last() {
            match self.direction {
                Direction::Forward => {
                    // The least key after `last` is `last` and a zero byte.
                    self.from.clone_from(last);
                    self.from.push(0);
                }
                Direction::Back => self.to = Some(last.clone()),
            }
            let bytes: usize = page
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum();
            let each = (bytes / page.len()).max(1);
            let most = (self.page_entries * PAGE_GROWTH).min(PAGE_ENTRIES_MAX);
            self.page_entries = (PAGE_BYTES / each).clamp(1, most);
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && !self.done
            && let Err(error) = self.next_page()
        {
            self.done = true;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}
