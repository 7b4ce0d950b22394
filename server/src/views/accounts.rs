//! Accounts and households: the list, one of them with who belongs to it as what, and the form that says so.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    account::Relation,
    id::{AccountId, CustomerId},
    net::error::HttpError,
    store::{StoreError, View},
};

use super::{
    fact,
    page::{Frame, Visitor, encoded, respond, see_other},
    session::Posted,
    text::Lang,
};
use crate::{
    app::App,
    customer::{
        accounts::{self, Account, Roles},
        lookup, record,
        relate::Relating,
    },
    http::api::{Said, no_account, read, relate, today},
    tables::Role,
};

/// Accounts of a page.
const SHOWN_MAX: usize = 50;
/// Longest name of a person in that of a household. Unit: characters.
const NAME_CHARS_MAX: usize = 60;
/// Most persons in the picture.
const DRAWN_MAX: usize = 12;
/// Distance of the persons in the picture. Unit: px.
const ROW_PX: usize = 58;

/// Which accounts.
#[derive(Deserialize, Default)]
pub struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
    /// Whom the form is about.
    #[serde(default)]
    person: String,
}

/// One account of the list.
struct Line {
    path: String,
    name: String,
    kind: &'static str,
    last: String,
}

/// Who is to be added: what was typed, and what is wrong with it.
#[derive(Default)]
struct Form {
    sent: Sent,
    wrong: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    q: String,
    accounts: Vec<Line>,
    next: Option<String>,
    form: Form,
}

/// `GET /LANG/accounts`
pub async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, HttpError> {
    let form = Form {
        sent: Sent {
            person: asked.person.clone(),
            ..Sent::default()
        },
        wrong: None,
    };
    listed(&app, visitor.frame, asked, form).await
}

async fn listed(app: &App, frame: Frame, asked: Asked, form: Form) -> Result<Response, HttpError> {
    // A cursor that is none begins the list anew: the address was cut.
    let after = asked.after.parse::<AccountId>().ok();
    let (decisions, query) = (app.resolver.decisions(), asked.q.clone());
    let (found, next) = read(app, move |app, view| {
        let key = &app.applier.id_key;
        accounts::list(view, key, decisions.active(), &query, after, SHOWN_MAX)
    })
    .await?;
    let times = frame.times(app);
    let lines = found.iter().map(|account| Line {
        path: frame.at(&format!("/accounts/{}", account.id)),
        name: name(&frame, account),
        kind: kind(frame.t, account),
        last: account
            .row
            .whole
            .last_ms
            .map(|at_ms| times.day(at_ms))
            .unwrap_or_default(),
    });
    respond(&AccountsPage {
        accounts: lines.collect(),
        next: next.map(|id| format!("?q={}&after={id}", encoded(&asked.q))),
        q: asked.q,
        form,
        frame,
    })
}

/// What to call it on a page.
pub fn name(frame: &Frame, account: &Account) -> String {
    if account.is_nameless() {
        return home_of(frame, account);
    }
    // What a household is called names people.
    if frame.masked() && account.household {
        return trenza_shared::fragment::mask::name(&account.name());
    }
    account.name()
}

/// A household by those who live there.
fn home_of(frame: &Frame, account: &Account) -> String {
    let t = frame.t;
    let each = account.living.iter();
    let each = each.map(|customer| fact::title(t, customer, frame.masked()));
    let names: Vec<String> = each.map(|name| fact::cut(&name, NAME_CHARS_MAX)).collect();
    match names.split_last() {
        None => t.home_nobody().to_owned(),
        Some((last, [])) => format!("{} {last}", t.home_of()),
        Some((last, rest)) => {
            format!(
                "{} {} {} {last}",
                t.home_of(),
                rest.join(", "),
                t.home_and()
            )
        }
    }
}

/// What it is.
pub fn kind(t: Lang, account: &Account) -> &'static str {
    if account.household {
        t.a_household()
    } else {
        t.organisation()
    }
}

/// One role in words.
pub struct Held {
    /// What they are.
    pub role: String,
    /// Decides, pays, uses, prescribes.
    pub marks: Vec<&'static str>,
    /// How much say.
    pub weight: String,
    /// From when to when.
    pub span: String,
    /// Whether it holds today.
    pub current: bool,
    /// Who said it.
    pub source: String,
}

