//! Why two values are one person's, or are not.

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
        why::{Context, Explained, Proof, explain, reason_shown},
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
        if other.is_empty() {
            return match own(to) {
                Ok(two) => self
                    .explained(&one, &two, None)
                    .map(|answer| Ok(Answered::Answer(Box::new(answer)))),
                Err(error) => Ok(Err(error)),
            };
        }
        let guesses = fact::guesses(self.app, other);
        for guess in guesses.clone() {
            if self.record.customer.identifiers.contains_key(&guess)
                && !self.record.shared().contains(&guess)
            {
                return self
                    .explained(&one, &guess, None)
                    .map(|answer| Ok(Answered::Answer(Box::new(answer))));
            }
            let mut groups = lookup::groups(self.view, std::slice::from_ref(&guess))?;
            groups.retain(|group| group.seed != self.record.group.seed);
            if let Some(group) = groups.into_iter().next() {
                let stranger = load(self.view, key, group)?;
                return self
                    .explained(&one, &guess, Some(&stranger))
                    .map(|answer| Ok(Answered::Answer(Box::new(answer))));
            }
        }
        Ok(Ok(Answered::Nobody(self.nobody(other, &guesses))))
    }

    /// Why what was typed is nobody's. Of a bare text nobody knows the kind unless its look says so, or the rules list it.
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
            return t.other_unknown().to_owned();
        };
        let said = joined(&apart(&[nobodys(blocked, rules)], self.frame.masked()));
        t.pick(said.es, said.en)
    }

    fn explained(
        &self,
        one: &Identifier,
        two: &Identifier,
        stranger: Option<&Record>,
    ) -> Result<Answer, StoreError> {
        let (t, key) = (self.frame.t, &self.app.applier.id_key);
        let sides = [one, two].map(|value| End::Value(vec![value.clone()]));
        let (from, to) = match stranger {
            // A value that several records share names none of them: the other record itself is meant.
            Some(other) => (
                End::Customer {
                    member: self.record.group.seed,
                    group: self.record.group.clone(),
                },
                End::Customer {
                    member: other.group.seed,
                    group: other.group.clone(),
                },
            ),
            None => {
                let [from, to] = sides;
                (from, to)
            }
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
        let other = stranger.map(|other| self.other(other, two));
        let pick = |Sentence { es, en }: &Sentence| t.pick(es.clone(), en.clone());
        Ok(Answer {
            linked,
            same_record: stranger.is_none(),
            sentences: sentences(
                t,
                self.times,
                self.context,
                &explained.why,
                &explained.steps,
            ),
            because: explained.because.iter().map(pick).collect(),
            version: self.context.rules.version,
            steps,
            against: self.against(&explained)?,
            other,
            one: fact::reference(key, one),
            two: fact::reference(key, two),
        })
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
fn sentences(
    t: Lang,
    times: &Times,
    context: &Context<'_>,
    why: &Why,
    proofs: &[Proof],
) -> Vec<String> {
    let seen = |node: &Fingerprint| {
        let proof = proofs
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
    match why {
        Why::Linked(steps) if steps.is_empty() => vec![say(Why::Linked(Vec::new()))],
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
