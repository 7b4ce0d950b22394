//! Files of events (JSON lines) and of rows (CSV), read with bounded memory and sent in chunks.
//!
//! The same file twice changes nothing: what has no messageId gets one that is a function of its content.

mod csv; // rows
mod jsonl; // events, one a line
mod mapping; // from columns to members of an event
mod records; // lines of a file, taken apart into cells
mod roles; // as what somebody belongs to an account

use std::{
    collections::{BTreeSet, HashSet},
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};
use trenza_shared::{
    canonical,
    event::{Event, Taking},
    evidence::{Observation, Origin, observe},
    id::{EventId, to_hex},
    identity::{Payload, Rules},
};

use super::{
    Command, Link,
    check::Advised,
    export::Progress,
    intake::{Started, Took},
};
use crate::customer::message::{nobody_because, unusable};

/// Most events of one chunk.
pub const CHUNK_EVENTS_MAX: usize = 1_000;
/// Most bytes of one chunk, unless it holds a single event.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Events of this run that are remembered to count repetitions; of more, the server finds them. Memory: 32 bytes each.
const REMEMBERED_MAX: usize = 1_000_000;
/// Longest part of a refused line that is kept. Unit: characters.
const REJECT_CHARS_MAX: usize = 2_000;
/// The same of a row: whole, so that it can be mended and imported, unless it is longer than anything of a spreadsheet.
const REJECT_ROW_CHARS_MAX: usize = 64 * 1024;

/// What is said of an import that did not come to its end, before the reason.
const HALF_WAY: &str = "the import did not come to its end; what it stored stays, and running the same import again is safe: nothing is stored twice";

/// What was done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Lines or rows that hold something.
    pub read: u64,
    /// Events that are new.
    pub stored: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Lines or rows that are no event.
    pub rejected: u64,
    /// Lines or rows that were taken without a value of theirs: it is no identifier of its kind, and nobody is found by it.
    pub flawed: u64,
}

/// How an import ended.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The figures.
    #[serde(flatten)]
    pub summary: Summary,
    /// Where the refused lines are; none when there are none.
    pub rejects: Option<PathBuf>,
    /// Where the lines are that were taken without a value of theirs; none when there are none.
    pub flaws: Option<PathBuf>,
    /// Whether the source was made for this import.
    pub source_created: bool,
    /// Whether everything is in its customers already.
    pub resolved: bool,
}

/// One line or row: its number from 1, and its events' texts or why it has none.
pub struct Line {
    number: u64,
    raw: String,
    events: Result<Vec<String>, String>,
    /// Whether it is a row: a row says who somebody is, so one that is of nobody is wrong. An event is what happened, whoever it was.
    is_row: bool,
    /// Where the reader stands now. Unit: bytes of the file.
    at: u64,
}

/// Something that gives lines.
type Lines = Box<dyn Iterator<Item = anyhow::Result<Line>>>;

/// A file whose beginning and mapping are right.
enum Opened {
    /// One event a line.
    Events(File),
    /// Rows.
    Rows(Box<csv::Rows>),
}

