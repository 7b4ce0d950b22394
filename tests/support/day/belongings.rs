//! Owns what people hold: papers, mailboxes, telephones, cards, accounts and browsers. Every value belongs to one
//! person, but for those a household shares on purpose.

use std::collections::HashSet;

use super::chance::Chance;
use super::people::{Household, HouseholdKind, PersonTruth};
use super::places::{self, Country};
use super::{identifiers, rates, typing};

/// Draws of an address after which a number follows it: among millions, the addresses of a frequent name are all taken.
const CROWDED: usize = 16;

/// Hands out values that nobody else has.
pub struct Registry {
    chance: Chance,
    taken: HashSet<String>,
}

impl Registry {
    /// Nothing handed out yet but what is never anybody's: dummies.
    pub fn new(chance: Chance) -> Self {
        let dummies = [
            0, 11_111_111, 12_345_678, 22_222_222, 33_333_333, 44_444_444, 55_555_555, 66_666_666,
            77_777_777,
        ];
        let mut taken: HashSet<String> = dummies.into_iter().map(identifiers::dni).collect();
        taken.extend(places::SHOPS.iter().map(|(_, phone)| (*phone).to_owned()));
        taken.insert(places::CALL_CENTRE_PHONE.to_owned());
        Self { chance, taken }
    }

    /// Keeps a fixed person's values for that person.
    pub fn reserve(&mut self, person: &PersonTruth) {
        let lists = [
            &person.emails,
            &person.phones,
            &person.national_ids,
            &person.accounts,
            &person.devices,
        ];
        self.taken.extend(lists.into_iter().flatten().cloned());
        self.taken.extend(person.badge.clone());
    }

    fn fresh(&mut self, mut make: impl FnMut(&mut Chance) -> String) -> String {
        loop {
            let value = make(&mut self.chance);
            if self.taken.insert(value.clone()) {
                return value;
            }
        }
    }

    /// The person's national ids.
    pub fn papers(&mut self, person: &mut PersonTruth, born_abroad: bool) {
        let older = |chance: &mut Chance, low: i64, high: i64| chance.between(low, high) as u32;
        let sex = person.sex;
        match person.country {
            Country::Es => {
                let becomes_spanish = born_abroad && self.chance.happens(rates::NIE_THEN_DNI);
                if !born_abroad || becomes_spanish {
                    person.national_ids.push(
                        self.fresh(|chance| identifiers::dni(older(chance, 1_000_000, 79_999_999))),
                    );
                }
                if born_abroad {
                    let series = if self.chance.happens(0.3) { 0 } else { 1 };
                    person.national_ids.push(self.fresh(|chance| {
                        identifiers::nie(series, older(chance, 1_000_000, 9_999_999))
                    }));
                }
            }
            Country::Cl => person
                .national_ids
                .push(self.fresh(|chance| identifiers::rut(older(chance, 5_000_000, 23_999_999)))),
            Country::Ar => {
                person.national_ids.push(
                    self.fresh(|chance| {
                        identifiers::cuit(sex, older(chance, 6_000_000, 48_999_999))
                    }),
                );
            }
            Country::Br => {
                person.national_ids.push(
                    self.fresh(|chance| identifiers::cpf(older(chance, 100_000_000, 999_999_999))),
                );
            }
            Country::Mx => {
                let curp = identifiers::curp(&mut self.chance, person);
                // Two homonyms of one day and state: the second stays without, rather than share one.
                if self.taken.insert(curp.clone()) {
                    person.national_ids.push(curp);
                }
            }
            // A cédula or a Peruvian DNI has no public check digit: the core system keeps none.
            Country::Co | Country::Pe => {}
        }
    }

    /// Everything else a person has for themselves.
    pub fn equip(&mut self, person: &mut PersonTruth) {
        let grown = person.age >= 18;
        let in_spain = person.country == Country::Es;
        if !self.chance.happens(rates::NO_EMAIL) {
            let address = self.mailbox(person);
            person.emails.push(address);
            if self.chance.happens(rates::SECOND_EMAIL) {
                let other = self.mailbox(person);
                person.emails.push(other);
            }
        }
        let country = person.country;
        if person.age < 80 || self.chance.happens(0.6) {
            person
                .phones
                .push(self.fresh(|chance| identifiers::mobile(chance, country)));
        }
        if grown && in_spain && person.age < 68 && self.chance.happens(rates::EMPLOYED) {
            let company = self.chance.pick(places::COMPANIES);
            person.company = Some(company);
            let (given, surname) = (mail_part(&person.given), mail_part(&person.surname));
            let initial = given.chars().next().unwrap_or('x');
            let mut turn = 0;
            person.work_email = Some(self.fresh(|_| {
                turn += 1;
                match turn {
                    1 => format!("{given}.{surname}@{}", company.1),
                    2 => format!("{initial}{surname}@{}", company.1),
                    _ => format!("{given}.{surname}{turn}@{}", company.1),
                }
            }));
        }
        if grown && self.chance.happens(rates::ACCOUNT) {
            let count = if self.chance.happens(rates::SECOND_ACCOUNT) {
                2
            } else {
                1
            };
            for _ in 0..count {
                person
                    .accounts
                    .push(self.fresh(|chance| format!("CTA-{}", chance.digits(8))));
            }
            if self.chance.happens(rates::LOGIN) {
                person.login = Some(self.fresh(|chance| format!("u-{}", chance.digits(8))));
            }
        }
        if in_spain && self.chance.happens(rates::LOYALTY) {
            person.loyalty = Some(self.fresh(|chance| format!("TRZ{}", chance.digits(9))));
        }
        let at_fair = if in_spain {
            rates::AT_FAIR.0
        } else {
            rates::AT_FAIR.1
        };
        if self.chance.happens(at_fair) {
            person.badge = Some(self.fresh(|chance| format!("F26-{}", chance.digits(7))));
        }
        let browsers = *self.chance.weighted(&[(1, 46), (2, 36), (3, 13), (4, 5)]);
        for _ in 0..browsers {
            person.devices.push(self.fresh(Chance::uuid));
        }
    }

