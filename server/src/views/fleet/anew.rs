//! Agents that began anew, without what they had written before.

use trenza_shared::clock::parse_time_ms;

use crate::{
    sync::began::BeganAnew,
    views::{text::Lang, time::Times},
};

/// That it went on without what it had written before, in words.
pub(super) fn told(t: Lang, times: &Times, began: &BeganAnew) -> String {
    let at = began.at.as_deref().and_then(parse_time_ms);
    let at = at.map_or_else(String::new, |ms| format!(" ({})", times.shown(ms).full));
    let epoch = began.epoch;
    match (t, began.aside) {
        (Lang::Es, false) => format!(
            "Empezó de nuevo en la vida {epoch} de su registro{at}: lo que no había enviado hasta entonces se ha perdido o sigue en su disco antiguo."
        ),
        (Lang::En, false) => format!(
            "Began anew in life {epoch} of its log{at}: what it had not sent by then is lost or still on its old disk."
        ),
        (Lang::Es, true) => format!(
            "Su almacén se dañó: empezó de nuevo en la vida {epoch} de su registro{at}. Lo que aún se puede leer del antiguo se envía otra vez; el resto se ha perdido."
        ),
        (Lang::En, true) => format!(
            "Its store was damaged: it began anew in life {epoch} of its log{at}. What can still be read of the old one is sent again; the rest is lost."
        ),
    }
}
