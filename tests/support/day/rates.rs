//! Owns every share of the day as a named constant, in one place. A share is of 1.0. Those of names and typing errors
//! follow what record linkage studies report for hand-typed data; the others are what shops, fairs and banks tell.

/// Households by kind, as weights.
pub mod households {
    /// One person.
    pub const ALONE: u32 = 33;
    /// Two adults.
    pub const COUPLE: u32 = 24;
    /// Two adults, one to three children of 14 or more.
    pub const FAMILY: u32 = 22;
    /// One adult and children.
    pub const ONE_PARENT: u32 = 7;
    /// Two to four unrelated people.
    pub const FLATMATES: u32 = 9;
    /// Two grown siblings.
    pub const SIBLINGS: u32 = 5;
}

/// Of families with two children or more: two of them are twins.
pub const TWINS: f64 = 0.10;
/// Of sons and daughters: carries the given name of the father or mother.
pub const CHILD_NAMED_AFTER_PARENT: f64 = 0.12;
/// Of households of relatives in Spain: has a landline that all of them give.
pub const SHARED_LANDLINE: f64 = 0.42;
/// Of times a telephone is asked for and there is a landline: that one is given.
pub const GIVES_LANDLINE: f64 = 0.18;
/// Of couples and families: two of them give one and the same mobile.
pub const SHARED_MOBILE: f64 = 0.08;
/// Of couples and families: a mailbox of the household, such as `familia.garcia@`.
pub const SHARED_EMAIL: f64 = 0.10;
/// Of households of two and more: a tablet or computer that all of them browse with.
pub const SHARED_DEVICE: f64 = 0.18;
/// Of households: moved lately, so that some systems still hold the old address.
pub const MOVED: f64 = 0.04;
/// Of people in Spain: from abroad, by country group (English, German, Romanian, Moroccan, Spanish America).
pub const FROM_ABROAD: [f64; 5] = [0.010, 0.007, 0.022, 0.028, 0.065];
/// Of people from abroad in Spain: got a DNI and is still known by an older NIE somewhere.
pub const NIE_THEN_DNI: f64 = 0.10;

/// Of adults: works for a company the fair knows, with mail there.
pub const EMPLOYED: f64 = 0.30;
/// Of those: gives the company's `info@` mailbox instead of the own one.
pub const INFO_MAILBOX: f64 = 0.07;
/// Of those: gives the reception's number as telephone.
pub const RECEPTION_PHONE: f64 = 0.12;
/// Of people: no e-mail at all.
pub const NO_EMAIL: f64 = 0.06;
/// Of people with e-mail: a second private address.
pub const SECOND_EMAIL: f64 = 0.12;
/// Of people: an account in the core system.
pub const ACCOUNT: f64 = 0.52;
/// Of those: a second account, a row of its own.
pub const SECOND_ACCOUNT: f64 = 0.10;
/// Of people with an account: a login for the website.
pub const LOGIN: f64 = 0.62;
/// Of people in Spain: a loyalty card.
pub const LOYALTY: f64 = 0.34;
/// Of people in Spain and elsewhere: comes to the fair.
pub const AT_FAIR: (f64, f64) = (0.15, 0.02);
/// Of people in Spain and elsewhere: comes to a shop.
pub const IN_SHOP: (f64, f64) = (0.26, 0.01);
/// Of people: calls or is called.
pub const ON_PHONE: f64 = 0.14;
/// Of people with e-mail: on the mailing list.
pub const ON_LIST: f64 = 0.58;
/// Of people: looks at the website at least once.
pub const ON_WEB: f64 = 0.66;
/// Of letters sent: opened; of those opened: clicked.
pub const OPENED: f64 = 0.34;
/// Of letters opened: a link in it is clicked.
pub const CLICKED: f64 = 0.11;
/// Of web sessions of people with a login: they log in.
pub const LOGS_IN: f64 = 0.45;
/// Of other web sessions: a guide is downloaded, which gives an e-mail.
pub const DOWNLOADS: f64 = 0.13;

/// Of clerks' entries in a shop or on the phone: the place's own telephone instead of the customer's.
pub const OWN_PHONE: f64 = 0.05;
/// Of entries that ask for a national id: the dummy one.
pub const DUMMY_DNI: f64 = 0.06;
/// Of badge scans: staff showing how it works, with the demo badge.
pub const DEMO_SCAN: f64 = 0.01;

/// Of all touches: sent again unchanged by the SDK.
pub const RETRIED: f64 = 0.005;
/// Touches of a day whose id comes again with other content.
pub const CONFLICTS: usize = 6;

/// How carefully a name is typed: shares of the entries.
#[derive(Debug, Clone, Copy)]
pub struct Care {
    /// A slip of the finger in one of the names.
    pub slip: f64,
    /// Accents and tildes left out.
    pub no_accents: f64,
    /// All in upper case.
    pub upper: f64,
    /// All in lower case.
    pub lower: f64,
    /// What friends call the person, where there is such a name.
    pub nickname: f64,
    /// Both surnames in the wrong order.
    pub swapped: f64,
    /// Only the first surname.
    pub one_surname: f64,
    /// Everything in the one field `name`.
    pub one_field: f64,
    /// A slip in the e-mail's provider.
    pub wrong_provider: f64,
}

/// The core system: checked against a document.
pub const CARE_CORE: Care = Care {
    slip: 0.004,
    no_accents: 0.45,
    upper: 0.75,
    lower: 0.0,
    nickname: 0.0,
    swapped: 0.003,
    one_surname: 0.01,
    one_field: 0.0,
    wrong_provider: 0.003,
};
/// The website: the person types, on a telephone.
pub const CARE_WEB: Care = Care {
    slip: 0.02,
    no_accents: 0.35,
    upper: 0.02,
    lower: 0.16,
    nickname: 0.12,
    swapped: 0.002,
    one_surname: 0.55,
    one_field: 0.5,
    wrong_provider: 0.02,
};
/// A shop: a clerk types, with people waiting.
pub const CARE_SHOP: Care = Care {
    slip: 0.05,
    no_accents: 0.5,
    upper: 0.1,
    lower: 0.15,
    nickname: 0.14,
    swapped: 0.012,
    one_surname: 0.4,
    one_field: 0.45,
    wrong_provider: 0.02,
};
/// The fair: a kiosk, standing.
pub const CARE_FAIR: Care = Care {
    slip: 0.045,
    no_accents: 0.45,
    upper: 0.06,
    lower: 0.12,
    nickname: 0.16,
    swapped: 0.01,
    one_surname: 0.45,
    one_field: 0.3,
    wrong_provider: 0.02,
};
/// The call centre: heard, not read.
pub const CARE_CALL: Care = Care {
    slip: 0.06,
    no_accents: 0.6,
    upper: 0.12,
    lower: 0.1,
    nickname: 0.08,
    swapped: 0.015,
    one_surname: 0.3,
    one_field: 0.6,
    wrong_provider: 0.01,
};