/// Imports a file.
///
/// # Errors
/// The file cannot be read, the mapping is wrong, or the server does not take a chunk. What was stored stays; running the same import
/// again is safe.
pub async fn run(
    link: &Link,
    source: &str,
    path: &Path,
    map: Option<&Path>,
    show: bool,
) -> anyhow::Result<Report> {
    let (opened, bytes) = open(path, map)?;
    let started: Started = link
        .ask(&Command::ImportStart {
            source: source.to_owned(),
        })
        .await?;
    let lines: Lines = match opened {
        Opened::Events(file) => Box::new(jsonl::read(file)),
        Opened::Rows(rows) => {
            let zone = TimeZone::get(&started.zone)
                .with_context(|| format!("the zone of the source {source:?} is not known"))?;
            Box::new(rows.lines(zone))
        }
    };
    let bar = if show {
        ProgressBar::new(bytes)
    } else {
        ProgressBar::hidden()
    };
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    let mut run = Run {
        link,
        key: started.key,
        rules: started.rules,
        origins: BTreeSet::from([started.origin]),
        seen: HashSet::new(),
        chunk: Vec::new(),
        chunk_bytes: 0,
        summary: Summary::default(),
        rejects: Told::beside(path, "rejects")?,
        flaws: Told::beside(path, "flaws")?,
    };
    let (summary, rejects, flaws, progress) = async {
        for line in lines {
            let line = line?;
            bar.set_position(line.at);
            run.line(line).await?;
            bar.set_message(format!("{} events", run.summary.read));
        }
        run.send().await?;
        bar.finish_and_clear();
        let (rejects, flaws) = (run.rejects.close()?, run.flaws.close()?);
        let progress: Progress = link.ask(&Command::Progress { wait: true }).await?;
        anyhow::Ok((run.summary, rejects, flaws, progress))
    }
    .await
    .context(HALF_WAY)?;
    Ok(Report {
        summary,
        rejects,
        flaws,
        source_created: started.created,
        resolved: progress.applied >= progress.last,
    })
}

fn open(path: &Path, map: Option<&Path>) -> anyhow::Result<(Opened, u64)> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let bytes = file.metadata().map(|meta| meta.len()).unwrap_or(0);
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let opened = match ending.as_str() {
        "jsonl" | "ndjson" => {
            if map.is_some() {
                return Err(Advised::new("--map is for CSV files", "JSON lines are events already; leave --map out").into());
            }
            Opened::Events(file)
        }
        "csv" | "tsv" => Opened::Rows(Box::new(csv::Rows::open(file, map)?)),
        _ => return Err(Advised::new(format!("{} is neither .jsonl nor .csv", path.display()), "name the file by what it is: .jsonl (one event a line) or .csv (a first line with the names of the columns)").into()),
    };
    Ok((opened, bytes))
}

struct Run<'a> {
    link: &'a Link,
    key: String,
    rules: Rules,
    origins: BTreeSet<Origin>,
    seen: HashSet<EventId>,
    chunk: Vec<String>,
    chunk_bytes: usize,
    summary: Summary,
    rejects: Told,
    flaws: Told,
}

