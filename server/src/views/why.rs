//! Why two values are one person's, or are not.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use serde::Deserialize;
use trenza_shared::{
    id::Fingerprint,
    identifier::{Identifier, Kind},
    identity::{
        Competing, End, Evidence, Others, Seen, Sentence, Step, Why, against, agreement, apart,
        customer_id, joined, nobodys, sentence,
    },
    net::error::HttpError,
    store::{StoreError, View},
};

use super::{
    fact::{self, Fact},
    graph::place,
    page::{Frame, Visitor, respond},
    text::Lang,
    time::Times,
};
use crate::{
    app::App,
    customer::{
        lookup,
        record::{self, Record, load},
        review,
        why::{CUSTOMER, Context, Explained, Proof, explain, reason_shown},
    },
    http::api::read,
};

/// Longest text of another record's value. Unit: bytes.
const OTHER_BYTES_MAX: usize = 300;
/// Most records that are named beside what speaks against one person.
const OTHERS_MAX: usize = 8;

/// What is asked: two values of the record, or one of it and one of another.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    other: String,
}

/// One step of a chain.
struct Shown {
    from: Fact,
    to: Fact,
    place: String,
    at: String,
    message: String,
    agent: String,
    /// Who decided so, and why, where a decision is the evidence.
    decision: Option<(String, String)>,
    /// What the records agree on, where that is the evidence.
    agree: Option<String>,
}

/// What speaks against one person.
struct Against {
    says: String,
    /// Some of the others that hold the value.
    others: Vec<Other>,
}

/// Another record.
struct Other {
    title: String,
    path: String,
    id: String,
    reference: String,
}

/// The answer.
struct Answer {
    linked: bool,
    /// Whether both values are of this record.
    same_record: bool,
    sentences: Vec<String>,
    /// By which rules the steps link.
    because: Vec<String>,
    /// The version of the rules.
    version: u32,
    steps: Vec<Shown>,
    /// What speaks against it, where it is one person.
    against: Vec<Against>,
    other: Option<Other>,
    /// References of the two values.
    one: String,
    two: String,
}

enum Answered {
    Nothing,
    /// The other value is nobody's, in words.
    Nobody(String),
    Answer(Box<Answer>),
}

#[derive(Template)]
#[template(path = "why.html")]
struct WhyPage {
    frame: Frame,
    title: String,
    id: String,
    path: String,
    facts: Vec<Fact>,
    from: String,
    to: String,
    other: String,
    nobody: Option<String>,
    answer: Option<Box<Answer>>,
}

/// `GET /LANG/customers/ID/why`
pub async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, HttpError> {
    let frame = visitor.frame;
    let (shown, times) = (frame.clone(), frame.times(&app));
    let decisions = app.resolver.decisions();
    let (from, to, other) = (
        asked.from,
        asked.to,
        fact::cut(asked.other.trim(), OTHER_BYTES_MAX),
    );
    let question = (from.clone(), to.clone(), other.clone());
    let found = read(&app, move |app, view| {
        let Some(record) = fact::record(view, app, &id)? else {
            return Ok(None);
        };
        let context = Context {
            decisions: &decisions,
            rules: &app.applier.rules.now(),
            registry: &app.registry,
            id_key: &app.applier.id_key,
            zone: &app.config.place.zone,
            masked: shown.masked(),
        };
        let asking = Asking {
            view,
            app,
            frame: &shown,
            times: &times,
            context: &context,
            record: &record,
        };
        let (from, to, other) = question;
        let answer = asking.answer(&from, &to, &other)?;
        let key = &app.applier.id_key;
        let facts: Vec<Fact> = record
            .customer
            .identifiers
            .keys()
            .map(|one| Fact::new(shown.t, key, one, shown.masked()))
            .collect();
        Ok(Some((
            record.id,
            fact::title(shown.t, &record.customer, shown.masked()),
            facts,
            answer,
        )))
    });
    let (id, title, facts, answer) = found.await?.ok_or_else(fact::no_record)?;
    let answer = answer?;
    let path = frame.at(&format!("/customers/{id}"));
    // Asked for nothing, the first two values are offered.
    let pick = |given: String, index: usize| {
        if given.is_empty() {
            facts
                .get(index)
                .map(|fact| fact.reference.clone())
                .unwrap_or_default()
        } else {
            given
        }
    };
    let (from, to) = (pick(from, 0), pick(to, 1));
    let (nobody, answer) = match answer {
        Answered::Nothing => (None, None),
        Answered::Nobody(says) => (Some(says), None),
        Answered::Answer(answer) => (None, Some(answer)),
    };
    respond(&WhyPage {
        frame,
        title,
        id: id.to_string(),
        path,
        facts,
        from,
        to,
        other,
        nobody,
        answer,
    })
}

