//! The text of a request, taken in: events and refusals.
//!
//! Owns what one bad event of a batch costs (itself alone) and how much memory a request may take. Pure: ids and time come in.

use std::borrow::Cow;

use serde_json::Map;

use super::{
    BATCH_EVENTS_MAX, REQUEST_BYTES_MAX,
    body::Text,
    split::{BadEnvelope, Envelope, Names, SEGMENT, member_text},
};
use crate::event::{
    BadEvent, Captured, EVENT_BYTES_MAX, EVENT_DEPTH_MAX, Event, EventType, MESSAGE_ID_BYTES_MAX,
    Taking, depth,
};

/// Longest text that is kept of a refused event. Unit: bytes.
pub const REJECTED_TEXT_BYTES_MAX: usize = EVENT_BYTES_MAX;
/// Longest that all events of a request may become when the batch's `context` is merged into each. Unit: bytes.
pub const MERGED_BYTES_MAX: usize = 4 * REQUEST_BYTES_MAX;

/// An event that can never be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stood in its batch, from 0.
    pub index: usize,
    /// Its `messageId`, where one can be read.
    pub message_id: Option<String>,
    /// Stable name of the reason.
    pub code: &'static str,
    /// The reason, in a sentence for the client.
    pub reason: String,
    /// What came, cut to [`REJECTED_TEXT_BYTES_MAX`].
    pub text: String,
}

impl Rejected {
    fn new(index: usize, text: &str, id_member: &str, reason: &BadEvent) -> Self {
        let message_id = member_text(text, id_member)
            .filter(|id| !id.is_empty() && id.len() <= MESSAGE_ID_BYTES_MAX);
        let mut end = text.len().min(REJECTED_TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            index,
            message_id,
            code: reason.code(),
            reason: reason.to_string(),
            text: text[..end].to_owned(),
        }
    }
}

/// Why a request is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The batch is none.
    #[error(transparent)]
    Envelope(#[from] BadEnvelope),
    /// It is no UTF-8 outside its events.
    #[error("the body is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first such place.
        at: usize,
    },
    /// The batch's `context` would make every event of it too deep.
    #[error("\"context\" of the batch is nested deeper than {} levels; flatten it", EVENT_DEPTH_MAX - 1)]
    ContextTooDeep,
    /// The batch's `context` times its events is more than memory is spent on.
    #[error(
        "\"context\" of the batch has {context_bytes} bytes and there are {events} events; send fewer at once"
    )]
    ContextTooLarge {
        /// Length of the context.
        context_bytes: usize,
        /// Events it would be merged into.
        events: usize,
    },
}

/// How a vendor's clients write a request of several events.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The members of the body.
    pub names: Names,
    /// The member of an event that is its id.
    pub message_id: &'static str,
    /// Makes a body of this form of whatever else the vendor's clients send.
    pub open: fn(Text) -> Text,
    /// One event of theirs as one of ours.
    pub read: for<'a> fn(&'a str) -> Result<Cow<'a, str>, BadEvent>,
    /// The write key that an event carries, for clients that can say it nowhere else.
    pub key: fn(&str) -> Option<String>,
}

/// The Segment family's.
pub const BATCH: Form = Form {
    names: SEGMENT,
    message_id: "messageId",
    open: |body| body,
    read: |text| Ok(Cow::Borrowed(text)),
    key: |text| member_text(text, "writeKey"),
};

/// What a request holds.
#[derive(Debug, Default)]
pub struct Content {
    /// What can be stored.
    pub events: Vec<Captured>,
    /// What cannot.
    pub rejected: Vec<Rejected>,
    /// The write key in the body.
    pub write_key: Option<String>,
    /// The write key in the first event of several: what counts where there is no other.
    pub event_key: Option<String>,
    /// `sentAt` of the body, or of the first event that has one.
    pub sent_at: Option<String>,
}

