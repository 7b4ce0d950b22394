//! What can be typed. The doc comments are the help.

// Help is read in a terminal, where a URL in brackets would be noise.
#![allow(rustdoc::bare_urls)]

use std::path::PathBuf;

use trenza_shared::{id::AgentId, matching::Language};

use crate::{
    admin::{
        check::{self, Advised},
        init,
    },
    tables::Role,
};

/// How a map file is written.
const MAP_HELP: &str = r#"Without --map a column goes where its name says: email, phone, nationalId, accountId, firstName, birthday, userId, timestamp
and the usual Spanish and English names of them; every other column is a trait. A map file says otherwise:

  type = "track"              # default: identify
  event = "Order Completed"   # for track
  timestamp = "Date"          # the column with the time: 31/12/2025 10:30, 2025-12-31 (its start) or 2025-12-31T10:30:00Z
  others = "ignore"           # columns not named below: "traits" (default) or "ignore"
  [columns]
  "Customer no" = "userId"
  "Total" = { to = "properties.total", as = "number" }   # 1234.5, 1234,5 or 1.234,5; 1.234 is 1.234, and 1,234 is refused
  "Signed" = { to = "properties.signed", as = "date" }   # 2025-12-31 or 31/12/2025
  "Ref" = { to = "traits.ref", as = "text" }             # text, number, date, boolean (sí, no, x) or guess
  [fixed]
  "context.trenza.channel" = "store"
  [group.columns]             # the person belongs to an account or a household: which, and as what
  "Company no" = "groupId"
  "Job" = "traits.role"
  "Say" = { to = "traits.weight", as = "number" }        # percent: a whole number from 0 to 100
  "Decides" = { to = "traits.decides", as = "boolean" }  # pays, uses, prescribes too
  "Since" = { to = "traits.from", as = "date" }          # first day; to: last day
  [group.fixed]
  "traits.type" = "household" # or organisation

Worked examples with their files: config/import/crm.toml, config/import/till.toml.

Two systems that both number their people 1, 2, 3 mean different people by them: make a source for each before its first import, as
  trenza-server source create --name Shop --namespace shop
and its userIds, accounts, cards and badges count within it alone; without a namespace equal ones are one person.

Without a column of time a row whose values go back to those of an earlier import is the same row again and changes nothing: map a
column to timestamp for that. A row of which no identifier is right is refused with the reasons, an event (.jsonl) is not.
A time without a zone is one of the zone of the source (source create --zone); what is no time refuses the row.
So does a role that cannot be what it says: a weight that is no percent, a last day before the first.
Refused rows and lines are in FILE.rejects.jsonl. One with a value that is no such identifier (a telephone with too few digits) is
taken, nobody is found by that value, and FILE.flaws.jsonl says so: mend it and import it again."#;

// Where the settings are.
#[derive(clap::Args)]
pub struct Settings {
    /// The settings of the server
    #[arg(long, env = "TRENZA_CONFIG", default_value = init::FILE, value_name = "FILE")]
    pub config: PathBuf,
}

// Where the settings are, and how to answer.
#[derive(clap::Args)]
pub struct Asked {
    #[command(flatten)]
    pub settings: Settings,
    /// Answer with one line of JSON
    #[arg(long)]
    pub json: bool,
}

// Where something stands.
#[derive(clap::Args)]
pub struct Place {
    /// Country by whose formats telephone numbers and ids are read (ISO 3166-1, as ES)
    #[arg(long, value_parser = check::country)]
    pub country: Option<String>,
    /// Time zone (IANA name, as Europe/Madrid)
    #[arg(long, value_parser = zone)]
    pub zone: Option<String>,
}

