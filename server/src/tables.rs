//! Every table of the server's store: its key and its value.
//!
//! Ground truth first (the log as received, and what people decided and configured), then what is derived of it: the derived
//! tables can be thrown away and rebuilt, and `replay` does so.

mod accounts;
mod copies;
mod lane;
mod matched;
mod rules;
mod spaces;

use serde::{Deserialize, Serialize};
use trenza_shared::{
    bot::Bot,
    id::{
        AccountId, AgentId, ChainHash, CustomerId, DecisionId, Epoch, EventId, Fingerprint, Lane,
        Seq,
    },
    identity::{Component, Decision, KeyProfile, Node},
    skew::Facts,
    store::{Row, Space, Table},
    wire::{
        dropped::Reason,
        entry::Open,
        sync::{Began, Hello, Lineage},
    },
};

pub use accounts::{
    ACCOUNT_LINE, ACCOUNT_WORDS, ACCOUNTS, ACCOUNTS_OF, AccountRow, HOMES, MEMBERS, NOBODY, PartRow,
};
pub use copies::{CopyKeyRow, CopyOfRow, InstanceRow, InstancesRow, Standing};
pub use lane::{EarlierRow, LaneRow, Links, MarkRow, RecordRow};
pub use matched::{EdgeRow, MatchedRow, UnitRow};
pub use rules::{FORMER, FormerRow, RULES, RulesRow, SECOND, SECOND_SHOWN};
pub use spaces::{DERIVED, TRUTH, backed_up, plain, point_lookups, prefixes, second_home, spaces};

// ---- ground truth ----

/// By what way a record came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hop {
    /// The server's own listeners.
    Own,
    /// An import: name of its source.
    Import(String),
    /// An agent's frame; the first entry's coordinate.
    Agent {
        /// Who captured it.
        agent: AgentId,
        /// Life of its log.
        epoch: Epoch,
        /// Which of its logs.
        lane: Lane,
        /// Sequence number of the first entry.
        first: Seq,
    },
}

impl Hop {
    /// Short name, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Import(_) => "import",
            Self::Agent { .. } => "agent",
        }
    }
}

/// Whether an agent may speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// It may.
    Active,
    /// An admin took its right back.
    Revoked,
}

/// An enrolled agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentRow {
    /// Where it stands.
    pub touchpoint: String,
    /// By which national formats are read there. ISO 3166-1 alpha-2.
    pub country: String,
    /// IANA name of the zone of the place.
    pub zone: String,
    /// The venue whose agents exchange with each other while the server is away; empty for one that stands alone.
    #[serde(default)]
    pub venue: String,
    /// Its kiosk's own write key.
    pub write_key: String,
    /// When it enrolled. Unit: ms since 1970.
    pub enrolled_ms: i64,
    /// Whether it may speak.
    pub state: AgentState,
    /// Of which agent it is a copy; none for one that a person enrolled.
    #[serde(default)]
    pub copy_of: Option<CopyOfRow>,
}
impl Row for AgentRow {}

/// Whose certificate it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertRow {
    /// The agent.
    pub agent: AgentId,
    /// End of validity. Unit: ms since 1970.
    pub not_after_ms: i64,
}
impl Row for CertRow {}

/// The last talk with an agent. History: never read for a derived value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContactRow {
    /// When. Unit: ms since 1970.
    pub at_ms: i64,
    /// What it said.
    pub hello: Hello,
    /// A contradiction found under known numbers: another copy of this agent exists.
    pub fork: Option<String>,
    /// Lanes that it left because of one, and where they go on: at most [`LANES_MAX`](trenza_shared::wire::sync::LANES_MAX).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Lineage>,
    /// What it had gone on without before the beginning that it tells of, joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Began>,
}
impl Row for ContactRow {}

/// An invitation: its code works once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InviteRow {
    /// Where the agent will stand.
    pub touchpoint: String,
    /// Its country.
    pub country: String,
    /// Its zone.
    pub zone: String,
    /// Its venue; empty for none.
    #[serde(default)]
    pub venue: String,
    /// Until when it works. Unit: ms since 1970.
    pub expires_ms: i64,
    /// Which agent used it.
    pub used_by: Option<AgentId>,
}
impl Row for InviteRow {}