/// What a value of the record is compared with.
enum Two {
    /// Another value of it.
    Own(Identifier),
    /// Another record, and the value by which it was asked for.
    Other(Box<Record>, Option<Identifier>),
}

struct Asking<'a> {
    view: &'a dyn View,
    app: &'a App,
    frame: &'a Frame,
    times: &'a Times,
    context: &'a Context<'a>,
    record: &'a Record,
}

impl Asking<'_> {
    /// The inner error: a value has left the record.
    fn answer(
        &self,
        from: &str,
        to: &str,
        other: &str,
    ) -> Result<Result<Answered, HttpError>, StoreError> {
        let key = &self.app.applier.id_key;
        let own = |reference: &str| fact::referred(key, self.record, reference);
        if from.is_empty() || (to.is_empty() && other.is_empty()) {
            return Ok(Ok(Answered::Nothing));
        }
        let one = match own(from) {
            Ok(one) => one,
            Err(error) => return Ok(Err(error)),
        };
        let answered = |answer| Ok(Ok(Answered::Answer(Box::new(answer))));
        if other.is_empty() {
            return match own(to) {
                Ok(two) => answered(self.explained(&one, &Two::Own(two))?),
                Err(error) => Ok(Err(error)),
            };
        }
        if let Ok(id) = other.strip_prefix(CUSTOMER).unwrap_or(other).parse()
            && let Some(record) = record::by_id(self.view, key, &id)?
        {
            return answered(self.explained(&one, &Two::Other(Box::new(record), None))?);
        }
        let guesses = fact::guesses(self.app, other);
        for guess in guesses.clone() {
            if self.record.customer.identifiers.contains_key(&guess)
                && !self.record.shared().contains(&guess)
            {
                return answered(self.explained(&one, &Two::Own(guess))?);
            }
            let mut groups = lookup::groups(self.view, std::slice::from_ref(&guess))?;
            groups.retain(|group| group.seed != self.record.group.seed);
            if let Some(group) = groups.into_iter().next() {
                let record = Box::new(load(self.view, key, group)?);
                return answered(self.explained(&one, &Two::Other(record, Some(guess)))?);
            }
        }
        Ok(Ok(Answered::Nobody(self.nobody(other, &guesses))))
    }

    /// Why what was typed is nobody's. Of a bare text nobody knows the kind unless its look says so, or the rules list it: then the kinds
    /// that the rules leave out are told.
    fn nobody(&self, other: &str, guesses: &[Identifier]) -> String {
        let (t, rules) = (self.frame.t, self.context.rules);
        let is_meant = |one: &&Identifier| {
            let named = other
                .split_once(':')
                .is_some_and(|(kind, _)| kind == one.kind.name());
            let looks = matches!(one.kind, Kind::NationalId | Kind::Email | Kind::Phone);
            named || looks || rules.blocked.holds(one)
        };
        let blocked = guesses
            .iter()
            .filter(|one| rules.blocks(one))
            .find(is_meant);
        let Some(blocked) = blocked else {
            let kinds = guesses.iter().filter(|one| rules.blocks(one));
            let kinds: BTreeSet<&str> = kinds.map(|one| one.kind.name()).collect();
            let kinds: Vec<&str> = kinds.into_iter().collect();
            return match kinds.first() {
                None => t.other_unknown().to_owned(),
                Some(first) => format!(
                    "{} {} {} ({first}:{other}).",
                    t.other_unknown(),
                    t.other_left_out(),
                    kinds.join(", ")
                ),
            };
        };
        let said = joined(&apart(&[nobodys(blocked, rules)], self.frame.masked()));
        t.pick(said.es, said.en)
    }

    fn explained(&self, one: &Identifier, two: &Two) -> Result<Answer, StoreError> {
        let (t, key) = (self.frame.t, &self.app.applier.id_key);
        let whole = |record: &Record| End::Customer {
            member: record.group.seed,
            group: record.group.clone(),
        };
        let (from, to) = match two {
            // A value that several records share names none of them: the other record itself is meant.
            Two::Other(record, _) => (whole(self.record), whole(record)),
            Two::Own(two) => (End::Value(vec![one.clone()]), End::Value(vec![two.clone()])),
        };
        let explained = explain(
            self.view,
            self.context,
            Some(&self.record.group),
            &from,
            &to,
        )?;
        let linked = matches!(explained.why, Why::Linked(_));
        let steps = explained
            .steps
            .iter()
            .map(|proof| self.step(proof))
            .collect();
        let subjects = self.subjects(one, two)?;
        let [one, two_value] = subjects.each_ref().map(|value| fact::reference(key, value));
        let (same_record, other) = match two {
            Two::Own(_) => (true, None),
            Two::Other(record, _) if record.group.seed == self.record.group.seed => (false, None),
            Two::Other(record, _) => (false, Some(self.other(record, &subjects[1]))),
        };
        let pick = |Sentence { es, en }: &Sentence| t.pick(es.clone(), en.clone());
        Ok(Answer {
            linked,
            same_record,
            sentences: sentences(t, self.times, self.context, &explained),
            because: explained.because.iter().map(pick).collect(),
            version: self.context.rules.version,
            steps,
            against: self.against(&explained)?,
            other,
            one,
            two: two_value,
        })
    }

    /// What a decision about the two would name: the values asked about, unless one of them names several records or none.
    fn subjects(&self, one: &Identifier, two: &Two) -> Result<[Identifier; 2], StoreError> {
        match two {
            Two::Own(two) => Ok([one.clone(), two.clone()]),
            Two::Other(record, value) => {
                let shared = [self.record.shared(), record.shared()];
                let links = |value: &Identifier| shared.iter().all(|all| !all.contains(value));
                match value {
                    Some(value) if links(one) && links(value) => Ok([one.clone(), value.clone()]),
                    _ => review::subjects(self.view, &self.record.group, &record.group),
                }
            }
        }
    }

    fn other(&self, record: &Record, value: &Identifier) -> Other {
        let (t, key, masked) = (self.frame.t, &self.app.applier.id_key, self.frame.masked());
        Other {
            title: fact::title(t, &record.customer, masked),
            path: self.frame.at(&format!("/customers/{}", record.id)),
            id: record.id.to_string(),
            reference: fact::reference(key, value),
        }
    }

    fn against(&self, explained: &Explained) -> Result<Vec<Against>, StoreError> {
        let mut all = Vec::new();
        let mut left = OTHERS_MAX;
        for one in &explained.competing {
            let Sentence { es, en } = against(one, self.frame.masked());
            let mut others = Vec::new();
            if let Competing::Held(held) = one {
                let Others {
                    value, customers, ..
                } = &**held;
                for seed in customers.iter().take(left) {
                    let id = customer_id(&self.app.applier.id_key, seed);
                    if let Some(record) = record::by_id(self.view, &self.app.applier.id_key, &id)? {
                        others.push(self.other(&record, value));
                    }
                }
                left -= others.len();
            }
            all.push(Against {
                says: self.frame.t.pick(es, en),
                others,
            });
        }
        Ok(all)
    }

    fn step(&self, proof: &Proof) -> Shown {
        let (t, key, masked) = (self.frame.t, &self.app.applier.id_key, self.frame.masked());
        let moment = proof.moment.as_ref();
        let decided = proof.decision.as_ref();
        let at_ms = moment
            .map(|moment| moment.row.at_ms)
            .or(decided.map(|decision| decision.at_ms));
        Shown {
            from: Fact::new(t, key, &proof.step.from, masked),
            to: Fact::new(t, key, &proof.step.to, masked),
            place: moment
                .map(|moment| place(&self.app.registry, moment))
                .unwrap_or_default(),
            at: at_ms
                .map(|at_ms| self.times.full(at_ms))
                .unwrap_or_default(),
            message: moment
                .map(|moment| moment.message_id(masked))
                .unwrap_or_default(),
            agent: moment
                .and_then(|moment| moment.agent())
                .map(|agent| fact::cut(&agent.to_string(), 12))
                .unwrap_or_default(),
            agree: match &proof.step.evidence {
                Evidence::Match(score) => {
                    let Sentence { es, en } = agreement(score);
                    Some(t.pick(es, en))
                }
                Evidence::Node(_) | Evidence::Decision(_) => None,
            },
            decision: decided.map(|decision| {
                (
                    decision.by.clone(),
                    reason_shown(decision, masked).to_owned(),
                )
            }),
        }
    }
}

/// One sentence per step, or per reason.
fn sentences(t: Lang, times: &Times, context: &Context<'_>, explained: &Explained) -> Vec<String> {
    let seen = |node: &Fingerprint| {
        let proof = explained
            .steps
            .iter()
            .find(|proof| proof.step.evidence == Evidence::Node(*node))?;
        let moment = proof.moment.as_ref()?;
        Some(Seen {
            place: place(context.registry, moment),
            date: times.day(moment.row.at_ms),
        })
    };
    let say = |why: Why| {
        let Sentence { es, en } = sentence(&why, context.masked, &seen);
        t.pick(es, en)
    };
    match &explained.why {
        Why::Linked(steps) if steps.is_empty() => {
            let Sentence { es, en } = explained.sentence.clone();
            vec![t.pick(es, en)]
        }
        Why::Linked(steps) => steps
            .iter()
            .map(|step: &Step| say(Why::Linked(vec![step.clone()])))
            .collect(),
        Why::Apart(reasons) => apart(reasons, context.masked)
            .into_iter()
            .map(|Sentence { es, en }| t.pick(es, en))
            .collect(),
    }
}
