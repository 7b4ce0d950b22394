//! Owns the drawing of people and households by the shares in `rates`. Decides who lives with whom, who is called what
//! and what is shared; `belongings` gives everyone their numbers and mailboxes.

use super::belongings::Registry;
use super::chance::Chance;
use super::investor;
use super::names::{self, Origin};
use super::people::{Address, Household, HouseholdKind, HouseholdNo, PersonNo, PersonTruth, Sex};
use super::places::{self, Country};
use super::{rates, typing};

/// Everybody, before the day begins.
pub struct Population {
    /// By number.
    pub people: Vec<PersonTruth>,
    /// By number.
    pub households: Vec<Household>,
}

/// Draws `count` people, the investor of story A first.
pub fn draw(chance: &mut Chance, count: usize, year: i64) -> Population {
    let mut draft = Draft {
        population: Population {
            people: Vec::with_capacity(count + 4),
            households: Vec::new(),
        },
        registry: Registry::new(chance.apart("belongings")),
        chance: chance.apart("population"),
        year,
    };
    draft.investor();
    while draft.population.people.len() < count {
        draft.household(count - draft.population.people.len());
    }
    draft.population
}

/// What decides a person's names and papers.
#[derive(Clone)]
struct Birth {
    origin: Origin,
    sex: Sex,
    age: i64,
    given: Option<String>,
    surnames: Option<(String, Option<String>)>,
    birthday: Option<String>,
}

struct Draft {
    population: Population,
    registry: Registry,
    chance: Chance,
    year: i64,
}

impl Draft {
    fn investor(&mut self) {
        let number = HouseholdNo(0);
        self.population
            .households
            .push(empty_household(number, HouseholdKind::Alone));
        let person = investor::truth(PersonNo(0), number);
        self.registry.reserve(&person);
        self.population.households[0].members.push(person.number);
        self.population.people.push(person);
    }

    fn household(&mut self, room: usize) {
        use rates::households as share;
        let kinds = [
            (HouseholdKind::Alone, share::ALONE),
            (HouseholdKind::Couple, share::COUPLE),
            (HouseholdKind::Family, share::FAMILY),
            (HouseholdKind::OneParent, share::ONE_PARENT),
            (HouseholdKind::Flatmates, share::FLATMATES),
            (HouseholdKind::Siblings, share::SIBLINGS),
        ];
        let kind = match room {
            0..4 => HouseholdKind::Alone,
            _ => *self.chance.weighted(&kinds),
        };
        let country = *self.chance.weighted(places::COUNTRIES);
        let origin = self.origin(country);
        let mut births = match kind {
            HouseholdKind::Alone => vec![self.adult(origin, None, 20, 88)],
            HouseholdKind::Couple => self.couple(origin, country, 22, 86),
            HouseholdKind::Family => self.family(origin, country),
            HouseholdKind::OneParent => {
                let mut family = self.family(origin, country);
                let gone = self.chance.below(2);
                family.remove(gone);
                family
            }
            HouseholdKind::Flatmates => {
                let count = self.chance.between(2, 4);
                (0..count)
                    .map(|_| {
                        let origin = self.origin(country);
                        self.adult(origin, None, 20, 34)
                    })
                    .collect()
            }
            HouseholdKind::Siblings => {
                let first = self.adult(origin, None, 24, 60);
                let surnames = self.surnames(origin, country);
                let age = (first.age + self.chance.between(-6, 6)).max(20);
                let second = self.adult(origin, None, age, age);
                let mut both = vec![first, second];
                for place in 0..2 {
                    both[place].surnames = Some(surnames.clone());
                    both[place].given = Some(self.given_unlike(&both[place], &both[..place]));
                }
                both
            }
        };
        births.truncate(room);
        let number = HouseholdNo(self.population.households.len() as u32);
        let mut household = empty_household(number, kind);
        household.twins = births.iter().enumerate().any(|(at, birth)| {
            birth.birthday.is_some()
                && births[..at]
                    .iter()
                    .any(|other| other.birthday == birth.birthday)
        });
        let address = self.address(country);
        let old_address = self
            .chance
            .happens(rates::MOVED)
            .then(|| self.address(country));
        let mut members: Vec<PersonTruth> = births
            .into_iter()
            .zip(self.population.people.len() as u32..)
            .map(|(birth, no)| {
                self.person(
                    birth,
                    PersonNo(no),
                    number,
                    country,
                    &address,
                    old_address.as_ref(),
                )
            })
            .collect();
        household.members = members.iter().map(|person| person.number).collect();
        for person in &mut members {
            self.registry.equip(person);
        }
        self.registry.share(&mut household, &mut members);
        self.population.people.extend(members);
        self.population.households.push(household);
    }

