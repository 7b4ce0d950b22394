//! Says that somebody belongs to an account: captures the event that says so, like any other.

use trenza_shared::{
    group_commit::GroupError,
    id::{AccountId, CustomerId, to_hex},
    identifier::Place,
    net::error::HttpError,
    wire::entry::{Entry, Open},
};

use super::{read, today};
use crate::{
    admin::{NewSource, access},
    app::{App, random},
    customer::{
        accounts::{self, Account},
        record,
        relate::{Relating, To, Unfit, event},
    },
    sync::log::{Arrival, Placed},
    tables::{Hop, SourceRow},
};

/// Name of the source under which people's own statements are captured.
const SOURCE: &str = "Trenza";
/// When to come back after the store could not write. Unit: seconds.
const RETRY_AFTER_S: u32 = 2;

/// What is to be said.
pub struct Said {
    /// Of which account; none for a new one.
    pub account: Option<AccountId>,
    /// What a new one is called by its issuer; none makes an id up.
    pub group_id: Option<String>,
    /// What to call it.
    pub name: String,
    /// Whether it is a household.
    pub household: bool,
    /// Of whom.
    pub person: CustomerId,
    /// As what.
    pub relating: Relating,
}

/// What was done.
pub struct Related {
    /// The account.
    pub account: AccountId,
    /// The event that says so.
    pub message_id: String,
    /// Whether it is shown already.
    pub resolved: bool,
}

/// Captures it under the name of `who`.
///
/// # Errors
/// There is no such account or person, something is not what it should be, or nothing can be stored.
pub async fn relate(app: &App, who: &str, said: Said) -> Result<Related, HttpError> {
    let Said {
        account,
        group_id,
        name,
        household,
        person,
        relating,
    } = said;
    let decisions = app.resolver.decisions();
    let named = account.or_else(|| {
        let value = group_id.as_deref().map(str::trim).unwrap_or_default();
        let id = || trenza_shared::account::account_id(&app.applier.id_key, "", value);
        (!value.is_empty()).then(id)
    });
    let (role, day) = (relating.role.trim().to_owned(), today(app));
    let (known, person, held) = read(app, move |app, view| {
        let key = &app.applier.id_key;
        let known = match account {
            Some(id) => accounts::find(view, key, decisions.active(), &id)?,
            None => None,
        };
        let person = record::by_id(view, key, &person)?;
        let belongs = match &person {
            Some(person) => accounts::of(view, key, decisions.active(), person)?,
            None => Vec::new(),
        };
        let here = |(account, _): &(Account, accounts::Roles)| Some(account.id) == named;
        let mut roles = belongs
            .into_iter()
            .filter(here)
            .flat_map(|(_, roles)| roles);
        let held = roles.find(|one| one.value.role == role);
        Ok((known, person, held.map(|one| one.value)))
    })
    .await?;
    let relating = match &held {
        Some(held) => relating.over(held, day),
        None => relating,
    };
    if account.is_some() && known.is_none() {
        return Err(no_account());
    }
    let person = person.ok_or_else(|| {
        HttpError::not_found("person: there is no such customer")
            .hint("GET /v1/customers?q=TEXT finds customers")
    })?;
    let scope = known
        .as_ref()
        .map_or_else(String::new, |account| account.row.scope.clone());
    let (key, source) = source(app, &scope).await?;
    let to = to(known, group_id, name, household);
    let message_id = format!("rel-{}", to_hex(&random::<16>()));
    let place = Place {
        country: &source.country,
        namespace: &source.namespace,
    };
    let now_ms = app.clock.wall_ms();
    let event = event(&person, &to, &relating, who, now_ms, &message_id, &place)
        .map_err(|unfit| refused(&unfit))?;
    let open = Open::own(now_ms, app.clock.boottime_ms(), key, event.kind);
    let entries = [Entry::clear(&open, &event.text)];
    let placed = app
        .append(Arrival::own(now_ms, Hop::Own, &entries))
        .await
        .map_err(|error| match error {
            GroupError::Closed => {
                HttpError::unavailable("stopping", "the server is stopping", RETRY_AFTER_S)
            }
            GroupError::Busy => {
                HttpError::unavailable("busy", "too many requests wait to be stored", RETRY_AFTER_S)
            }
            GroupError::Refused(error) => HttpError::internal(error),
        })?;
    let resolved = match placed {
        Placed::Own(record) => app.resolved(record).await,
        Placed::Frame { .. } => false,
    };
    let account = trenza_shared::account::account_id(&app.applier.id_key, &scope, &to.value);
    tracing::info!(account.id = %account, relation.by = %who, "relation stated");
    Ok(Related {
        account,
        message_id,
        resolved,
    })
}

fn to(known: Option<Account>, group_id: Option<String>, name: String, household: bool) -> To {
    match known {
        // A household that a decision made becomes one by its events, too.
        Some(account) => To {
            household: household || account.household,
            value: account.row.value,
            name,
        },
        None => To {
            value: group_id
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| format!("group-{}", to_hex(&random::<8>()))),
            name,
            household,
        },
    }
}

/// The source of people's own statements about accounts of a namespace; made at the first one.
async fn source(app: &App, scope: &str) -> Result<(String, SourceRow), HttpError> {
    let name = match scope {
        "" => SOURCE.to_owned(),
        scope => format!("{SOURCE} ({scope})"),
    };
    let find = || {
        app.registry
            .sources()
            .into_iter()
            .find(|(_, row)| row.name == name && row.namespace == scope && !row.revoked)
    };
    if let Some(known) = find() {
        return Ok(known);
    }
    let new = NewSource {
        name: name.clone(),
        namespace: (!scope.is_empty()).then(|| scope.to_owned()),
        ..NewSource::default()
    };
    // Somebody else may have made it meanwhile.
    let made = access::source_create(app, new).await;
    match (find(), made) {
        (Some(known), _) => Ok(known),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(HttpError::conflict(
            "source_revoked",
            format!("the source {name:?} was taken back meanwhile"),
        )),
    }
}

fn refused(unfit: &Unfit) -> HttpError {
    match unfit {
        Unfit::Nameless => HttpError::conflict("nameless", unfit.to_string())
            .hint("only a value that links this person alone can name them in an event"),
        Unfit::Member { .. } | Unfit::Event(_) => {
            HttpError::bad_request("bad_relation", unfit.to_string())
        }
    }
}

/// 404 for an account that is not there.
pub fn no_account() -> HttpError {
    HttpError::not_found("there is no such account").hint("GET /v1/accounts?q=TEXT finds accounts")
}
