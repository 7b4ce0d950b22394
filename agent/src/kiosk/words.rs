//! Every text of the kiosk, in Spanish and English.

use trenza_shared::event::EventType;

use super::Lang;
use crate::merge::Kind;

/// The texts of one language.
#[derive(Debug)]
#[allow(missing_docs, reason = "each name says which text it is")]
pub struct Words {
    lang: Lang,
    pub home: &'static str,
    pub home_title: &'static str,
    pub menu: &'static str,
    pub scan: &'static str,
    pub scan_hint: &'static str,
    pub scan_lead: &'static str,
    pub code: &'static str,
    pub quick: &'static str,
    pub quick_hint: &'static str,
    pub reason: &'static str,
    pub contact: &'static str,
    pub contact_with_id: &'static str,
    pub first_name: &'static str,
    pub last_name: &'static str,
    pub second_last_name: &'static str,
    pub company: &'static str,
    pub interest: &'static str,
    pub save: &'static str,
    pub save_without: &'static str,
    pub back: &'static str,
    pub r#use: &'static str,
    pub keep: &'static str,
    pub next_visit: &'static str,
    pub saved: &'static str,
    pub saved_scan: &'static str,
    pub saved_visit: &'static str,
    pub saved_without: &'static str,
    pub outbox: &'static str,
    pub all_sent: &'static str,
    pub send_now: &'static str,
    pub today: &'static str,
    pub nothing_today: &'static str,
    pub free_space: &'static str,
    pub clock: &'static str,
    pub clock_unknown: &'static str,
    pub clock_fine: &'static str,
    pub last_rows: &'static str,
    pub time: &'static str,
    pub kind: &'static str,
    pub sent: &'static str,
    pub waits: &'static str,
    pub sealed_note: &'static str,
    pub refused: &'static str,
    pub not_saved: &'static str,
    pub disk_full: &'static str,
    pub quota_full: &'static str,
    pub disk_failed: &'static str,
    pub closed: &'static str,
    pub closed_not_saved: &'static str,
    pub tried_again: &'static str,
    pub press_again: &'static str,
    pub code_ended: &'static str,
    pub code_broken: &'static str,
    pub code_too_far: &'static str,
    pub code_too_long: &'static str,
    pub resumed: &'static str,
    pub still_title: &'static str,
    pub still_text: &'static str,
    pub still_here: &'static str,
    pub venue: &'static str,
    pub no_venue: &'static str,
    pub nobody_near: &'static str,
    pub venue_unread: &'static str,
}

