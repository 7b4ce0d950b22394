//! The three laws of a join, for the property tests of every type.

use std::fmt::Debug;

use proptest::{prop_assert_eq, test_runner::TestCaseError};

use super::Join;

fn joined<T: Join + Clone>(left: &T, right: &T) -> T {
    let mut out = left.clone();
    out.join(right);
    out
}

/// Commutative, associative, idempotent, and joining what is already in changes nothing.
pub(crate) fn hold<T: Join + Clone + PartialEq + Debug>(
    a: &T,
    b: &T,
    c: &T,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(joined(a, b), joined(b, a), "commutative");
    prop_assert_eq!(
        joined(&joined(a, b), c),
        joined(a, &joined(b, c)),
        "associative"
    );
    prop_assert_eq!(&joined(a, a), a, "idempotent");
    let both = joined(a, b);
    prop_assert_eq!(&joined(&both, a), &both, "absorbing");
    Ok(())
}
