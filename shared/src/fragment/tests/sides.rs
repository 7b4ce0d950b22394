//! What one side of a person allows, and what it never allows for the other.

use super::*;
use crate::{crdt::ConsentState, evidence::ConsentSaid, facet::Facet};

/// A fragment of a side with one statement about the newsletter.
fn stated(facet: Option<Facet>, n: u8, granted: bool, observes: &[u8]) -> Fragment {
    let mut one = said(n);
    one.facet = facet;
    one.consents = vec![ConsentSaid {
        purpose: "newsletter".into(),
        channel: "email".into(),
        granted,
        observes: observes.iter().map(|n| EventId([*n; 32])).collect(),
    }];
    let payload = Payload { facet, ..payload() };
    fold(payload, [&one])
}

fn states(fragments: &[Fragment]) -> [Option<&'static str>; 3] {
    let whole = customer(fragments);
    let part = ("newsletter".to_owned(), "email".to_owned());
    let of = |consents: &BTreeMap<ConsentPart, ConsentState>| {
        consents.get(&part).copied().map(ConsentState::name)
    };
    let side = |facet| of(&whole.facets.get(&facet)?.consents);
    [
        of(&whole.consents),
        side(Facet::Personal),
        side(Facet::Professional),
    ]
}

#[test]
fn a_consent_of_one_side_never_leaks_to_the_other_nor_to_whoever_names_none() {
    let (home, work) = (Some(Facet::Personal), Some(Facet::Professional));
    let work_event = stated(work, 9, true, &[]);
    let mut silent = said(8);
    silent.facet = work;
    let at_work = fold(
        Payload {
            facet: work,
            ..payload()
        },
        [&silent],
    );
    // Given at home: nobody may write to the office.
    assert_eq!(
        states(&[stated(home, 1, true, &[]), at_work.clone()]),
        [Some("unknown"), Some("granted"), None]
    );
    // Given by nobody in particular: no named side is granted by it.
    assert_eq!(
        states(&[stated(None, 1, true, &[]), at_work]),
        [Some("granted"), None, None]
    );
    // Refused at home: the office goes on, whoever names no side stops.
    assert_eq!(
        states(&[
            stated(home, 1, false, &[]),
            work_event.clone(),
            stated(None, 3, true, &[])
        ]),
        [Some("denied"), Some("denied"), Some("granted")]
    );
    // Refused without a side: refused everywhere, until a grant of the side itself knew of it.
    let refused = stated(None, 1, false, &[]);
    assert_eq!(
        states(&[refused.clone(), work_event]),
        [Some("denied"), None, Some("denied")]
    );
    assert_eq!(
        states(&[refused, stated(work, 9, true, &[1])]),
        [Some("denied"), None, Some("granted")]
    );
}

/// An event that is this person's or another's, and nobody's alone, refuses for both and allows for neither.
#[test]
fn what_nobody_alone_refuses_is_refused_until_the_person_grants_it_again() {
    let part = ("newsletter".to_owned(), "email".to_owned());
    let beside = |own: &[Fragment], other: Fragment| {
        let whole = customer_beside(own, &[other]);
        let is_beside = whole.refused_beside.contains(&part);
        assert_eq!(whole.events, customer(own).events, "nothing else counts");
        let state = whole.consents.get(&part).map(|state| state.name());
        (state, is_beside)
    };
    let granted = || stated(None, 1, true, &[]);
    let refused = || stated(None, 2, false, &[]);
    assert_eq!(beside(&[granted()], refused()), (Some("denied"), true));
    let knowing = stated(None, 3, true, &[2]);
    assert_eq!(beside(&[knowing], refused()), (Some("granted"), false));
    assert_eq!(beside(&[], refused()), (Some("denied"), true));
    assert_eq!(beside(&[], granted()), (None, false));
    let own = stated(None, 4, false, &[]);
    assert_eq!(beside(&[own], refused()), (Some("denied"), false));
    // On the side that it names, and without a side; not on the other.
    let work = Some(Facet::Professional);
    let (at_work, at_home) = (
        stated(work, 1, true, &[]),
        stated(Some(Facet::Personal), 5, true, &[]),
    );
    let whole = customer_beside(&[at_work, at_home], &[stated(work, 2, false, &[])]);
    let side = |facet| whole.facets[&facet].consents[&part].name();
    assert_eq!(
        (side(Facet::Professional), side(Facet::Personal)),
        ("denied", "granted")
    );
}

proptest! {
    #[test]
    fn a_side_is_granted_only_by_a_grant_of_its_own(all in prop::collection::vec((0usize..3, any::<bool>(), prop::collection::vec(0u8..8, 0..4)), 0..8)) {
        let sides = [None, Some(Facet::Personal), Some(Facet::Professional)];
        let fragments: Vec<Fragment> = all.iter().zip(0u8..).map(|((side, granted, observes), n)| {
            let mut one = stated(sides[*side], n, *granted, observes);
            // Each is a fragment of its own.
            one.payload.day = Some(i32::from(n));
            one.fingerprint = one.payload.fingerprint();
            one
        }).collect();
        let shown = states(&fragments);
        let mut turned = fragments.clone();
        turned.reverse();
        prop_assert_eq!(shown, states(&turned));
        for (at, state) in shown.into_iter().enumerate() {
            let own = all.iter().any(|(side, granted, _)| *side == at && *granted);
            prop_assert!(state != Some("granted") || own);
            let refused = all.iter().any(|(side, granted, _)| *side == at && !granted);
            let regranted = all.iter().any(|(side, granted, observes)| *side == at && *granted && !observes.is_empty());
            prop_assert!(!(refused && state == Some("granted")) || regranted);
        }
    }
}