static ES: Words = Words {
    lang: Lang::Es,
    home: "Inicio",
    home_title: "¿Quién viene?",
    menu: "Menú",
    scan: "Escanear",
    scan_hint: "Acreditación o código",
    scan_lead: "Pase el lector por la acreditación, o teclee el código y pulse Intro.",
    code: "Código",
    quick: "Alta rápida",
    quick_hint: "Visita sin acreditación",
    reason: "Motivo de la visita",
    contact: "Correo o móvil",
    contact_with_id: "Correo, móvil o DNI/NIE",
    first_name: "Nombre",
    last_name: "Primer apellido",
    second_last_name: "Segundo apellido",
    company: "Empresa",
    interest: "Le interesa",
    save: "Guardar",
    save_without: "Guardar sin datos personales",
    back: "Volver",
    r#use: "Usar",
    keep: "Está bien así",
    next_visit: "Siguiente visita",
    saved: "Guardado",
    saved_scan: "No lo conozco todavía. Se guarda y se resolverá al enviar.",
    saved_visit: "La visita está guardada en este equipo y se enviará sola.",
    saved_without: "La visita está guardada, sin ningún dato personal.",
    outbox: "Turno y envíos",
    all_sent: "Todo enviado",
    send_now: "Enviar ahora",
    today: "Hoy",
    nothing_today: "Aún no hay visitas en este turno",
    free_space: "Espacio libre",
    clock: "Reloj",
    clock_unknown: "aún sin comparar",
    clock_fine: "en hora",
    last_rows: "Últimas 20",
    time: "Hora",
    kind: "Qué",
    sent: "Enviado",
    waits: "Por enviar",
    sealed_note: "Sin nombres: esta lista no muestra datos de nadie.",
    refused: "El servidor no acepta este equipo. Las visitas se guardan aquí; avise a quien lo administra.",
    quota_full: "El espacio reservado a las visitas está lleno: no caben más. Avise al responsable; lo guardado sigue enviándose y en cuanto haya sitio se podrá seguir.",
    disk_full: "El disco está lleno: no caben más visitas. Avise al responsable; lo guardado sigue enviándose y en cuanto haya sitio se podrá seguir.",
    disk_failed: "El disco falla: no se puede guardar. Avise al responsable; en cuanto responda se podrá seguir.",
    not_saved: "No se ha podido guardar. Lo escrito sigue aquí: pulse Guardar otra vez.",
    code_ended: "Ese código ha caducado. Pida que lo abra otra vez en su teléfono.",
    code_broken: "Ese código no ha llegado entero y no se ha guardado nada. Pida que lo muestre otra vez y vuelva a escanearlo.",
    code_too_far: "Ese código dice valer más de un día, y no se cree: o no está bien hecho o el reloj de este equipo va atrasado. Pida que lo abra otra vez, o use Alta rápida.",
    code_too_long: "Ese código es demasiado largo: más de 2.048 caracteres. No se ha guardado nada. Use Alta rápida y avise a quien lleva la web.",
    resumed: "Sigue de la web: lo que ya dio está puesto. Pregunte solo lo que falte.",
    closed: "Ahora no se puede registrar a nadie. Lo guardado antes sigue en este equipo. En cuanto el disco responda, esta página vuelve sola.",
    closed_not_saved: "Lo que acaba de escribir no se ha guardado: vuelva atrás, no lo borre, y pulse Guardar otra vez cuando este aviso haya desaparecido.",
    tried_again: "Sin guardar · se vuelve a intentar solo",
    press_again: "Esta página llevaba mucho tiempo abierta. Lo escrito sigue aquí: pulse Guardar otra vez.",
    still_title: "¿Sigue ahí?",
    still_text: "En 15 segundos se borra lo escrito, para que no lo vea la siguiente visita.",
    still_here: "Sigo",
    venue: "El recinto",
    no_venue: "Este equipo no pertenece a ningún recinto: no ve a los demás. Avise a quien lo administra.",
    nobody_near: "Ningún otro equipo del recinto a la vista",
    venue_unread: "No se ha podido leer la cuenta del recinto",
};

static EN: Words = Words {
    lang: Lang::En,
    home: "Home",
    home_title: "Who is visiting?",
    menu: "Menu",
    scan: "Scan",
    scan_hint: "Badge or code",
    scan_lead: "Hold the badge to the scanner, or type the code and press Enter.",
    code: "Code",
    quick: "Quick entry",
    quick_hint: "Visitor without a badge",
    reason: "Reason of the visit",
    contact: "E-mail or mobile",
    contact_with_id: "E-mail, mobile or DNI/NIE",
    first_name: "First name",
    last_name: "First surname",
    second_last_name: "Second surname",
    company: "Company",
    interest: "Interested in",
    save: "Save",
    save_without: "Save with no personal data",
    back: "Back",
    r#use: "Use",
    keep: "It is right as it is",
    next_visit: "Next visitor",
    saved: "Saved",
    saved_scan: "Not known yet. Saved; will be resolved when sent.",
    saved_visit: "The visit is saved on this device and will be sent by itself.",
    saved_without: "The visit is saved, with no personal data.",
    outbox: "Shift & outbox",
    all_sent: "Everything sent",
    send_now: "Send now",
    today: "Today",
    nothing_today: "No visits this shift yet",
    free_space: "Free space",
    clock: "Clock",
    clock_unknown: "not compared yet",
    clock_fine: "on time",
    last_rows: "Last 20",
    time: "Time",
    kind: "What",
    sent: "Sent",
    waits: "To send",
    sealed_note: "No names: this list shows nothing about anybody.",
    refused: "The server does not accept this device. Visits are kept here; tell its administrator.",
    quota_full: "The space set aside for visits is full: no more of them fit. Tell whoever is in charge; what is saved is still being sent, and you can carry on as soon as there is space.",
    disk_full: "The disk is full: no more visits fit. Tell whoever is in charge; what is saved is still being sent, and you can carry on as soon as there is space.",
    disk_failed: "The disk fails: nothing can be saved. Tell whoever is in charge; you can carry on as soon as it answers.",
    not_saved: "It could not be saved. What you typed is still here: press Save again.",
    code_ended: "That code has ended. Ask them to open it again on their phone.",
    code_broken: "That code did not come whole, and nothing was saved. Ask them to show it again and scan it once more.",
    code_too_far: "That code says that it holds for over a day, which is not believed: it is badly made, or the clock of this device is behind. Ask them to open it again, or use Quick entry.",
    code_too_long: "That code is too long: over 2,048 characters. Nothing was saved. Use Quick entry, and tell whoever runs the website.",
    resumed: "Carried on from the website: what they gave is filled in. Ask only for what is missing.",
    closed: "Nobody can be registered now. What was saved before is still on this device. As soon as the disk answers, this page comes back by itself.",
    closed_not_saved: "What you just typed was not saved: go back, do not clear it, and press Save again once this notice is gone.",
    tried_again: "Nothing is saved · it is tried again by itself",
    press_again: "This page was open for long. What you typed is still here: press Save again.",
    still_title: "Still there?",
    still_text: "In 15 seconds what was typed is wiped, so that the next visitor does not see it.",
    still_here: "Still here",
    venue: "The venue",
    no_venue: "This device belongs to no venue: it does not see the others. Tell its administrator.",
    nobody_near: "No other device of the venue is in sight",
    venue_unread: "The venue's count could not be read",
};

