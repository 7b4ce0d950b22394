//! Organisations and households, and who belongs to them as what.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trenza_shared::{
    account::Relation,
    clock::format_ms,
    crdt::Latest,
    fragment::mask,
    id::{AccountId, CustomerId},
    identity::payload::day_of,
    net::{
        error::HttpError,
        extract::{Json as Body, Path, Query},
    },
};

use super::{
    identifiers, read,
    relate::{Related, Said, no_account, relate},
};
use crate::{
    app::App,
    customer::{
        accounts::{self, Account, Member, PAGE_MAX, Roles, Whole},
        lookup,
        relate::Relating,
    },
    http::auth::Caller,
    tables::Role,
};

/// Accounts of a page when nobody says how many.
const PAGE_DEFAULT: usize = 50;
/// Longest text that is searched for. Unit: characters.
const QUERY_CHARS_MAX: usize = 200;

/// Which accounts.
#[derive(Deserialize)]
pub struct Find {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

/// `GET /v1/accounts`
pub async fn find(
    State(app): State<App>,
    caller: Caller,
    Query(find): Query<Find>,
) -> Result<Json<Value>, HttpError> {
    let after = match find.after.as_str() {
        "" => None,
        text => Some(text.parse::<AccountId>().map_err(|_| {
            HttpError::bad_request("bad_cursor", "after is no cursor of the accounts")
                .hint("give the `next` of the page before, unchanged")
        })?),
    };
    let limit = find.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let query: String = find.q.chars().take(QUERY_CHARS_MAX).collect();
    let decisions = app.resolver.decisions();
    let (found, next) = read(&app, move |app, view| {
        let key = &app.applier.id_key;
        accounts::list(view, key, decisions.active(), &query, after, limit)
    })
    .await?;
    let masked = caller.masked();
    let accounts: Vec<Value> = found.iter().map(|one| account_json(one, masked)).collect();
    Ok(Json(json!({ "accounts": accounts, "next": next })))
}

/// `GET /v1/accounts/{id}`
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, HttpError> {
    let id: AccountId = id.parse().map_err(|_| no_account())?;
    let (decisions, today) = (app.resolver.decisions(), today(&app));
    let found = read(&app, move |app, view| {
        accounts::one(view, &app.applier.id_key, decisions.active(), &id)
    });
    let Whole {
        account,
        members,
        more,
    } = found.await?.ok_or_else(no_account)?;
    let masked = caller.masked();
    let mut shown = account_json(&account, masked);
    let decides = |member: &Member| {
        let mut roles = member.roles.iter();
        roles.any(|one| one.value.decides == Some(true) && one.value.holds(today))
    };
    shown["decider_known"] = members.iter().any(decides).into();
    let of = members.iter().map(|member| {
        json!({
            "customer": member.record.id,
            "name": member.record.customer.display_name(masked),
            "roles": roles_json(&member.roles, today),
        })
    });
    shown["members"] = of.collect();
    shown["truncated"] = more.into();
    Ok(Json(shown))
}

/// That somebody belongs to an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    account: Option<AccountId>,
    #[serde(rename = "groupId")]
    group_id: Option<String>,
    #[serde(default)]
    name: String,
    r#type: Option<String>,
    person: String,
    #[serde(default)]
    role: String,
    weight: Option<u64>,
    decides: Option<bool>,
    pays: Option<bool>,
    uses: Option<bool>,
    prescribes: Option<bool>,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// `POST /v1/accounts`
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, HttpError> {
    caller.at_least(Role::Steward)?;
    let household = match asked.r#type.as_deref() {
        None | Some("") | Some("organisation") => false,
        Some(trenza_shared::account::HOUSEHOLD) => true,
        Some(_) => {
            return Err(HttpError::bad_request(
                "bad_relation",
                "type is organisation or household",
            ));
        }
    };
    if asked
        .group_id
        .as_deref()
        .is_some_and(|id| id.trim().is_empty())
    {
        return Err(HttpError::bad_request("bad_relation", "groupId is empty")
            .hint("give the account's id as its issuer knows it, or leave groupId out and one is made"));
    }
    let person = person(&app, &asked.person).await?;
    let said = Said {
        account: asked.account,
        group_id: asked.group_id,
        name: asked.name,
        household,
        person,
        relating: Relating {
            role: asked.role,
            weight: asked.weight,
            decides: asked.decides,
            pays: asked.pays,
            uses: asked.uses,
            prescribes: asked.prescribes,
            from: asked.from,
            to: asked.to,
        },
    };
    let Related {
        account,
        message_id,
        resolved,
    } = relate(&app, &caller.who, said).await?;
    Ok(Json(
        json!({ "account": account, "messageId": message_id, "resolved": resolved }),
    ))
}