    /// A private address from the person's names at a popular provider.
    fn mailbox(&mut self, person: &PersonTruth) -> String {
        let first = person
            .nickname
            .as_ref()
            .filter(|_| self.chance.happens(0.25))
            .unwrap_or(&person.given);
        let (given, surname) = (mail_part(first), mail_part(&person.surname));
        let second = mail_part(person.second_surname.as_deref().unwrap_or(""));
        let initial = given.chars().next().unwrap_or('x');
        let year = person.birthday[2..4].to_owned();
        let provider = *self.chance.weighted(places::MAIL_PROVIDERS);
        let mut draws = 0;
        self.fresh(|chance| {
            draws += 1;
            let mut local = match chance.below(9) {
                0 => format!("{given}.{surname}"),
                1 => format!("{given}.{surname}.{second}")
                    .trim_end_matches('.')
                    .to_owned(),
                2 => format!("{initial}{surname}{year}"),
                3 => format!("{given}{surname}{year}"),
                4 => format!("{given}_{surname}"),
                5 => format!("{given}{}", chance.between(100, 9999)),
                6 => format!("{surname}{given}{}", chance.between(1, 99)),
                7 => format!("{initial}.{surname}{second}"),
                _ => format!("{given}.{surname}{}", chance.between(1, 999)),
            };
            if draws > CROWDED {
                local.push_str(&chance.digits(6));
            }
            format!("{local}@{provider}")
        })
    }

    /// What a household shares, taken from or given to its members.
    pub fn share(&mut self, household: &mut Household, members: &mut [PersonTruth]) {
        if members.len() < 2 {
            return;
        }
        let relatives = household.kind != HouseholdKind::Flatmates;
        let together = matches!(
            household.kind,
            HouseholdKind::Couple | HouseholdKind::Family
        );
        let in_spain = members[0].country == Country::Es;
        if relatives && in_spain && self.chance.happens(rates::SHARED_LANDLINE) {
            let prefix = members[0].address.postal_code[..2].to_owned();
            let number = self.fresh(|chance| identifiers::landline(chance, &prefix));
            members
                .iter_mut()
                .for_each(|person| person.landline = Some(number.clone()));
            household.landline = Some(number);
        }
        if together && self.chance.happens(rates::SHARED_MOBILE) && !members[0].phones.is_empty() {
            // The elder half of the couple has one for both, or a child still uses a parent's.
            let other = if members.len() > 2 && self.chance.happens(0.5) {
                members.len() - 1
            } else {
                1
            };
            let number = members[0].phones[0].clone();
            members[other].phones = vec![number.clone()];
            household.shared_mobile = Some(number);
        }
        if together && self.chance.happens(rates::SHARED_EMAIL) {
            let surname = mail_part(&members[0].surname);
            let other = mail_part(&members[1].surname);
            let names = [mail_part(&members[0].given), mail_part(&members[1].given)];
            let provider = *self.chance.weighted(places::MAIL_PROVIDERS);
            let mut draws = 0;
            let address = self.fresh(|chance| {
                draws += 1;
                let mut local = match chance.below(3) {
                    0 => format!("familia.{surname}{}", chance.between(1, 999)),
                    1 => format!("{}y{}{}", names[0], names[1], chance.between(1, 99)),
                    _ => format!("familia{surname}{other}{}", chance.between(1, 99)),
                };
                if draws > CROWDED {
                    local.push_str(&chance.digits(6));
                }
                format!("{local}@{provider}")
            });
            for person in members.iter_mut().take(2) {
                // It replaces one's own for some and stands beside it for others.
                let at = if self.chance.happens(0.6) {
                    0
                } else {
                    person.emails.len()
                };
                person.emails.insert(at, address.clone());
            }
            household.shared_email = Some(address);
        }
        if self.chance.happens(rates::SHARED_DEVICE) {
            let device = self.fresh(Chance::uuid);
            for person in members.iter_mut() {
                // For half of them it is the browser they use most.
                let at = if self.chance.happens(0.5) {
                    0
                } else {
                    person.devices.len()
                };
                person.devices.insert(at, device.clone());
            }
            household.shared_device = Some(device);
        }
    }
}

/// A name as it stands in an address: small plain letters and nothing else; of compound names the first part, with
/// the second's initial for the commonest ones.
fn mail_part(name: &str) -> String {
    let words: Vec<String> = typing::plain(name)
        .to_lowercase()
        .split_whitespace()
        .map(|word| word.chars().filter(char::is_ascii_alphanumeric).collect())
        .collect();
    match words.as_slice() {
        [first, second] if first == "maria" || first == "jose" => {
            format!("{first}{}", second.chars().take(1).collect::<String>())
        }
        [first, rest @ ..]
            if first == "de"
                || first == "del"
                || first == "el"
                || first == "ben"
                || first == "von" =>
        {
            format!("{first}{}", rest.concat())
        }
        [first, ..] => first.clone(),
        [] => "x".to_owned(),
    }
}
