//! Owns the truth about the day's people and households: what a measuring of identity compares with, and what no event
//! carries as such.

use serde::Serialize;

use super::places::{Company, Country};

/// A person of the day: the index in `Day::people`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PersonNo(pub u32);

/// A household of the day: the index in `Day::households`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct HouseholdNo(pub u32);

/// Sex in the civil register, which decides given names and some national ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Sex {
    /// A man.
    Man,
    /// A woman.
    Woman,
}

/// Why people live together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum HouseholdKind {
    /// One person.
    Alone,
    /// Two adults.
    Couple,
    /// Two adults and their children.
    Family,
    /// One adult and children.
    OneParent,
    /// Unrelated people under one address.
    Flatmates,
    /// Grown siblings.
    Siblings,
}

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Street, number, floor.
    pub street: String,
    /// City.
    pub city: String,
    /// Postal code.
    pub postal_code: String,
    /// Province or state.
    pub state: String,
    /// ISO 3166-1 alpha-2 code.
    pub country: &'static str,
}

/// A person as they are, not as anybody typed them.
#[derive(Debug, Clone, Serialize)]
pub struct PersonTruth {
    /// Who.
    pub number: PersonNo,
    /// Where and with whom the person lives.
    pub household: HouseholdNo,
    /// Given name, all of it.
    pub given: String,
    /// First surname.
    pub surname: String,
    /// Second surname, where the country gives one.
    pub second_surname: Option<String>,
    /// What friends say.
    pub nickname: Option<String>,
    /// Sex in the civil register.
    pub sex: Sex,
    /// `YYYY-MM-DD`.
    pub birthday: String,
    /// Years on the day.
    pub age: i64,
    /// Country of residence.
    pub country: Country,
    /// Where the person lives now.
    pub address: Address,
    /// Where some systems believe the person lives.
    pub old_address: Option<Address>,
    /// Private mailboxes, the usual one first; the household's may be among them.
    pub emails: Vec<String>,
    /// Mailbox at work.
    pub work_email: Option<String>,
    /// Mobiles (E.164), the usual one first.
    pub phones: Vec<String>,
    /// The household's landline (E.164), where this person gives it.
    pub landline: Option<String>,
    /// National ids, the present one first, an older NIE second.
    pub national_ids: Vec<String>,
    /// Loyalty card.
    pub loyalty: Option<String>,
    /// Badge at the fair.
    pub badge: Option<String>,
    /// Login at the website.
    pub login: Option<String>,
    /// Accounts in the core system.
    pub accounts: Vec<String>,
    /// `anonymousId` of every browser the person uses; the household's may be among them.
    pub devices: Vec<String>,
    /// Employer.
    #[serde(skip)]
    pub company: Option<&'static Company>,
    /// What the person is after, as in `properties.topic`.
    pub topic: &'static str,
}

/// Who lives together and what they share.
#[derive(Debug, Clone, Serialize)]
pub struct Household {
    /// Which.
    pub number: HouseholdNo,
    /// Why they live together.
    pub kind: HouseholdKind,
    /// Who.
    pub members: Vec<PersonNo>,
    /// A landline all of them may give (E.164).
    pub landline: Option<String>,
    /// A mobile two of them give (E.164).
    pub shared_mobile: Option<String>,
    /// A mailbox two or more of them give.
    pub shared_email: Option<String>,
    /// `anonymousId` of a tablet all of them browse with.
    pub shared_device: Option<String>,
    /// Two members are twins.
    pub twins: bool,
}
