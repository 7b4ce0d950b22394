//! What people decided about who is who: immutable, content-addressed, naming the decisions they knew.
//!
//! Owns their shape and their id. Never says which of them hold: that is `decisions`.

use serde::{Deserialize, Serialize};

use super::{
    ids::truncated,
    payload::{Encoder, kind_code},
};
use crate::{
    id::DecisionId,
    identifier::{Identifier, Kind},
};

/// Most identifiers one decision names.
pub const SUBJECTS_MAX: usize = 16;
/// Most decisions one decision names as observed. Naming the newest on each subject is enough: observing is transitive.
pub const OBSERVES_MAX: usize = 256;

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// The holders of the subjects are one person.
    Same,
    /// The holders of one subject are not the person who holds another.
    NotSame,
    /// The subjects belong to several people and link nobody.
    SharedIdentifier,
    /// The holders of the subjects live together; they stay several persons.
    Household,
    /// Nothing but to undo another decision.
    Undo,
}

impl DecisionKind {
    /// As decisions are written and read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::NotSame => "not_same",
            Self::SharedIdentifier => "shared_identifier",
            Self::Household => "household",
            Self::Undo => "undo",
        }
    }
}

/// One decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Hash of everything below.
    pub id: DecisionId,
    /// What was decided.
    pub kind: DecisionKind,
    /// Whom it is about: sorted, each once.
    pub subjects: Vec<Identifier>,
    /// Why, in the author's words.
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// When, by the server that took it in. Only shown; never evaluated. Unit: ms since 1970.
    pub at_ms: i64,
    /// The decisions its author knew: sorted, each once.
    pub observes: Vec<DecisionId>,
    /// The decision it takes back.
    pub undoes: Option<DecisionId>,
}

/// A decision that cannot be taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadDecision {
    /// Too few or too many subjects.
    #[error(
        "a decision of kind {} names {min} to {SUBJECTS_MAX} different identifiers, got {got}",
        .kind.name()
    )]
    Subjects {
        /// What was to be decided.
        kind: DecisionKind,
        /// Fewest subjects of that kind.
        min: usize,
        /// Subjects given.
        got: usize,
    },
    /// A record declared shared.
    #[error("only a value can be shared: name it, not a record that holds it")]
    SharedRecord,
    /// Too many observed decisions.
    #[error(
        "a decision names at most {OBSERVES_MAX} observed decisions, got {got}; name only the newest on its subjects"
    )]
    Observes {
        /// Given.
        got: usize,
    },
    /// An undo that names nothing to undo.
    #[error("an undo names the decision it takes back in `undoes`")]
    NothingToUndo,
    /// The id is not the hash of the content.
    #[error("decision {got} has the content of {expected}: it was changed on its way")]
    WrongId {
        /// The id it came with.
        got: DecisionId,
        /// The hash of its content.
        expected: DecisionId,
    },
}

impl Decision {
    /// Makes a decision: sorts and dedupes what it names, and gives it its id.
    ///
    /// # Errors
    /// [`BadDecision`] when it names too few or too many identifiers or decisions.
    pub fn new(
        kind: DecisionKind,
        subjects: Vec<Identifier>,
        reason: impl Into<String>,
        by: impl Into<String>,
        at_ms: i64,
        observes: Vec<DecisionId>,
        undoes: Option<DecisionId>,
    ) -> Result<Self, BadDecision> {
        let mut decision = Self {
            id: DecisionId([0; 16]),
            kind,
            subjects,
            reason: reason.into(),
            by: by.into(),
            at_ms,
            observes,
            undoes,
        };
        decision.subjects.sort();
        decision.subjects.dedup();
        decision.observes.sort();
        decision.observes.dedup();
        decision.check_shape()?;
        decision.id = decision.content_id();
        Ok(decision)
    }

    /// A decision that only takes back `target`.
    #[must_use]
    pub fn undo(
        target: DecisionId,
        reason: impl Into<String>,
        by: impl Into<String>,
        at_ms: i64,
    ) -> Self {
        let mut decision = Self {
            id: DecisionId([0; 16]),
            kind: DecisionKind::Undo,
            subjects: Vec::new(),
            reason: reason.into(),
            by: by.into(),
            at_ms,
            observes: vec![target],
            undoes: Some(target),
        };
        decision.id = decision.content_id();
        decision
    }

    /// Checks one that came from outside.
    ///
    /// # Errors
    /// [`BadDecision`]: what is wrong with its shape, or that its id is not its content's.
    pub fn check(&self) -> Result<(), BadDecision> {
        self.check_shape()?;
        let expected = self.content_id();
        if expected == self.id {
            Ok(())
        } else {
            Err(BadDecision::WrongId {
                got: self.id,
                expected,
            })
        }
    }

    fn check_shape(&self) -> Result<(), BadDecision> {
        let min = match self.kind {
            DecisionKind::Same | DecisionKind::NotSame | DecisionKind::Household => 2,
            DecisionKind::SharedIdentifier => 1,
            DecisionKind::Undo => 0,
        };
        let distinct = self.subjects.windows(2).all(|pair| pair[0] < pair[1]);
        let got = self.subjects.len();
        if got < min || got > SUBJECTS_MAX || !distinct {
            return Err(BadDecision::Subjects {
                kind: self.kind,
                min,
                got,
            });
        }
        let names_record = self.subjects.iter().any(|one| one.kind == Kind::Record);
        if self.kind == DecisionKind::SharedIdentifier && names_record {
            return Err(BadDecision::SharedRecord);
        }
        if self.observes.len() > OBSERVES_MAX {
            return Err(BadDecision::Observes {
                got: self.observes.len(),
            });
        }
        if self.kind == DecisionKind::Undo && self.undoes.is_none() {
            return Err(BadDecision::NothingToUndo);
        }
        Ok(())
    }

    fn content_id(&self) -> DecisionId {
        let Self {
            id: _,
            kind,
            subjects,
            reason,
            by,
            at_ms,
            observes,
            undoes,
        } = self;
        let mut out = Encoder(b"trenza identity decision v1\0".to_vec());
        out.0.push(match kind {
            DecisionKind::Same => 1,
            DecisionKind::NotSame => 2,
            DecisionKind::SharedIdentifier => 3,
            DecisionKind::Household => 4,
            DecisionKind::Undo => 5,
        });
        out.count(subjects.len());
        for subject in subjects {
            out.0.push(kind_code(subject.kind));
            out.text(&subject.scope);
            out.text(&subject.value);
        }
        out.text(reason);
        out.text(by);
        out.0.extend_from_slice(&at_ms.to_le_bytes());
        out.count(observes.len());
        for id in observes {
            out.0.extend_from_slice(id.as_bytes());
        }
        out.count(undoes.iter().len());
        if let Some(id) = undoes {
            out.0.extend_from_slice(id.as_bytes());
        }
        DecisionId(truncated(blake3::hash(&out.0).as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_about_too_few_names_its_kind_as_it_is_written() {
        for kind in [
            DecisionKind::Same,
            DecisionKind::NotSame,
            DecisionKind::SharedIdentifier,
            DecisionKind::Household,
            DecisionKind::Undo,
        ] {
            let written = serde_json::to_value(kind).unwrap();
            assert_eq!(written, kind.name());
        }
        let none = Decision::new(DecisionKind::NotSame, vec![], "", "", 0, vec![], None);
        let refused = none.unwrap_err().to_string();
        assert!(
            refused.starts_with("a decision of kind not_same names"),
            "{refused}"
        );
    }
}