/// The one customer of an id, or of a `KIND:VALUE`.
async fn person(app: &App, text: &str) -> Result<CustomerId, HttpError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let values = identifiers(app, "person", text)?;
    let groups = read(app, move |_, view| lookup::groups(view, &values)).await?;
    match groups.as_slice() {
        [one] => Ok(app.applier.customer(&one.seed)),
        [] => Err(HttpError::not_found("person: nobody holds this value")
            .hint("GET /v1/customers?q=TEXT finds customers")),
        _ => Err(HttpError::conflict(
            "ambiguous",
            format!("person: {} customers hold this value", groups.len()),
        )
        .hint("give the id of one of them")),
    }
}

/// The day by the server's clock. Unit: UTC days since 1970.
pub fn today(app: &App) -> i32 {
    day_of(app.clock.wall_ms())
}

/// An account, without those who belong to it. What a household is called names people.
pub fn account_json(account: &Account, masked: bool) -> Value {
    let hidden = masked && account.household;
    let text = |text: &str| {
        if hidden {
            mask::name(text)
        } else {
            text.to_owned()
        }
    };
    let whole = &account.row.whole;
    let mut traits = Map::new();
    for (name, said) in &whole.traits {
        let value: Value = serde_json::from_str(&said.value).unwrap_or(Value::Null);
        let value = match (masked, name.as_str()) {
            (true, "name") if !account.household => value,
            (true, name) => mask::trait_value(name, value),
            (false, _) => value,
        };
        let (source, at) = (&said.marker.source, format_ms(said.marker.at_ms));
        traits.insert(
            name.clone(),
            json!({"value": value, "source": source, "at": at}),
        );
    }
    let mut shown = json!({
        "id": account.id,
        "groupId": text(&account.row.value),
        "name": text(&account.name()),
        "household": account.household,
        "decision": account.decision,
        "traits": traits,
        "events": whole.events,
        "first_seen": whole.first_ms.map(format_ms),
        "last_seen": whole.last_ms.map(format_ms),
    });
    if !account.row.scope.is_empty() {
        shown["scope"] = account.row.scope.as_str().into();
    }
    shown
}

fn roles_json(roles: &[Latest<Relation>], today: i32) -> Value {
    let roles = roles.iter().map(|said| {
        let relation = &said.value;
        json!({
            "role": relation.role,
            "weight": relation.weight,
            "decides": relation.decides,
            "pays": relation.pays,
            "uses": relation.uses,
            "prescribes": relation.prescribes,
            "from": relation.from.map(Relation::date),
            "to": relation.to.map(Relation::date),
            "current": relation.holds(today),
            "source": said.marker.source,
            "at": format_ms(said.marker.at_ms),
        })
    });
    roles.collect()
}

/// To what a customer belongs: `accounts` or `households` of the API.
pub fn belongs_json(
    belongs: &[(Account, Roles)],
    households: bool,
    today: i32,
    masked: bool,
) -> Value {
    let of = belongs
        .iter()
        .filter(|(account, _)| account.household == households);
    let shown = of.map(|(account, roles)| {
        let mut shown = account_json(account, masked);
        if let Some(members) = shown.as_object_mut() {
            members.retain(|name, _| {
                ["id", "groupId", "name", "decision", "scope"].contains(&name.as_str())
            });
        }
        shown["roles"] = roles_json(roles, today);
        shown
    });
    shown.collect()
}
