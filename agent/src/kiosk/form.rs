//! Forms of the kiosk: a token that no other site can know, and a visit that is saved once however often Save is pressed.

use trenza_shared::id::to_hex;

use crate::{
    capture::{Draft, entry_of_staff, take_in},
    state::{App, random_uuid},
};

/// Visits remembered against a second press of Save.
const SAVED_MAX: usize = 256;
/// Bytes of a token.
const TOKEN_BYTES: usize = 16;

/// A new visit: its random id, and the token that proves that this agent made the form.
pub fn new_visit(app: &App) -> (String, String) {
    let visit = random_uuid();
    let token = token(app, &visit);
    (visit, token)
}

/// The token of a visit.
pub fn token(app: &App, visit: &str) -> String {
    to_hex(&blake3::keyed_hash(&app.form_key, visit.as_bytes()).as_bytes()[..TOKEN_BYTES])
}

/// Whether a form was made by this agent.
pub fn is_ours(app: &App, visit: &str, given: &str) -> bool {
    visit.len() == 36 && equal(token(app, visit).as_bytes(), given.as_bytes())
}

/// Saves a visit; pressing twice saves once. True once it is on stable storage.
pub async fn save(app: &App, visit: &str, drafts: Vec<Draft>) -> bool {
    // Held while storing: a second press waits for what became of the first.
    let mut saved = app.saved_visits.lock().await;
    if saved.iter().any(|known| known == visit) {
        return true;
    }
    let Some(appends) = entry_of_staff(app, drafts) else {
        return false;
    };
    match take_in(app, appends).await {
        Ok(_) => {
            if saved.len() == SAVED_MAX {
                saved.pop_front();
            }
            saved.push_back(visit.to_owned());
            true
        }
        Err(error) => {
            tracing::error!(error = %error, "a visit could not be saved; its form stays on the screen");
            false
        }
    }
}

/// Compares in a time that tells nothing of where the difference is.
fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |differs, (a, b)| differs | (a ^ b))
            == 0
}
