//! What must hold whatever the weights are, and who is told apart.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::person::Person;

const BANDS: Bands = Bands {
    ask: -6_000,
    link: 0,
};

fn subject(traits: &Value) -> Subject {
    let none = Map::new();
    Subject::of(&Person::from_traits(traits.as_object().unwrap_or(&none)))
}

fn odds(one: &Value, other: &Value) -> Bits {
    let (one, other) = (subject(one), subject(other));
    let model = Model::untrained(&[]);
    model.odds(&one, &other, &compare(&one, &other))
}

#[test]
fn one_person_written_twice_is_linked() {
    let ana = json!({"firstName": "Ana", "lastName": "García López", "birthday": "1980-05-12",
        "address": {"street": "Calle Mayor 5", "city": "Soria", "postalCode": "42001"}});
    for other in [
        json!({"firstName": "Anita", "lastName": "Garcia", "birthday": "1980-12-05",
            "address": {"street": "C/ Mayor, 5", "city": "Soria"}}),
        json!({"firstName": "Ana", "lastName": "Gracia López", "birthday": "1980-05-12"}),
        json!({"firstName": "García", "lastName": "Ana", "birthday": "1980-05-12"}),
        json!({"name": "Ana García López", "address": {"street": "Mayor 5", "city": "Soria", "postalCode": "42001"}}),
    ] {
        assert!(
            odds(&ana, &other) >= BANDS.link,
            "{other}: {}",
            odds(&ana, &other)
        );
    }
}

#[test]
fn a_family_is_not_one_person() {
    let home = json!({"street": "Calle Mayor 5", "city": "Soria", "postalCode": "42001"});
    let one = |given: &str, surnames: &str, birthday: &str| json!({"firstName": given, "lastName": surnames, "birthday": birthday, "address": home});
    let father = one("José", "García López", "1950-02-01");
    for (who, other) in [
        (
            "his son of the same name",
            one("José", "García Ruiz", "1980-07-23"),
        ),
        ("his brother", one("Luis", "García López", "1953-04-11")),
        ("his twin", one("Luis", "García López", "1950-02-01")),
        ("his wife", one("Carmen", "Ruiz Gil", "1952-09-30")),
    ] {
        assert!(
            odds(&father, &other) < BANDS.link,
            "{who}: {}",
            odds(&father, &other)
        );
    }
}

#[test]
fn names_in_each_others_place_agree_and_of_relatives_the_surname_alone() {
    let one =
        |given: &str, surnames: &str| subject(&json!({"firstName": given, "lastName": surnames}));
    let names = |one: &Subject, other: &Subject| {
        let pattern = compare(one, other);
        assert_eq!(pattern, compare(other, one));
        (
            pattern[Field::Given as usize],
            pattern[Field::Surname as usize],
        )
    };
    let ana = one("Ana", "García López");
    assert_eq!(names(&ana, &one("García López", "Ana")), (1, 1));
    let (given, surname) = names(&ana, &one("Gracia López", "Anna"));
    assert!(given < 5 && surname < 5);
    assert_eq!(names(&ana, &one("García López", "Luis")), (5, 1));
    assert_eq!(names(&ana, &one("Ruiz", "Ana")), (5, 1));
    assert_eq!(names(&ana, &one("Ruiz", "Luis")), (5, 5));
}

#[test]
fn a_name_alone_never_links() {
    let names = json!({"firstName": "Xesqueta", "lastName": "Bordils Amengual"});
    assert!(odds(&names, &names) < BANDS.link);
    let far = json!({"firstName": "Xesqueta", "lastName": "Bordils Amengual", "address": {"city": "Soria"}});
    assert!(odds(&far, &far) < BANDS.link);
}