/// What sends events: a website, a kiosk, an import. Found by its write key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// Its name; unique.
    pub name: String,
    /// Pages of which origins may send; empty = any.
    pub origins: Vec<String>,
    /// Within what its ids are unique; empty = the whole organisation.
    pub namespace: String,
    /// By which national formats are read.
    pub country: String,
    /// IANA name of its zone.
    pub zone: String,
    /// Greater wins when two sources disagree about a trait.
    pub priority: u8,
    /// Set when the key was taken back.
    pub revoked: bool,
}
impl Row for SourceRow {}

/// What a person or a program may do.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads with personal fields masked.
    Reader,
    /// Reads all and decides.
    Steward,
    /// Does everything.
    Admin,
}

/// An API token, found by its hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRow {
    /// What it may do.
    pub role: Role,
    /// When it was made. Unit: ms since 1970.
    pub created_ms: i64,
}
impl Row for TokenRow {}

/// A person who signs in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserRow {
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
}
impl Row for UserRow {}

/// A signed-in browser, found by the hash of its cookie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionRow {
    /// Who.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// Until when. Unit: ms since 1970.
    pub expires_ms: i64,
    /// Proof that a form came from one of our pages.
    pub csrf: String,
}
impl Row for SessionRow {}

/// A decision of a person about identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionRow(pub Decision);
impl Row for DecisionRow {}

/// One entry of the change feed. History: replay continues it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedRow {
    /// `customer.created`, `customer.updated`, `customer.merged`, `customer.split`.
    pub kind: String,
    /// The customer it is about, as its id was then.
    pub customer: CustomerId,
    /// Others concerned: merged into it, or split off.
    pub others: Vec<CustomerId>,
    /// When the server did it. Unit: ms since 1970.
    pub at_ms: i64,
}
impl Row for FeedRow {}

/// A question that somebody put off. Local: never read for a derived value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PutOffRow {
    /// Until when. Unit: ms since 1970.
    pub until_ms: i64,
}
impl Row for PutOffRow {}

/// The server's own facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MetaRow {
    /// Changes on every restore.
    pub generation: u64,
}
impl Row for MetaRow {}

/// Records of the log that were acknowledged and were gone when the store was opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LostRow {
    /// The last of them.
    pub to: u64,
    /// When that was noticed. Unit: ms since 1970.
    pub noticed_ms: i64,
}
impl Row for LostRow {}

/// The log as received: number from 1 -> record.
pub const LOG: Table<u64, RecordRow> = Table::new(Space("log"));
/// (agent, epoch, lane) -> what is stored.
pub const LANES: Table<(AgentId, Epoch, Lane), LaneRow> = Table::new(Space("lane"));
/// (agent, epoch, lane, first sequence number) -> a run of a lane that has too many for one row.
pub const EARLIER: Table<(AgentId, Epoch, Lane, Seq), EarlierRow> = Table::new(Space("earlier"));
/// (agent, epoch, lane) -> what of it is in the last finished backup.
pub const ARCHIVED: Table<(AgentId, Epoch, Lane), LaneRow> = Table::new(Space("archived"));
/// (agent, epoch, lane, last sequence number of a stored run) -> which record it is.
pub const MARKS: Table<(AgentId, Epoch, Lane, Seq), MarkRow> = Table::new(Space("mark"));
/// The fleet.
pub const AGENTS: Table<AgentId, AgentRow> = Table::new(Space("agent"));
/// SHA-256 of a client certificate -> whose it is.
pub const CERTS: Table<[u8; 32], CertRow> = Table::new(Space("cert"));
/// The last talk with each agent.
pub const CONTACTS: Table<AgentId, ContactRow> = Table::new(Space("contact"));
/// The starts of each agent's program.
pub const INSTANCES: Table<AgentId, InstancesRow> = Table::new(Space("instance"));
/// SHA-256 of the public key with which a copy asked for an id of its own -> the id it got.
pub const COPY_KEYS: Table<[u8; 32], CopyKeyRow> = Table::new(Space("copy_key"));
/// BLAKE3 of an invitation's code -> invitation.
pub const INVITES: Table<[u8; 32], InviteRow> = Table::new(Space("invite"));
/// Write key -> source.
pub const SOURCES: Table<String, SourceRow> = Table::new(Space("source"));
/// BLAKE3 of an API token -> what it may do.
pub const TOKENS: Table<[u8; 32], TokenRow> = Table::new(Space("token"));
/// Name -> person.
pub const USERS: Table<String, UserRow> = Table::new(Space("user"));
/// BLAKE3 of a session's cookie -> session.
pub const SESSIONS: Table<[u8; 32], SessionRow> = Table::new(Space("session"));
/// Every decision ever made.
pub const DECISIONS: Table<DecisionId, DecisionRow> = Table::new(Space("decision"));
/// The change feed: number from 1 -> change.
pub const FEED: Table<u64, FeedRow> = Table::new(Space("feed"));
/// (user, hash of two customer ids): pairs that somebody wants to be asked about later.
pub const PUT_OFF: Table<(String, [u8; 16]), PutOffRow> = Table::new(Space("put_off"));
/// One row.
pub const META: Table<(), MetaRow> = Table::new(Space("meta"));
/// (generation of the store, first record) -> a run of records that is lost.
pub const LOST: Table<(u64, u64), LostRow> = Table::new(Space("lost"));
/// One row: the last record of the log whose changes are in the feed.
pub const FED: Table<(), u64> = Table::new(Space("fed"));
/// Records after that one that are told too.
pub const FED_AHEAD: Table<u64, ()> = Table::new(Space("fed_ahead"));

