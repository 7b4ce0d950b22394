//! Long answers and long work: exports piece by piece with bounded memory, and the progress of the derived tables.

use std::io::{self, Write};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use trenza_shared::{
    net::error::HttpError,
    store::{Space, StoreError, View, snapshot},
};

use crate::{
    app::App,
    customer::export::{self, ExportError},
    evidence::replay::{self, Difference},
    tables::{DERIVED, second_home},
};

/// Size of one piece of an answer. Unit: bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Most pieces that wait for the reader.
const PIECES_MAX: usize = 8;

/// Where the log ends and how far it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Last record of the log.
    pub last: u64,
    /// Last record in the derived tables.
    pub applied: u64,
}

/// How far the derived tables are; waiting ends after some seconds.
pub async fn progress(app: &App, wait: bool) -> Progress {
    let last = *app.log.last().borrow();
    if wait {
        let _in_time = app.resolved(last).await;
    }
    Progress {
        last,
        applied: *app.resolver.applied().borrow(),
    }
}

/// Waits until everything that is in the log now is in the derived tables.
async fn caught_up(app: &App) -> Result<(), HttpError> {
    let last = *app.log.last().borrow();
    let mut applied = app.resolver.applied();
    applied
        .wait_for(|applied| *applied >= last)
        .await
        .map_err(|_| HttpError::unavailable("stopping", "the server is stopping", 5))?;
    Ok(())
}

/// Every customer as it was when the answer began.
pub async fn customers(app: &App) -> Result<Response, HttpError> {
    caught_up(app).await?;
    let id_key = app.applier.id_key;
    Ok(lines(app, move |view, to| {
        export::customers(view, &id_key, to)
    }))
}

/// Every event as it was when the answer began.
pub async fn events(app: &App) -> Result<Response, HttpError> {
    caught_up(app).await?;
    Ok(lines(app, export::events))
}

/// An answer that a thread of its own writes from a snapshot of the store, as fast as the reader takes it.
fn lines(
    app: &App,
    write: impl FnOnce(&dyn View, &mut dyn Write) -> Result<u64, ExportError> + Send + 'static,
) -> Response {
    let (pieces, mut waiting) = mpsc::channel(PIECES_MAX);
    let store = app.store.clone();
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces {
            pieces,
            buffer: Vec::with_capacity(PIECE_BYTES),
        };
        let written = snapshot(&*store, |view| {
            write(view, &mut out).and_then(|_lines| Ok(out.flush()?))
        });
        if let Err(error) = written.map_err(ExportError::from).and_then(|result| result) {
            if somebody_reads(&error) {
                tracing::warn!(%error, "export stopped");
            }
            // The reader must not take what it has for all there is.
            let _gone = out
                .pieces
                .blocking_send(Err(io::Error::other(error.to_string())));
        }
    });
    let body = Body::from_stream(futures_util::stream::poll_fn(move |context| {
        waiting.poll_recv(context)
    }));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// Whether somebody still reads: one who has seen enough is no failure.
fn somebody_reads(error: &ExportError) -> bool {
    !matches!(error, ExportError::Write(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
}

/// A blocking writer in front of an answer's body.
struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES));
        self.pieces
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// Throws the derived tables away; they are rebuilt by the loop that follows the log.
pub async fn replay(app: &App) -> Result<Progress, HttpError> {
    app.resolver.replay().await.map_err(HttpError::internal)?;
    Ok(progress(app, false).await)
}

/// What a comparison found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verified {
    /// True when every derived table is what the log and the decisions say.
    pub equal: bool,
    /// Records of the log that were read.
    pub records: u64,
    /// Rows that were compared.
    pub rows: u64,
    /// The first row that differs.
    pub difference: Option<Difference>,
}

/// What is told of a store that failed: a damaged derived table can be mended by whoever asked.
fn failed(error: StoreError) -> HttpError {
    let StoreError::Corrupt { space, .. } = &error else {
        return HttpError::internal(error);
    };
    let is_named = |table: Space| table.0 == space.as_str();
    let derived = |table: &Space| is_named(*table) || second_home(*table).is_some_and(is_named);
    if !DERIVED.iter().any(derived) {
        return HttpError::internal(error);
    }
    HttpError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "damaged_table",
        format!("the derived table {space} is damaged"),
    )
    .hint(
        "run `trenza-server replay`, which builds it anew from the log; nothing of the log is lost",
    )
    .log(error)
}

/// Folder beside the store where tables are built to be compared; of one that was killed the next one removes it.
const COMPARED: &str = ".verify";

/// One comparison at a time: each needs as much room as all derived tables.
static COMPARING: Mutex<()> = Mutex::const_new(());

/// Builds the derived tables anew in a store beside the real one, and compares. Others who ask meanwhile wait.
pub async fn verify(app: &App) -> Result<Verified, HttpError> {
    let one = COMPARING.lock().await;
    caught_up(app).await?;
    let (store, applier) = (app.store.clone(), app.applier.clone());
    let dir = app
        .config
        .path(&app.config.store.dir)
        .with_file_name(COMPARED);
    // The one who asked may be gone before it is done.
    let verified = tokio::task::spawn_blocking(move || {
        let _one = one;
        replay::verify(&*store, &applier, &dir)
    });
    let verified = verified
        .await
        .map_err(HttpError::internal)?
        .map_err(failed)?;
    Ok(Verified {
        equal: verified.difference.is_none(),
        records: verified.records,
        rows: verified.rows,
        difference: verified.difference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_derived_table_is_named_with_what_mends_it_and_others_are_told_as_ever() {
        let told = |space: &str| {
            failed(StoreError::Corrupt {
                space: space.into(),
                detail: "block checksum mismatch".into(),
            })
        };
        for table in ["timeline", "timeline_2"] {
            let error = told(table);
            assert!(error.message.contains(table) && error.hint.contains("trenza-server replay"));
            assert!(error.log.is_some_and(|cause| cause.contains("checksum")));
        }
        assert_eq!(told("log").code, "internal");
        assert_eq!(failed(StoreError::Closed).code, "internal");
    }
}