/// Roles in words.
pub fn held(t: Lang, roles: &Roles, today: i32) -> Vec<Held> {
    let shown = roles.iter().map(|said| {
        let relation = &said.value;
        let marks = [
            (relation.decides, t.decides()),
            (relation.pays, t.pays()),
            (relation.uses, t.uses()),
            (relation.prescribes, t.prescribes()),
        ];
        Held {
            role: if relation.role.is_empty() {
                t.member().to_owned()
            } else {
                relation.role.clone()
            },
            marks: marks
                .into_iter()
                .filter(|(holds, _)| *holds == Some(true))
                .map(|(_, mark)| mark)
                .collect(),
            weight: relation
                .weight
                .map(|weight| format!("{weight} %"))
                .unwrap_or_default(),
            span: span(t, relation),
            current: relation.holds(today),
            source: said.marker.source.clone(),
        }
    });
    shown.collect()
}

fn span(t: Lang, relation: &Relation) -> String {
    match (
        relation.from.map(Relation::date),
        relation.to.map(Relation::date),
    ) {
        (None, None) => String::new(),
        (Some(from), None) => format!("{} {from}", t.since_day()),
        (None, Some(to)) => format!("{} {to}", t.to_day()),
        (Some(from), Some(to)) => format!("{from} – {to}"),
    }
}

/// One who belongs to it.
struct Belonging {
    title: String,
    path: String,
    roles: Vec<Held>,
}

/// One box of the picture.
struct Drawn {
    y: usize,
    title: String,
    text: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    title: String,
    /// The same, as long as fits in the picture.
    short: String,
    kind: &'static str,
    group_id: String,
    traits: Vec<(String, String, String)>,
    members: Vec<Belonging>,
    more: bool,
    decider: bool,
    drawn: Vec<Drawn>,
    height: usize,
    form: Form,
    done: bool,
}

/// What the detail is asked with.
#[derive(Deserialize)]
pub struct Notice {
    #[serde(default)]
    done: String,
}

/// `GET /LANG/accounts/ID`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(notice): Query<Notice>,
) -> Result<Response, HttpError> {
    let id: AccountId = id.parse().map_err(|_| no_account())?;
    shown(&app, visitor.frame, id, !notice.done.is_empty(), None).await
}

async fn shown(
    app: &App,
    frame: Frame,
    id: AccountId,
    done: bool,
    form: Option<Form>,
) -> Result<Response, HttpError> {
    let decisions = app.resolver.decisions();
    let found = read(app, move |app, view| {
        accounts::one(view, &app.applier.id_key, decisions.active(), &id)
    });
    let whole = found.await?.ok_or_else(no_account)?;
    let (t, masked, today, times) = (frame.t, frame.masked(), today(app), frame.times(app));
    let members: Vec<Belonging> = whole
        .members
        .iter()
        .map(|member| Belonging {
            title: fact::title(t, &member.record.customer, masked),
            path: frame.at(&format!("/customers/{}", member.record.id)),
            roles: held(t, &member.roles, today),
        })
        .collect();
    let decides = |member: &accounts::Member| {
        let mut roles = member.roles.iter();
        roles.any(|one| one.value.decides == Some(true) && one.value.holds(today))
    };
    let traits = whole.account.row.whole.traits.iter().map(|(name, said)| {
        let value = fact::plain_text(t, name, &said.value, masked && whole.account.household);
        let source = format!("{}, {}", said.marker.source, times.day(said.marker.at_ms));
        let title = match name.as_str() {
            "name" => t.name(),
            name => t.field(name),
        };
        (title.to_owned(), fact::cut(&value, 200), source)
    });
    let drawn = drawn(&members);
    let page = AccountPage {
        short: fact::cut(&name(&frame, &whole.account), 26),
        title: name(&frame, &whole.account),
        kind: kind(t, &whole.account),
        group_id: if whole.account.is_nameless() || (masked && whole.account.household) {
            String::new()
        } else {
            whole.account.row.value.clone()
        },
        traits: traits.collect(),
        decider: whole.members.iter().any(decides),
        height: drawn.len().max(1) * ROW_PX + 10,
        drawn,
        more: whole.more,
        members,
        form: form.unwrap_or_else(|| Form {
            sent: Sent {
                account: id.to_string(),
                ..Sent::default()
            },
            wrong: None,
        }),
        done,
        frame,
    };
    respond(&page)
}

