//! Accounts and households, and who belongs to them: derived of group events.

use serde::{Deserialize, Serialize};
use trenza_shared::{
    account::Part,
    id::{AccountId, EventId, Fingerprint},
    store::{Row, Space, Table},
};

/// An account: what all its events say of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AccountRow {
    /// Within what its issuer's id is unique; empty for the whole organisation.
    pub scope: String,
    /// The id that its issuer gave it.
    pub value: String,
    /// What is said of it; of who belongs to it nothing.
    pub whole: Part,
}
impl Row for AccountRow {}

/// What the events of one fingerprint say of an account.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartRow(pub Part);
impl Row for PartRow {}

/// Stands for the person of events that name none.
pub const NOBODY: Fingerprint = Fingerprint([0; 16]);

/// Id -> account.
pub const ACCOUNTS: Table<AccountId, AccountRow> = Table::new(Space("account"));
/// (account, fingerprint or [`NOBODY`]) -> what those events say.
pub const MEMBERS: Table<(AccountId, Fingerprint), PartRow> = Table::new(Space("member"));
/// (account, fingerprint or [`NOBODY`], event time, event): the events behind it.
pub const ACCOUNT_LINE: Table<(AccountId, Fingerprint, i64, EventId), ()> =
    Table::new(Space("account_line"));
/// (fingerprint, account): to what a person belongs.
pub const ACCOUNTS_OF: Table<(Fingerprint, AccountId), ()> = Table::new(Space("accounts_of"));
/// (searchable word, account).
pub const ACCOUNT_WORDS: Table<(String, AccountId), ()> = Table::new(Space("account_word"));
/// (hash of an address with a surname, or of a landline; fingerprint): who may live together.
pub const HOMES: Table<([u8; 16], Fingerprint), ()> = Table::new(Space("home"));