impl Words {
    /// The texts of a language.
    pub fn of(lang: Lang) -> &'static Self {
        match lang {
            Lang::Es => &ES,
            Lang::En => &EN,
        }
    }

    /// The footer's line: can I work, how many wait, since when. `saves`: visits can be taken in.
    pub fn line(&self, up: bool, waiting: u64, since: &str, saves: bool) -> String {
        match (self.lang, up, waiting) {
            (Lang::Es, false, _) if !saves => {
                format!("Sin red · {waiting} por enviar · desde {since}")
            }
            (Lang::En, false, _) if !saves => {
                format!("No network · {waiting} to send · since {since}")
            }
            (Lang::Es, false, _) => {
                format!("Sin red · {waiting} por enviar · desde {since} · puede seguir")
            }
            (Lang::En, false, _) => {
                format!("No network · {waiting} to send · since {since} · carry on")
            }
            (Lang::Es, true, 0) => "Con red · Todo enviado".into(),
            (Lang::En, true, 0) => "Online · Everything sent".into(),
            (Lang::Es, true, _) => format!("Con red · {waiting} por enviar"),
            (Lang::En, true, _) => format!("Online · {waiting} to send"),
        }
    }

    /// How many visits there were.
    pub fn tally(&self, visits: u64) -> String {
        match (self.lang, visits) {
            (_, 0) => self.nothing_today.into(),
            (Lang::Es, 1) => "1 visita en este turno".into(),
            (Lang::Es, _) => format!("{visits} visitas en este turno"),
            (Lang::En, 1) => "1 visit this shift".into(),
            (Lang::En, _) => format!("{visits} visits this shift"),
        }
    }

    /// How many visits the whole venue had.
    pub fn venue_tally(&self, venue: &str, visits: u64) -> String {
        match (self.lang, visits) {
            (Lang::Es, 1) => format!("{venue}: 1 visita hoy entre todos los equipos"),
            (Lang::Es, _) => format!("{venue}: {visits} visitas hoy entre todos los equipos"),
            (Lang::En, 1) => format!("{venue}: 1 visit today over all devices"),
            (Lang::En, _) => format!("{venue}: {visits} visits today over all devices"),
        }
    }

    /// How another device stands, and its visits.
    pub fn device(&self, near: bool, visits: u64) -> String {
        let state = match (self.lang, near) {
            (Lang::Es, true) => "conectado",
            (Lang::Es, false) => "sin noticias",
            (Lang::En, true) => "connected",
            (Lang::En, false) => "not heard",
        };
        format!("{state} · {visits}")
    }

    /// Devices that are not named.
    pub fn more_devices(&self, more: usize) -> String {
        match self.lang {
            Lang::Es => format!("y {more} más"),
            Lang::En => format!("and {more} more"),
        }
    }

    /// What was given up for want of room.
    pub fn dropped(&self, events: u64) -> String {
        match self.lang {
            Lang::Es => format!(
                "Descartados por falta de sitio: {events} eventos de baja prioridad. Ninguna visita. El servidor lo sabe o lo sabrá."
            ),
            Lang::En => format!(
                "Dropped for want of space: {events} low-priority events. No visit. The server knows, or will."
            ),
        }
    }

    /// Head of the outbox.
    pub fn to_send(&self, waiting: u64) -> String {
        match (self.lang, waiting) {
            (_, 0) => self.all_sent.into(),
            (Lang::Es, _) => format!("{waiting} por enviar"),
            (Lang::En, _) => format!("{waiting} to send"),
        }
    }

    /// What cannot be delivered.
    pub fn kept(&self, count: u64, reason: &str) -> String {
        match self.lang {
            Lang::Es => format!(
                "{count} guardadas aquí y no entregadas: el servidor no las acepta, o ya no se pueden leer ({reason}). No se pierde lo demás; avise a quien lo administra."
            ),
            Lang::En => format!(
                "{count} kept here and not delivered: the server does not accept them, or they can no longer be read ({reason}). Nothing else is lost; tell your admin."
            ),
        }
    }

    /// Another device brought it to the server.
    pub fn brought(&self, place: &str) -> String {
        match self.lang {
            Lang::Es => format!("Entregado por {place}"),
            Lang::En => format!("Delivered by {place}"),
        }
    }

    /// How many another device brought to the server.
    pub fn brought_by(&self, events: u64, place: &str) -> String {
        match (self.lang, events) {
            (Lang::Es, 1) => format!("1 entregada por {place}"),
            (Lang::Es, _) => format!("{events} entregadas por {place}"),
            (Lang::En, _) => format!("{events} delivered by {place}"),
        }
    }

    /// Since when the oldest waits.
    pub fn oldest(&self, since: &str) -> String {
        match self.lang {
            Lang::Es => format!("La más antigua, de las {since}. Se envían solas cuando hay red."),
            Lang::En => format!(
                "The oldest is of {since}. They are sent by themselves when there is a network."
            ),
        }
    }

    /// By how much the clock differs.
    pub fn clock_off(&self, offset_ms: i64) -> String {
        let seconds = offset_ms.abs() / 1000;
        let text = if seconds < 120 {
            format!("{seconds} s")
        } else {
            format!("{} min", seconds / 60)
        };
        match (self.lang, offset_ms > 0) {
            (Lang::Es, true) => format!("{text} atrasado"),
            (Lang::Es, false) => format!("{text} adelantado"),
            (Lang::En, true) => format!("{text} behind"),
            (Lang::En, false) => format!("{text} ahead"),
        }
    }

    /// What an entry is called.
    pub fn name_of(&self, kind: Kind) -> &'static str {
        let (es, en) = match kind {
            Kind::Event(EventType::Track) => ("Visita o acción", "Visit or action"),
            Kind::Event(EventType::Identify) => ("Datos de contacto", "Contact details"),
            Kind::Event(EventType::Page) => ("Página vista", "Page view"),
            Kind::Event(EventType::Screen) => ("Pantalla vista", "Screen view"),
            Kind::Event(EventType::Group) => ("Empresa o grupo", "Company or group"),
            Kind::Event(EventType::Alias) => ("Dos códigos, una persona", "Two codes, one person"),
            Kind::Rejected => ("No válido, apartado", "Not valid, kept apart"),
        };
        match self.lang {
            Lang::Es => es,
            Lang::En => en,
        }
    }

    /// A document whose letter is wrong, with the one that fits.
    pub fn letter(&self, right: &str) -> String {
        match self.lang {
            Lang::Es => format!("La letra no corresponde: ¿{right}?"),
            Lang::En => format!("The letter does not match: {right}?"),
        }
    }

    /// A probable typing mistake.
    pub fn meant(&self, suggestion: &str) -> String {
        match self.lang {
            Lang::Es => format!("¿Quiso decir {suggestion}?"),
            Lang::En => format!("Did you mean {suggestion}?"),
        }
    }

    /// What is wrong with an identifier.
    pub fn invalid(&self, invalid: &trenza_shared::identifier::Invalid) -> String {
        match self.lang {
            Lang::Es => invalid.sentence_es(),
            Lang::En => invalid.sentence_en(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_says_exactly_this() {
        assert_eq!(
            ES.line(false, 37, "10:42", true),
            "Sin red · 37 por enviar · desde 10:42 · puede seguir"
        );
        assert_eq!(
            EN.line(false, 37, "10:42", true),
            "No network · 37 to send · since 10:42 · carry on"
        );
        assert!(ES.line(true, 0, "", true).contains("Todo enviado"));
        assert!(!ES.line(false, 0, "10:42", false).contains("puede seguir"));
        assert!(!EN.line(false, 0, "10:42", false).contains("carry on"));
    }
}