/// Who belongs to it today, around it.
fn drawn(members: &[Belonging]) -> Vec<Drawn> {
    let today = members.iter().filter_map(|member| {
        let current: Vec<&Held> = member.roles.iter().filter(|one| one.current).collect();
        if current.is_empty() && !member.roles.is_empty() {
            return None;
        }
        let texts = current.iter().map(|one| {
            let parts = [one.role.as_str()].into_iter().chain(one.marks.clone());
            parts.collect::<Vec<_>>().join(" · ")
        });
        let text = texts.collect::<Vec<_>>().join("; ");
        Some((fact::cut(&member.title, 34), fact::cut(&text, 46)))
    });
    today
        .take(DRAWN_MAX)
        .enumerate()
        .map(|(nth, (title, text))| Drawn {
            y: nth * ROW_PX + 6,
            title,
            text,
        })
        .collect()
}

/// What is sent to say that somebody belongs to an account.
#[derive(Deserialize, Default)]
pub struct Sent {
    #[serde(default)]
    account: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    person: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    weight: String,
    #[serde(default)]
    decides: String,
    #[serde(default)]
    pays: String,
    #[serde(default)]
    uses: String,
    #[serde(default)]
    prescribes: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// `POST /LANG/accounts`
pub async fn add(
    State(app): State<App>,
    Posted(visitor, sent): Posted<Sent>,
) -> Result<Response, HttpError> {
    visitor.caller.at_least(Role::Steward)?;
    let frame = visitor.frame;
    let account = match sent.account.as_str() {
        "" => None,
        text => Some(text.parse::<AccountId>().map_err(|_| no_account())?),
    };
    let typed = sent.person.clone();
    let found = read(&app, move |app, view| persons(app, view, &typed)).await?;
    let [person] = found[..] else {
        let wrong = if found.is_empty() {
            frame.t.person_nobody()
        } else {
            frame.t.person_several()
        };
        return again(&app, frame, sent, account, wrong).await;
    };
    let checked = |text: &str| (!text.is_empty()).then_some(true);
    let weight = match sent.weight.trim() {
        "" => None,
        text => match text.parse::<u64>() {
            Ok(weight) => Some(weight),
            Err(_) => {
                let wrong = frame.t.error_bad_text();
                return again(&app, frame, sent, account, wrong).await;
            }
        },
    };
    let said = Said {
        account,
        group_id: None,
        name: sent.name.clone(),
        household: sent.kind == trenza_shared::account::HOUSEHOLD,
        person,
        relating: Relating {
            role: sent.role.clone(),
            weight,
            decides: checked(&sent.decides),
            pays: checked(&sent.pays),
            uses: checked(&sent.uses),
            prescribes: checked(&sent.prescribes),
            from: sent.from.clone(),
            to: sent.to.clone(),
        },
    };
    let related = relate(&app, &visitor.caller.who, said).await?;
    Ok(see_other(
        &frame.at(&format!("/accounts/{}?done=1", related.account)),
    ))
}

/// The form once more, with what is wrong.
async fn again(
    app: &App,
    frame: Frame,
    sent: Sent,
    account: Option<AccountId>,
    wrong: &'static str,
) -> Result<Response, HttpError> {
    let form = Form {
        sent,
        wrong: Some(wrong),
    };
    match account {
        Some(id) => shown(app, frame, id, false, Some(form)).await,
        None => listed(app, frame, Asked::default(), form).await,
    }
}

/// Whom a text means: a record's id, or a whole value of theirs.
fn persons(app: &App, view: &dyn View, text: &str) -> Result<Vec<CustomerId>, StoreError> {
    let text = text.trim();
    let key = &app.applier.id_key;
    if let Ok(id) = text.parse::<CustomerId>() {
        let found = record::group_by_id(view, key, &id)?;
        return Ok(found
            .map(|(_, group)| app.applier.customer(&group.seed))
            .into_iter()
            .collect());
    }
    let groups = lookup::groups(view, &fact::guesses(app, text))?;
    Ok(groups
        .iter()
        .map(|group| app.applier.customer(&group.seed))
        .collect())
}
