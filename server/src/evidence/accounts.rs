//! Group events: into what they say of an account, and of who belongs to it.
//!
//! Owns the tables of accounts. They hang on fingerprints, so whatever becomes of persons, nothing here changes.

use std::collections::{BTreeMap, BTreeSet};

use trenza_shared::{
    account::{GroupSaid, Part, account_id},
    evidence::Observation,
    id::{AccountId, EventId, Fingerprint},
    store::{Direction, StoreError},
};

use super::{apply::Step, words::account_words};
use crate::tables::{
    ACCOUNT_LINE, ACCOUNT_WORDS, ACCOUNTS, ACCOUNTS_OF, AccountRow, MEMBERS, NOBODY, PartRow,
};

/// Events folded at a time when a part is folded again.
const REFOLD_PAGE: usize = 256;

/// Parts that changed otherwise than by one event more, and what their accounts are called.
#[derive(Default)]
pub(super) struct Moved {
    parts: BTreeSet<(AccountId, Fingerprint)>,
    names: BTreeMap<AccountId, (String, String)>,
}

impl Step<'_, '_> {
    /// Puts an event on the line of its account; which account that is, and whose part of it.
    fn on_line(
        &mut self,
        said: &Observation,
        group: &GroupSaid,
        person: Option<Fingerprint>,
    ) -> Result<(AccountId, Fingerprint), StoreError> {
        let account = account_id(&self.applier.id_key, &group.scope, &group.value);
        let member = person.unwrap_or(NOBODY);
        let line = (account, member, said.at_ms, said.event);
        ACCOUNT_LINE.put(self.overlay, &line, &())?;
        Ok((account, member))
    }

    /// Folds an event that is new into its account; none when it is about none.
    pub(super) fn belongs(
        &mut self,
        said: &Observation,
        person: Option<Fingerprint>,
    ) -> Result<Option<AccountId>, StoreError> {
        let Some(group) = &said.group else {
            return Ok(None);
        };
        let key = self.on_line(said, group, person)?;
        let (account, _) = key;
        let mut part = MEMBERS.get(self.overlay, &key)?.unwrap_or_default();
        part.0.add(said, group, person.is_some());
        MEMBERS.put(self.overlay, &key, &part)?;
        if let Some(person) = person {
            ACCOUNTS_OF.put(self.overlay, &(person, account), &())?;
        }
        let before = ACCOUNTS.get(self.overlay, &account)?;
        let mut row = before.clone().unwrap_or_else(|| AccountRow {
            scope: group.scope.clone(),
            value: group.value.clone(),
            whole: Part::default(),
        });
        row.whole.add(said, group, false);
        self.put_account(&account, before.as_ref(), Some(&row))?;
        Ok(Some(account))
    }

    /// Notes that an event that was told as of `was` is told anew as `said`; call [`Step::settle`] after the last of them.
    pub(super) fn belongs_anew(
        &mut self,
        moved: &mut Moved,
        was: (Option<AccountId>, Option<Fingerprint>, i64, EventId),
        said: &Observation,
        person: Option<Fingerprint>,
    ) -> Result<Option<AccountId>, StoreError> {
        if let (Some(account), member, at_ms, event) = was {
            let member = member.unwrap_or(NOBODY);
            ACCOUNT_LINE.delete(self.overlay, &(account, member, at_ms, event));
            moved.parts.insert((account, member));
        }
        let Some(group) = &said.group else {
            return Ok(None);
        };
        let key = self.on_line(said, group, person)?;
        let (account, _) = key;
        moved.parts.insert(key);
        let name = (group.scope.clone(), group.value.clone());
        moved.names.insert(account, name);
        Ok(Some(account))
    }

    /// Folds what moved again.
    pub(super) fn settle(&mut self, moved: Moved) -> Result<(), StoreError> {
        let mut accounts = BTreeSet::new();
        for (account, member) in moved.parts {
            self.refold_part(account, member)?;
            accounts.insert(account);
        }
        for account in accounts {
            let before = ACCOUNTS.get(self.overlay, &account)?;
            let name = match &before {
                Some(row) => Some((row.scope.clone(), row.value.clone())),
                None => moved.names.get(&account).cloned(),
            };
            let whole = self.whole(&account)?;
            let after = name.zip(whole).map(|((scope, value), whole)| AccountRow {
                scope,
                value,
                whole,
            });
            self.put_account(&account, before.as_ref(), after.as_ref())?;
        }
        Ok(())
    }

    fn refold_part(&mut self, account: AccountId, member: Fingerprint) -> Result<(), StoreError> {
        let key = (account, member);
        let mut part = Part::default();
        let mut after: Option<(AccountId, Fingerprint, i64, EventId)> = None;
        loop {
            let from = after.unwrap_or((account, member, i64::MIN, EventId([0; 32])));
            let rows = ACCOUNT_LINE.scan_prefix_from(self.overlay, &key, &from, REFOLD_PAGE)?;
            let full = rows.len() == REFOLD_PAGE;
            for (line, ()) in rows {
                if after.is_some_and(|after| line <= after) {
                    continue;
                }
                let stored = self.opened.event(self.overlay, &line.3)?;
                let said = self.said(&stored.event, &stored.row.origins)?;
                if let Some(group) = &said.group {
                    part.add(&said, group, member != NOBODY);
                }
                after = Some(line);
            }
            if !full {
                break;
            }
        }
        if part.events == 0 {
            MEMBERS.delete(self.overlay, &key);
            ACCOUNTS_OF.delete(self.overlay, &(member, account));
            return Ok(());
        }
        if member != NOBODY {
            ACCOUNTS_OF.put(self.overlay, &(member, account), &())?;
        }
        MEMBERS.put(self.overlay, &key, &PartRow(part))
    }

    /// What all parts of an account say of it; none when there are none left.
    fn whole(&self, account: &AccountId) -> Result<Option<Part>, StoreError> {
        let mut whole: Option<Part> = None;
        for row in MEMBERS.rows_of(&*self.overlay, account, Direction::Forward) {
            let (_, PartRow(part)) = row?;
            let part = part.without_roles();
            match &mut whole {
                Some(whole) => whole.absorb(&part),
                None => whole = Some(part),
            }
        }
        Ok(whole)
    }

    fn put_account(
        &mut self,
        account: &AccountId,
        before: Option<&AccountRow>,
        after: Option<&AccountRow>,
    ) -> Result<(), StoreError> {
        let was = before.map(account_words).unwrap_or_default();
        let is = after.map(account_words).unwrap_or_default();
        for word in was.difference(&is) {
            ACCOUNT_WORDS.delete(self.overlay, &(word.clone(), *account));
        }
        for word in is.difference(&was) {
            ACCOUNT_WORDS.put(self.overlay, &(word.clone(), *account), &())?;
        }
        match after {
            Some(row) => ACCOUNTS.put(self.overlay, account, row),
            None => {
                ACCOUNTS.delete(self.overlay, account);
                Ok(())
            }
        }
    }
}