// The commands.
#[derive(clap::Subcommand)]
pub enum Todo {
    /// Make settings, store, certificates and a first admin in a folder; never overwrites
    Init {
        /// The folder; made when it is not there
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Answer with one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Run until SIGTERM or Ctrl-C, then drain
    Run {
        #[command(flatten)]
        settings: Settings,
    },
    /// Sources: what may send events
    #[command(subcommand)]
    Source(Source),
    /// Agents: the programs at the edge
    #[command(subcommand)]
    Agent(Agent),
    /// Tokens for programs that use the API
    #[command(subcommand)]
    Token(Token),
    /// People who sign in
    #[command(subcommand)]
    User(User),
    #[command(after_long_help = MAP_HELP)]
    /// Take in a file: events (.jsonl, one a line) or rows (.csv); the same file twice changes nothing
    Import {
        #[command(flatten)]
        asked: Asked,
        /// Name of the source it comes from; made when it is not there
        #[arg(long)]
        source: String,
        /// The file
        file: PathBuf,
        /// How the columns of a CSV file become an event
        #[arg(long, value_name = "MAP.toml")]
        map: Option<PathBuf>,
    },
    /// Write everything to standard output, one JSON object a line
    #[command(subcommand)]
    Export(Export),
    /// Rebuild all derived tables from the log and the decisions
    Replay {
        #[command(flatten)]
        asked: Asked,
        /// Change nothing: rebuild beside the tables there are, and compare byte for byte
        #[arg(long)]
        verify: bool,
    },
    /// Rules of identity: show them, try others out, publish them
    #[command(subcommand)]
    Rules(Rules),
    /// Matching of records without a common identifier
    #[command(subcommand)]
    Match(Match),
    /// Prove that nothing of the agents is missing: read every record again, check every link; ends with 1 on damage or loss
    Verify {
        #[command(flatten)]
        asked: Asked,
        /// Only what this agent captured
        #[arg(long, value_name = "AGENT_ID")]
        agent: Option<AgentId>,
    },
    /// Look at certificates, disk and store, whether the server runs or not, and say what to do; changes nothing; ends with 1 when there is something to do
    Doctor {
        #[command(flatten)]
        asked: Asked,
    },
    /// Write a consistent copy of everything into a folder, while the server runs
    Backup {
        /// The folder; must not exist or be empty
        #[arg(value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        asked: Asked,
    },
    /// Put a backup back, checking every row; the server must not run, what is there is moved aside
    Restore {
        /// The folder of the backup
        #[arg(value_name = "DIR")]
        from: PathBuf,
        #[command(flatten)]
        asked: Asked,
    },
}

// Commands about sources.
#[derive(clap::Subcommand)]
pub enum Source {
    /// Make a source; prints its write key
    Create {
        #[command(flatten)]
        asked: Asked,
        /// Its name, unique
        #[arg(long)]
        name: String,
        /// Pages of this origin may send, as https://www.example.org; repeat for more, leave out for any
        #[arg(long = "origin", value_name = "URL", value_parser = check::origin)]
        origins: Vec<String>,
        /// Within what its ids are unique; leave out for the whole organisation
        #[arg(long)]
        namespace: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Take the write key of a source back: what is sent with it from now on is refused with 401, what came stays
    Revoke {
        #[command(flatten)]
        asked: Asked,
        /// Its name or its write key, as in the list
        #[arg(value_name = "SOURCE")]
        source: String,
    },
    /// Show every source with its write key
    List {
        #[command(flatten)]
        asked: Asked,
    },
}

// Commands about agents.
#[derive(clap::Subcommand)]
pub enum Agent {
    /// Invite an agent; the code works once, for 24 hours
    Invite {
        #[command(flatten)]
        asked: Asked,
        /// Where it will stand
        #[arg(long)]
        touchpoint: String,
        /// Venue whose agents exchange with each other while the server is away, as "Feria Norte"
        #[arg(long)]
        venue: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show the fleet
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Take an agent's right back, at once
    Revoke {
        #[command(flatten)]
        asked: Asked,
        /// Its id, as in the list
        #[arg(value_name = "AGENT_ID")]
        agent: AgentId,
    },
}

// Commands about tokens.
#[derive(clap::Subcommand)]
pub enum Token {
    /// Make an API token; it is shown once
    Create {
        #[command(flatten)]
        asked: Asked,
        /// What it may do
        #[arg(long)]
        role: Role,
    },
}

// Commands about people.
#[derive(clap::Subcommand)]
pub enum User {
    /// Make a person who signs in; the password is shown once
    Create {
        #[command(flatten)]
        asked: Asked,
        /// The name to sign in with
        #[arg(long)]
        name: String,
        /// What they may do
        #[arg(long)]
        role: Role,
    },
    /// Give a person a new password; ends their sessions
    Password {
        #[command(flatten)]
        asked: Asked,
        /// The name they sign in with
        #[arg(long)]
        name: String,
    },
    /// Show everybody who signs in
    List {
        #[command(flatten)]
        asked: Asked,
    },
}

// Commands about the rules of identity.
#[derive(clap::Subcommand)]
pub enum Rules {
    /// Print the rules in force as TOML, to be changed and tried out
    Show {
        #[command(flatten)]
        asked: Asked,
        /// An older version of them
        #[arg(long)]
        version: Option<u32>,
    },
    /// Say what rules would merge and split, with examples; changes nothing
    Simulate {
        #[command(flatten)]
        asked: Asked,
        /// The other rules
        #[arg(value_name = "RULES.toml")]
        file: PathBuf,
    },
    /// Bring rules into force: everything is derived by them beside what is shown, and then shown; waits for that
    Publish {
        #[command(flatten)]
        asked: Asked,
        /// The rules
        #[arg(value_name = "RULES.toml")]
        file: PathBuf,
        /// Why, for whoever looks at it in a year
        #[arg(long)]
        reason: String,
    },
}

impl Rules {
    /// What every one of them has.
    pub fn asked(&self) -> &Asked {
        match self {
            Self::Show { asked, .. }
            | Self::Simulate { asked, .. }
            | Self::Publish { asked, .. } => asked,
        }
    }
}

// Commands about matching.
#[derive(clap::Subcommand)]
pub enum Match {
    /// Learn how alike records of one person are, from the customers that there are, without labels; prints the rules in force with
    /// those weights as TOML, for `rules simulate` and `rules publish`; changes nothing
    Train {
        #[command(flatten)]
        asked: Asked,
        /// Whose weights hold where little is seen: es or en
        #[arg(long, default_value = "es", value_parser = language)]
        from: Language,
    },
}

fn language(text: &str) -> Result<Language, String> {
    match text {
        "es" => Ok(Language::Es),
        "en" => Ok(Language::En),
        _ => Err("es or en".into()),
    }
}

// Commands that write everything.
#[derive(clap::Subcommand)]
pub enum Export {
    /// Every customer, sorted by id
    Customers {
        #[command(flatten)]
        settings: Settings,
    },
    /// Every stored event once, in the order of the log
    Events {
        #[command(flatten)]
        settings: Settings,
    },
}

pub fn zone(text: &str) -> Result<String, Advised> {
    check::zone(text).map(|()| text.to_owned())
}