// ---- derived ----

/// Where an entry stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Position {
    /// Number of the record.
    pub record: u64,
    /// Index of the entry in it, from 0.
    pub index: u32,
}

/// One taking-in of an event, as needed to say where and when.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct OriginRow {
    /// When the first collector took it in, by its wall clock. Unit: ms since 1970.
    pub captured_ms: i64,
    /// The write key.
    pub key: String,
    /// The agent, if one took it in.
    pub agent: Option<AgentId>,
    /// In which of its boots; 0 where that is not told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub boot: u64,
    /// The same by its boot clock. Unit: ms.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub boottime_ms: u64,
    /// What sent it said that it is a program. For display: it decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<Bot>,
    /// By how much the clock of what sent it was behind the collector's, as its `sentAt` said; 0 where that says nothing. For
    /// display. Unit: ms.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub sent_lag_ms: i64,
}

impl OriginRow {
    /// What an entry's open part says of its taking-in by an agent, or by the server itself.
    pub fn new(open: Open, agent: Option<AgentId>) -> Self {
        Self {
            captured_ms: open.captured_ms,
            key: open.key,
            agent,
            boot: open.boot,
            boottime_ms: open.boottime_ms,
            bot: open.bot,
            sent_lag_ms: open.sent_lag_ms,
        }
    }
}

fn is_nothing(number: &i64) -> bool {
    *number == 0
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An event, once, however often it came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRow {
    /// Where its text stands (the first time it came).
    pub position: Position,
    /// Every different taking-in.
    pub origins: Vec<OriginRow>,
    /// How often it came again.
    pub duplicates: u32,
    /// Event time. Unit: ms since 1970.
    pub at_ms: i64,
    /// To which fragment it belongs; none when its identifiers are all invalid or blocked.
    pub fingerprint: Option<Fingerprint>,
    /// Which account it is about; none for all but group events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
}
impl Row for EventRow {}

/// Everything that came with one messageId.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MessageRow {
    /// Events, first come first; more than one is a conflict.
    pub events: Vec<EventId>,
    /// Refused entries.
    pub rejected: Vec<Position>,
}
impl Row for MessageRow {}

/// Why an entry is no event of the record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RejectedRow {
    /// Short, stable name of the reason.
    pub code: String,
    /// Sentence.
    pub reason: String,
    /// The client's id of it.
    pub message_id: Option<String>,
}
impl Row for RejectedRow {}

/// A node of the identity graph.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeRow(pub Node);
impl Row for NodeRow {}

/// Who holds a value, summed up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileRow(pub KeyProfile);
impl Row for ProfileRow {}

/// A component of the identity graph with its groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ComponentRow(pub Component);
impl Row for ComponentRow {}

/// What an agent measured of its clock in one boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockRow(pub Facts);
impl Row for ClockRow {}

