//! What to do first, in order, with this server's own values; what is done ticks itself.

use askama::Template;
use axum::{extract::State, response::Response};
use trenza_shared::{
    net::error::HttpError,
    store::{Direction, StoreError, View},
};

use super::{
    page::{Frame, Visitor, respond},
    reached::Reached,
};
use crate::{
    app::App,
    http::api::read,
    tables::{COMPONENTS, Hop, LOG, SourceRow},
};

/// Records of the log looked at from each end to see by what ways events came.
const RECORDS_MAX: usize = 12;

/// By what ways something came already.
#[derive(Clone, Copy, Default)]
struct Done {
    web: bool,
    agent: bool,
    import: bool,
    record: bool,
}

#[derive(Template)]
#[template(path = "steps.html")]
struct StepsPage {
    frame: Frame,
    done: Done,
    line: Option<String>,
    note: Option<&'static str>,
    policy: String,
    import: String,
}

/// `GET /LANG/first-steps`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    reached: Reached,
) -> Result<Response, HttpError> {
    let frame = visitor.frame;
    let done = read(&app, |app, view| done(app, view)).await?;
    let line = frame
        .admin()
        .then(|| website(&app))
        .flatten()
        .map(|key| paste_line(&reached, &key));
    let url = &reached.url;
    let policy = format!("script-src {url}; connect-src {url}");
    let settings = app.config.path("server.toml".as_ref());
    let import = format!(
        "trenza-server import --config {} --source {}",
        settings.display(),
        frame
            .t
            .pick("Clientes clientes.csv", "Customers customers.csv")
    );
    respond(&StepsPage {
        note: reached.note(frame.t),
        frame,
        done,
        line,
        policy,
        import,
    })
}

/// The line that a website takes in.
pub fn paste_line(reached: &Reached, key: &str) -> String {
    format!(
        "<script async src=\"{}/t.js\" data-write-key=\"{key}\"></script>",
        reached.url
    )
}

/// The key of the source for a website: one that is no agent's.
fn website(app: &App) -> Option<String> {
    let agents: Vec<String> = app
        .registry
        .agents()
        .into_values()
        .map(|agent| agent.write_key)
        .collect();
    let mut open: Vec<(String, SourceRow)> = app
        .registry
        .sources()
        .into_iter()
        .filter(|(key, row)| !row.revoked && !agents.contains(key))
        .collect();
    // The one that `init` makes, else the first by name.
    open.sort_by(|one, other| {
        (one.1.name != "Website", &one.1.name).cmp(&(other.1.name != "Website", &other.1.name))
    });
    open.into_iter().next().map(|(key, _)| key)
}

fn done(app: &App, view: &dyn View) -> Result<Done, StoreError> {
    let mut done = Done {
        agent: !app.registry.agents().is_empty(),
        ..Done::default()
    };
    for direction in [Direction::Forward, Direction::Back] {
        for (_, record) in LOG.scan(view, None, None, direction, RECORDS_MAX)? {
            done.web |= record.hop == Hop::Own;
            done.import |= matches!(record.hop, Hop::Import(_));
        }
    }
    done.record = !COMPONENTS
        .scan(view, None, None, Direction::Forward, 1)?
        .is_empty();
    Ok(done)
}