    fn origin(&mut self, country: Country) -> Origin {
        if country != Country::Es {
            return Origin::American;
        }
        let mut left = self.chance.fraction();
        let abroad = [
            Origin::English,
            Origin::German,
            Origin::Romanian,
            Origin::Moroccan,
            Origin::American,
        ];
        for (origin, share) in abroad.into_iter().zip(rates::FROM_ABROAD) {
            if left < share {
                return origin;
            }
            left -= share;
        }
        Origin::Spanish
    }

    fn adult(&mut self, origin: Origin, sex: Option<Sex>, youngest: i64, oldest: i64) -> Birth {
        let sex = sex.unwrap_or(if self.chance.happens(0.5) {
            Sex::Man
        } else {
            Sex::Woman
        });
        let age = self.chance.between(youngest, oldest);
        Birth {
            origin,
            sex,
            age,
            given: None,
            surnames: None,
            birthday: None,
        }
    }

    fn couple(
        &mut self,
        origin: Origin,
        country: Country,
        youngest: i64,
        oldest: i64,
    ) -> Vec<Birth> {
        let mut first = self.adult(origin, Some(Sex::Man), youngest, oldest);
        let age = (first.age + self.chance.between(-6, 4)).max(20);
        let sex = if self.chance.happens(0.03) {
            Sex::Man
        } else {
            Sex::Woman
        };
        let mut second = self.adult(origin, Some(sex), age, age);
        for birth in [&mut first, &mut second] {
            birth.surnames = Some(self.surnames(origin, country));
            birth.given = Some(self.given(origin, birth.sex));
        }
        vec![first, second]
    }

    fn family(&mut self, origin: Origin, country: Country) -> Vec<Birth> {
        let mut births = self.couple(origin, country, 46, 66);
        let (father, mother) = (births[0].clone(), births[1].clone());
        let of = |birth: &Birth| birth.surnames.clone().unwrap_or_default();
        let second = of(&father).1.is_some().then(|| of(&mother).0);
        let count = *self.chance.weighted(&[(1, 45), (2, 43), (3, 12)]);
        let oldest = (father.age.min(mother.age) - 24).clamp(14, 30);
        for place in 0..count {
            let mut child = self.adult(origin, None, 14, oldest);
            child.surnames = Some((of(&father).0, second.clone()));
            if self.chance.happens(rates::CHILD_NAMED_AFTER_PARENT) {
                let parent = if child.sex == father.sex {
                    &father
                } else {
                    &mother
                };
                child.given = parent.given.clone();
            }
            let siblings = &births[2..];
            if child.given.is_none() || siblings.iter().any(|sibling| sibling.given == child.given)
            {
                child.given = Some(self.given_unlike(&child, siblings));
            }
            if place == 1 && self.chance.happens(rates::TWINS) {
                let birthday = self.birthday(births[2].age);
                births[2].birthday = Some(birthday.clone());
                (child.age, child.birthday) = (births[2].age, Some(birthday));
            }
            births.push(child);
        }
        births
    }

    fn given(&mut self, origin: Origin, sex: Sex) -> String {
        let chance = &mut self.chance;
        match (origin, sex) {
            (Origin::Spanish, Sex::Man) => (*chance.weighted(names::SPANISH_MEN)).to_owned(),
            (Origin::Spanish, Sex::Woman) => (*chance.weighted(names::SPANISH_WOMEN)).to_owned(),
            (Origin::American, Sex::Man) => (*chance.weighted(names::AMERICAN_MEN)).to_owned(),
            (Origin::American, Sex::Woman) => (*chance.weighted(names::AMERICAN_WOMEN)).to_owned(),
            (abroad, Sex::Man) => (*chance.pick(names::abroad(abroad).0)).to_owned(),
            (abroad, Sex::Woman) => (*chance.pick(names::abroad(abroad).1)).to_owned(),
        }
    }