impl Run<'_> {
    async fn line(&mut self, line: Line) -> anyhow::Result<()> {
        self.summary.read += 1;
        let Line {
            number,
            raw,
            events,
            is_row,
            ..
        } = line;
        let most = if is_row {
            REJECT_ROW_CHARS_MAX
        } else {
            REJECT_CHARS_MAX
        };
        let shown = || raw.chars().take(most).collect::<String>();
        // All of a row or nothing: a role without its person would be nobody's.
        let taken = |texts: Vec<String>| texts.iter().map(|text| take(text)).collect();
        let judged = |events: Vec<Event>| {
            let said = events.iter().map(|event| observe(event, &self.origins));
            let said: Vec<Observation> = said.collect();
            match said
                .iter()
                .filter(|_| is_row)
                .find_map(|said| self.wrong(said))
            {
                Some(reason) => Err(reason),
                None => Ok((events, said)),
            }
        };
        let (events, said) = match events.and_then(taken).and_then(judged) {
            Ok(taken) => taken,
            Err(reason) => {
                self.summary.rejected += 1;
                return self.rejects.add(number, &reason, &shown());
            }
        };
        let flaws: Vec<String> = said.iter().flat_map(unusable).collect();
        if !flaws.is_empty() {
            self.summary.flawed += 1;
            self.flaws.add(number, &flaws.join("; "), &shown())?;
        }
        for event in events {
            self.event(event).await?;
        }
        Ok(())
    }

    /// Why an event of a row is not taken; none when it is right.
    fn wrong(&self, said: &Observation) -> Option<String> {
        let names_nobody = said.identifiers.is_empty() && said.unusable.is_empty();
        match &said.group {
            // Of an account alone: what it says is its own, and nobody's role.
            Some(_) if names_nobody => None,
            Some(group) => self.nobody(said, false).or_else(|| roles::unfit(group)),
            None => self.nobody(said, names_nobody),
        }
    }

    /// Why an event that says this would belong to nobody, by the rules in force; none when it is somebody's.
    fn nobody(&self, said: &Observation, names_nobody: bool) -> Option<String> {
        let payload = Payload::new(
            said.identifiers.iter().cloned(),
            said.facet,
            said.at_ms,
            said.person.clone(),
            &self.rules,
        );
        if payload.is_some() {
            return None;
        }
        let reason = if names_nobody {
            "it has no identifier of a known kind, and no groupId that is one".to_owned()
        } else {
            nobody_because(said)
        };
        Some(format!(
            "the row would belong to nobody: {reason}; it needs at least one identifier that is right"
        ))
    }

    async fn event(&mut self, event: Event) -> anyhow::Result<()> {
        if self.seen.contains(&event.id) {
            self.summary.duplicates += 1;
            return Ok(());
        }
        if self.seen.len() < REMEMBERED_MAX {
            self.seen.insert(event.id);
        }
        if !self.chunk.is_empty()
            && (self.chunk.len() >= CHUNK_EVENTS_MAX
                || self.chunk_bytes + event.text.len() > CHUNK_BYTES_MAX)
        {
            self.send().await?;
        }
        self.chunk_bytes += event.text.len();
        self.chunk.push(event.text);
        Ok(())
    }

    async fn send(&mut self) -> anyhow::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.chunk);
        self.chunk_bytes = 0;
        let took: Took = self
            .link
            .ask(&Command::ImportChunk {
                key: self.key.clone(),
                events,
            })
            .await?;
        self.summary.stored += took.stored;
        self.summary.duplicates += took.duplicates;
        Ok(())
    }
}

/// Makes an event of a text; one without messageId gets one of its content.
fn take(text: &str) -> Result<Event, String> {
    // Limits first: a text over them is not parsed for its id.
    let probe = Event::take(
        text,
        Taking {
            fresh_message_id: "-",
            ..Taking::default()
        },
    )
    .map_err(|error| error.to_string())?;
    if probe.message_id != "-" {
        return Ok(probe);
    }
    let mut body: Map<String, Value> = probe.body;
    body.remove("messageId");
    let id = format!(
        "imp-{}",
        to_hex(
            &blake3::hash(canonical::to_string(&Value::Object(body)).as_bytes()).as_bytes()[..16]
        )
    );
    Event::take(
        text,
        Taking {
            fresh_message_id: &id,
            ..Taking::default()
        },
    )
    .map_err(|error| error.to_string())
}

/// A file that tells of lines, made at the first one: `FILE.WHAT.jsonl`.
struct Told {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Told {
    /// None is there yet: that of an earlier import of the same file is removed, as it says nothing of this one.
    fn beside(path: &Path, what: &str) -> anyhow::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{what}.jsonl"));
        let path = PathBuf::from(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let failed = || format!("cannot remove {}, of an earlier import", path.display());
                Err(error).with_context(failed)
            }
            _ => Ok(Self { path, file: None }),
        }
    }

    fn add(&mut self, number: u64, reason: &str, raw: &str) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(
                create_private(&self.path).with_context(failed)?,
            )),
        };
        let line = serde_json::json!({ "line": number, "reason": reason, "text": raw });
        writeln!(file, "{line}").with_context(failed)
    }

    fn close(self) -> anyhow::Result<Option<PathBuf>> {
        let Some(mut file) = self.file else {
            return Ok(None);
        };
        file.flush()
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(Some(self.path))
    }
}

/// Lines hold what people said of themselves: for the owner only.
fn create_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests;