#[test]
fn what_everybody_may_have_agreed_on_says_nothing() {
    let named = |more: Value| {
        let mut one = json!({"firstName": "Ana", "lastName": "Garcia"});
        one.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        subject(&one)
    };
    // A date that does not exist stands for none; a postal code or a town alone is a whole quarter's.
    for same in [
        json!({"birthday": "1970-02-30"}),
        json!({"birthday": "30/13/1970"}),
        json!({"address": {"postalCode": "28001"}}),
        json!({"address": {"city": "Madrid"}}),
    ] {
        let one = named(same.clone());
        let pattern = compare(&one, &one);
        for field in [Field::Birth, Field::Place] {
            assert_eq!(pattern[field as usize], 0, "{same}");
        }
    }
    // It still tells a mistyped one from another.
    let [mistyped, right] =
        ["1970-02-30", "1970-02-03"].map(|date| named(json!({"birthday": date})));
    assert_eq!(compare(&mistyped, &right)[Field::Birth as usize], 2);
    let both = named(json!({"address": {"city": "Madrid", "postalCode": "28001"}}));
    assert_eq!(compare(&both, &both)[Field::Place as usize], 3);
}

fn subjects() -> impl Strategy<Value = Vec<Subject>> {
    fn pick<T: Copy + std::fmt::Debug>(of: &'static [T]) -> prop::sample::Select<T> {
        prop::sample::select(of)
    }
    let one = (
        pick(&[
            "",
            "Ana",
            "Anita",
            "A.",
            "Luis",
            "Lluis",
            "José María",
            "Garcia",
            "Gracia",
        ]),
        pick(&[
            "",
            "García López",
            "Garcia",
            "Gracia López",
            "Ruiz",
            "Ana",
            "Anna",
            "Lluis",
        ]),
        pick(&["", "1980-05-12", "1980-12-05", "1980-05-13", "1950-01-02"]),
        pick(&[
            "",
            "Calle Mayor 5",
            "C/ Mayor 5 2B",
            "Mayor 6",
            "Gran Vía 1",
            "Gran Via",
            "Avenida del Puerto 5",
        ]),
        pick(&[
            ("", ""),
            ("Soria", ""),
            ("Sria", "42001"),
            ("Soria", "42001"),
            ("Madrid", "42001"),
            ("Madrid", "28002"),
            ("", "28002"),
        ]),
        pick(&["", "+34600000001", "+34600000002", "+34600000011"]),
        pick(&[
            "",
            "ana@x.example",
            "ana@y.example",
            "anna@x.example",
            "luis@x.example",
        ]),
        pick(&["", "female", "male", "none", "either"]),
    )
        .prop_map(
            |(given, last, birthday, street, (city, code), phone, email, gender)| {
                let mut one = subject(
                    &json!({"firstName": given, "lastName": last, "birthday": birthday,
                "address": {"street": street, "city": city, "postalCode": code}, "gender": gender}),
                );
                if !phone.is_empty() {
                    Subject::add(&mut one.phones, phone);
                }
                if !email.is_empty() {
                    Subject::add(&mut one.emails, email);
                }
                one
            },
        );
    prop::collection::vec(one, 2..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn which_of_two_comes_first_changes_nothing(subjects in subjects()) {
        let model = Model::untrained(&subjects);
        let [one, other] = [&subjects[0], &subjects[1]];
        prop_assert_eq!(compare(one, other), compare(other, one));
        let pattern = compare(one, other);
        prop_assert_eq!(model.odds(one, other, &pattern), model.odds(other, one, &pattern));
        let prior = model.prior(1_000_000);
        let score = model.score(one, other, &pattern, prior);
        prop_assert_eq!(&score, &model.score(other, one, &pattern, prior));
        prop_assert_eq!(score.odds, model.odds_among(one, other, &pattern, prior));
        let sum = score.terms.iter().map(|term| term.bits).sum::<Bits>() + score.prior + score.family;
        prop_assert!(sum == score.odds || sum > score.odds && score.odds < 0, "{} {:?}", sum, score);
    }

    /// Comparing a pair no further than needed changes no odds.
    #[test]
    fn the_odds_of_a_pair_that_is_compared_in_part_are_those_of_the_whole(
        subjects in subjects(), shipped in any::<bool>(), records in 1..10_000_000_u64, least in -30_000..30_000,
    ) {
        let untrained = Model::untrained(&subjects);
        let model = if shipped { Language::Es.model() } else { &untrained };
        let prior = model.prior(records);
        let weigher = Weigher::new(model, prior);
        for (nth, one) in subjects.iter().enumerate() {
            for other in &subjects[nth..] {
                let odds = model.odds_among(one, other, &compare_beside(one, other), prior);
                prop_assert_eq!(weigher.odds_from(one, other, least), (odds >= least).then_some(odds), "{}", odds);
                for (one, other) in [(one, other), (other, one)] {
                    let sketch = Sketch::from_bytes(&Sketch::of(other).to_bytes());
                    prop_assert_eq!(sketch, Sketch::of(other));
                    prop_assert!(odds < least || weigher.may_reach(&weigher.seek(one), &sketch, least), "{}", odds);
                }
            }
        }
    }

    #[test]
    fn every_record_is_in_one_group_and_none_that_contradict_each_other_are(subjects in subjects(), rival in any::<prop::sample::Index>()) {
        let model = Model::untrained(&subjects);
        let rival = rival.index(subjects.len() - 1) + 1;
        let apart = |one: &[usize], other: &[usize]| {
            one.contains(&0) && other.contains(&rival) || one.contains(&rival) && other.contains(&0)
        };
        let groups = group(&subjects, &model, BANDS, &apart);
        let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..subjects.len()).collect::<Vec<_>>());
        prop_assert!(!groups.iter().any(|group| group.contains(&0) && group.contains(&rival)));
    }

    #[test]
    fn the_mean_of_the_odds_decides_and_the_surest_go_first(odds in prop::collection::vec(-10_000..10_000i32, 45)) {
        let of = |one: usize, other: usize| odds[other * (other - 1) / 2 + one];
        let edges: Vec<(usize, usize, Bits)> = (0..10)
            .flat_map(|other| (0..other).map(move |one| (one, other)))
            .map(|(one, other)| (one, other, of(one, other)))
            .filter(|(.., odds)| *odds >= 0)
            .collect();
        let groups = cluster(10, &edges, &of, &|_, _| false, 0);
        let mean = |one: &[usize], other: &[usize]| -> f64 {
            let pairs = one.iter().flat_map(|a| other.iter().map(move |b| of(*a.min(b), *a.max(b))));
            pairs.map(f64::from).sum::<f64>() / (one.len() * other.len()) as f64
        };
        for (nth, one) in groups.iter().enumerate() {
            for other in &groups[nth + 1..] {
                prop_assert!(mean(one, other) < 0.0, "{:?} {:?}", one, other);
            }
        }
        let surest = edges.iter().min_by_key(|(one, other, odds)| (-odds, *one, *other));
        if let Some((one, other, _)) = surest {
            prop_assert!(groups.iter().any(|group| group.contains(one) && group.contains(other)));
        }
    }
}

#[test]
fn training_finds_the_weights_it_was_given_data_of() {
    // Two of three given names of one person are written alike here, and birthdays never are.
    let mut sample = Sample {
        records: 1_000,
        ..Sample::default()
    };
    let pattern = |given, birth, place| [given, 1, birth, place, 0, 0, 0, 0];
    for (pattern, count) in [
        (pattern(1, 4, 1), 200),
        (pattern(4, 4, 1), 100),
        (pattern(5, 4, 5), 5_000),
    ] {
        sample.candidates.insert(pattern, count);
    }
    sample.random.insert([5, 5, 4, 5, 0, 0, 0, 0], 50_000);
    let model = train(&sample, &Model::untrained(&[]));
    let person = &model.levels[Class::Person as usize];
    let same = f64::from(person[Field::Given as usize][1]) / 1000.0;
    assert!((same.exp2() - 2.0 / 3.0).abs() < 0.1, "{same}");
    assert!(person[Field::Birth as usize][4] > person[Field::Birth as usize][1]);
}