    /// No two siblings are christened alike.
    fn given_unlike(&mut self, birth: &Birth, siblings: &[Birth]) -> String {
        loop {
            let given = self.given(birth.origin, birth.sex);
            if siblings
                .iter()
                .all(|sibling| sibling.given.as_ref() != Some(&given))
            {
                return given;
            }
        }
    }

    fn surnames(&mut self, origin: Origin, country: Country) -> (String, Option<String>) {
        let table = match origin {
            Origin::Spanish => names::SPANISH_SURNAMES,
            Origin::American => names::AMERICAN_SURNAMES,
            abroad => {
                return (
                    (*self.chance.pick(names::abroad(abroad).2)).to_owned(),
                    None,
                );
            }
        };
        let first = (*self.chance.weighted(table)).to_owned();
        let second = (*self.chance.weighted(table)).to_owned();
        // Most Argentines carry one surname.
        let one = country == Country::Ar && self.chance.happens(0.8);
        (first, (!one).then_some(second))
    }

    fn birthday(&mut self, age: i64) -> String {
        let month = self.chance.between(1, 12);
        let last = match month {
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day = self.chance.between(1, last);
        format!("{:04}-{month:02}-{day:02}", self.year - age)
    }

    fn address(&mut self, country: Country) -> Address {
        let chance = &mut self.chance;
        let (city, prefix, state) = *chance.weighted(country.cities());
        let streets = if country == Country::Es {
            places::SPANISH_STREETS
        } else {
            places::AMERICAN_STREETS
        };
        let mut street = format!("{} {}", chance.pick(streets), chance.between(1, 160));
        if chance.happens(0.8) {
            let door = *chance.pick(&["A", "B", "C", "D", "izq.", "dcha."]);
            street.push_str(&format!(", {}.º {door}", chance.between(1, 9)));
        }
        let rest = country.postal_digits() - prefix.len();
        // Spanish codes of the towns named have 0 in the third place.
        let tail = if country == Country::Es {
            format!("0{}", chance.digits(rest - 1))
        } else {
            chance.digits(rest)
        };
        Address {
            street,
            city: city.to_owned(),
            postal_code: format!("{prefix}{tail}"),
            state: state.to_owned(),
            country: country.code(),
        }
    }

    fn person(
        &mut self,
        birth: Birth,
        number: PersonNo,
        household: HouseholdNo,
        country: Country,
        address: &Address,
        old_address: Option<&Address>,
    ) -> PersonTruth {
        let given = birth
            .given
            .unwrap_or_else(|| self.given(birth.origin, birth.sex));
        let (surname, second_surname) = birth
            .surnames
            .unwrap_or_else(|| self.surnames(birth.origin, country));
        let born_abroad = country == Country::Es && birth.origin != Origin::Spanish;
        let mut person = PersonTruth {
            number,
            household,
            nickname: typing::nickname(&mut self.chance, &given).map(str::to_owned),
            given,
            surname,
            second_surname,
            sex: birth.sex,
            birthday: birth.birthday.unwrap_or_else(|| self.birthday(birth.age)),
            age: birth.age,
            country,
            address: address.clone(),
            old_address: old_address.cloned(),
            emails: Vec::new(),
            work_email: None,
            phones: Vec::new(),
            landline: None,
            national_ids: Vec::new(),
            loyalty: None,
            badge: None,
            login: None,
            accounts: Vec::new(),
            devices: Vec::new(),
            company: None,
            topic: self.chance.weighted(places::TOPICS).0,
        };
        self.registry.papers(&mut person, born_abroad);
        person
    }
}

fn empty_household(number: HouseholdNo, kind: HouseholdKind) -> Household {
    Household {
        number,
        kind,
        members: Vec::new(),
        landline: None,
        shared_mobile: None,
        shared_email: None,
        shared_device: None,
        twins: false,
    }
}