/// Entries that an agent gave up for want of room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct DroppedRow {
    /// Chain before the first of them.
    pub previous: ChainHash,
    /// Chain after the last.
    pub head: ChainHash,
    /// Why.
    pub reason: Reason,
}
impl Row for DroppedRow {}

/// Every event.
pub const EVENTS: Table<EventId, EventRow> = Table::new(Space("event"));
/// (agent, boot) -> its measurements.
pub const CLOCKS: Table<(AgentId, u64), ClockRow> = Table::new(Space("clock"));
/// (agent, boot, boot clock, event): what was taken in when, by clocks that may yet be measured.
pub const TAKEN: Table<(AgentId, u64, u64, EventId), ()> = Table::new(Space("taken"));
/// (agent, epoch, lane, first and last sequence number): what it gave up, as it told.
pub const DROPPED: Table<(AgentId, Epoch, Lane, Seq, Seq), DroppedRow> =
    Table::new(Space("dropped"));
/// BLAKE3 of a messageId, truncated -> what came with it.
pub const MESSAGES: Table<[u8; 16], MessageRow> = Table::new(Space("message"));
/// Position of a refused entry -> why.
pub const REJECTED: Table<(u64, u32), RejectedRow> = Table::new(Space("rejected"));
/// (fingerprint, event time, event) -> messageId.
pub const TIMELINE: Table<(Fingerprint, i64, EventId), Vec<u8>> = Table::new(Space("timeline"));
/// Fingerprint -> `Fragment`, encoded.
pub const FRAGMENTS: Table<Fingerprint, Vec<u8>> = Table::new(Space("fragment"));
/// Fingerprint -> node.
pub const NODES: Table<Fingerprint, NodeRow> = Table::new(Space("node"));
/// (identifier's hash, fingerprint): who holds a value.
pub const HOLDERS: Table<([u8; 16], Fingerprint), ()> = Table::new(Space("holder"));
/// Identifier's hash -> profile.
pub const PROFILES: Table<[u8; 16], ProfileRow> = Table::new(Space("profile"));
/// Fingerprint -> id of its component.
pub const COMPONENT_OF: Table<Fingerprint, Vec<u8>> = Table::new(Space("component_of"));
/// Id -> component.
pub const COMPONENTS: Table<Fingerprint, ComponentRow> = Table::new(Space("component"));
/// Seed -> a customer by identifiers, as it is compared with others.
pub const UNITS: Table<Fingerprint, UnitRow> = Table::new(Space("unit"));
/// Match key -> the seeds, with a sketch of each, that may be compared with each other, or their number where they are many.
pub const MATCH_KEYS: Table<u64, Vec<u8>> = Table::new(Space("match_key"));
/// (match key, seed) -> sketch, where they are many.
pub const MATCH_HOLDERS: Table<(u64, Fingerprint), Vec<u8>> = Table::new(Space("match_holder"));
/// (seed, seed) -> the odds that they are one person, where that is worth asking. Both ways.
pub const EDGES: Table<(Fingerprint, Fingerprint), EdgeRow> = Table::new(Space("edge"));
/// Seed -> all that are one person with it, by what their records agree on.
pub const MATCHED: Table<Fingerprint, MatchedRow> = Table::new(Space("matched"));
/// (rank, seed, seed): whom to ask about, the surest first.
pub const QUESTIONS: Table<(u32, Fingerprint, Fingerprint), ()> = Table::new(Space("question"));
/// Customer id (of any fingerprint that ever was) -> fingerprint.
pub const IDS: Table<CustomerId, Vec<u8>> = Table::new(Space("id"));
/// (searchable word, fingerprint).
pub const WORDS: Table<(String, Fingerprint), bool> = Table::new(Space("word"));
/// (form, word): how else a word of somebody's name may be looked for.
pub const SPELLINGS: Table<(String, String), ()> = Table::new(Space("spelling"));
/// One row: the last record of the log that is in the derived tables.
pub const APPLIED: Table<(), u64> = Table::new(Space("applied"));
/// Records after that one that are there too: what is live does not wait behind a backlog.
pub const AHEAD: Table<u64, ()> = Table::new(Space("ahead"));

/// One row: digest of the rules by which the derived tables were derived.
pub const RULED: Table<(), Vec<u8>> = Table::new(Space("ruled"));