/// Reads a body that is one event; `path_type` is what its path says.
pub fn single(body: &Text, path_type: EventType, fresh_id: impl Fn() -> String) -> Content {
    let mut content = Content::default();
    let text = &body.text;
    let taking = Taking {
        path_type: Some(path_type),
        ..Taking::default()
    };
    let taken = match body.broken.first() {
        Some(at) => Err(BadEvent::NotUtf8 { at: *at }),
        None => take(text, taking, &fresh_id),
    };
    match taken {
        Ok(event) => {
            content.write_key.clone_from(&event.write_key);
            content.sent_at.clone_from(&event.sent_at);
            content.events.push(event);
        }
        Err(reason) => {
            content.write_key = member_text(text, "writeKey");
            content
                .rejected
                .push(Rejected::new(0, text, BATCH.message_id, &reason));
        }
    }
    content
}

/// Reads a body of several events.
///
/// # Errors
/// The body as a whole is refused; what is wrong with one event is in [`Content::rejected`].
pub fn several(
    body: Text,
    form: &Form,
    fresh_id: impl Fn() -> String,
) -> Result<Content, BadRequest> {
    let body = (form.open)(body);
    let envelope = Envelope::split(&body.text, &form.names, BATCH_EVENTS_MAX)?;
    let mut broken = body.broken.iter().copied().peekable();
    let root_context = envelope
        .context
        .as_ref()
        .filter(|context| !context.is_empty());
    if let Some(context) = root_context {
        check_context(context, envelope.context_bytes, envelope.events.len())?;
    }
    let mut content = Content {
        event_key: match &envelope.write_key {
            Some(_) => None,
            None => envelope.events.first().and_then(|text| (form.key)(text)),
        },
        write_key: envelope.write_key,
        sent_at: envelope.sent_at,
        ..Content::default()
    };
    content.events.reserve(envelope.events.len());
    let taking = Taking {
        root_context,
        ..Taking::default()
    };
    for (index, text) in envelope.events.into_iter().enumerate() {
        let begins = (text.as_ptr() as usize).saturating_sub(body.text.as_ptr() as usize);
        if let Some(at) = broken.next_if(|at| *at < begins) {
            return Err(BadRequest::NotUtf8 { at });
        }
        let mut within = None;
        while let Some(at) = broken.next_if(|at| *at < begins + text.len()) {
            within.get_or_insert(at - begins);
        }
        let taken = match within {
            Some(at) => Err(BadEvent::NotUtf8 { at }),
            None => (form.read)(text).and_then(|text| take(&text, taking, &fresh_id)),
        };
        match taken {
            Ok(event) => content.events.push(event),
            Err(reason) => {
                let rejected = Rejected::new(index, text, form.message_id, &reason);
                content.rejected.push(rejected);
            }
        }
    }
    if let Some(at) = broken.next() {
        return Err(BadRequest::NotUtf8 { at });
    }
    if content.sent_at.is_none() {
        content.sent_at = content
            .events
            .iter()
            .find_map(|event| event.sent_at.clone());
    }
    Ok(content)
}

/// Bounds what merging can make of a small body: it multiplies the context by the events.
fn check_context(
    context: &Map<String, serde_json::Value>,
    context_bytes: usize,
    events: usize,
) -> Result<(), BadRequest> {
    if context_bytes.saturating_mul(events) > MERGED_BYTES_MAX {
        return Err(BadRequest::ContextTooLarge {
            context_bytes,
            events,
        });
    }
    let text = serde_json::to_string(context).unwrap_or_default();
    if depth(&text) >= EVENT_DEPTH_MAX {
        return Err(BadRequest::ContextTooDeep);
    }
    Ok(())
}

/// Takes one event in. An id costs randomness, so it is made only for an event that turns out to have none.
fn take(
    text: &str,
    taking: Taking<'_>,
    fresh_id: impl Fn() -> String,
) -> Result<Captured, BadEvent> {
    if let Some(ordinary) = Captured::quick(text, taking) {
        return Ok(ordinary);
    }
    let mut event = Event::take(text, taking)?;
    if event.message_id.is_empty() {
        event = Event::take(
            text,
            Taking {
                fresh_message_id: &fresh_id(),
                ..taking
            },
        )?;
    }
    // What was written anew must be readable again.
    if event.text != text && depth(&event.text) > EVENT_DEPTH_MAX {
        return Err(BadEvent::TooDeep);
    }
    Ok(event.into())
}
