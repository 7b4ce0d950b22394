//! Everything a person reads, in every language.
//!
//! Owns the languages and the phrases. A phrase has no default: one that lacks a language does not compile.

// Phrases are their own documentation and no Markdown.
#![allow(rustdoc::bare_urls, rustdoc::invalid_html_tags)]

use trenza_shared::{facet::Facet, identifier::Kind};

/// A language of the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lang {
    /// Spanish.
    Es,
    /// English.
    En,
}

impl Lang {
    /// Every language, the first being the one for who asks for none of them.
    pub const ALL: [Self; 2] = [Self::Es, Self::En];

    /// As in paths and in the `lang` attribute (BCP 47).
    pub fn code(self) -> &'static str {
        self.pick("es", "en")
    }

    /// The other language, for the switch.
    pub fn other(self) -> Self {
        match self {
            Self::Es => Self::En,
            Self::En => Self::Es,
        }
    }

    /// Its own name.
    pub fn own_name(self) -> &'static str {
        self.pick("Español", "English")
    }

    /// The text of this language.
    pub fn pick<T>(self, es: T, en: T) -> T {
        match self {
            Self::Es => es,
            Self::En => en,
        }
    }

    /// The language of a path `/es/...`.
    pub fn of_path(path: &str) -> Option<Self> {
        let first = path.trim_start_matches('/').split('/').next()?;
        Self::ALL.into_iter().find(|lang| lang.code() == first)
    }

    /// The best of `Accept-Language` (RFC 9110, section 12.5.4).
    pub fn accepted(header: &str) -> Self {
        let mut best = (0.0, Self::Es);
        for part in header.split(',').take(20) {
            let mut fields = part.trim().split(';');
            let range = fields.next().unwrap_or_default().to_ascii_lowercase();
            let weight = fields
                .find_map(|field| field.trim().strip_prefix("q=")?.parse::<f32>().ok())
                .unwrap_or(1.0);
            let lang = Self::ALL
                .into_iter()
                .find(|lang| range.split('-').next() == Some(lang.code()));
            if let Some(lang) = lang
                && weight > best.0
            {
                best = (weight, lang);
            }
        }
        best.1
    }

    /// `3 visitas`, `1 visita`.
    pub fn count(self, count: u64, es: (&str, &str), en: (&str, &str)) -> String {
        let (one, many) = self.pick(es, en);
        format!("{count} {}", if count == 1 { one } else { many })
    }

    /// What a kind of identifier is called.
    pub fn kind(self, kind: Kind) -> &'static str {
        match kind {
            Kind::NationalId => self.pick("Documento", "National id"),
            Kind::AccountId => self.pick("Cuenta", "Account"),
            Kind::LoyaltyId => self.pick("Tarjeta de cliente", "Loyalty card"),
            Kind::UserId => self.pick("Usuario", "User"),
            Kind::BadgeId => self.pick("Acreditación", "Badge"),
            Kind::Email => self.pick("Correo", "E-mail"),
            Kind::Phone => self.pick("Teléfono", "Phone"),
            Kind::AnonymousId => self.pick("Visitante", "Visitor"),
            Kind::Record => self.pick("Ficha", "Record"),
        }
    }

    /// What a side of a person is called.
    pub fn facet(self, facet: Facet) -> &'static str {
        match facet {
            Facet::Personal => self.pick("En casa", "At home"),
            Facet::Professional => self.pick("En el trabajo", "At work"),
        }
    }

    /// What a channel is called; one that we do not know keeps its own name.
    pub fn channel(self, channel: &str) -> &str {
        match channel {
            "web" => "Web",
            "app" => self.pick("Aplicación", "App"),
            "store" => self.pick("Tienda", "Store"),
            "event" => self.pick("Evento", "Event"),
            "call" => self.pick("Llamada", "Call"),
            "email" => self.pick("Correo", "E-mail"),
            "social" => self.pick("Redes", "Social"),
            "sms" => "SMS",
            "print" => self.pick("Papel", "Print"),
            "" => self.pick("Sin canal", "No channel"),
            other => other,
        }
    }

    /// What a trait is called; one that we do not know keeps its own name.
    pub fn field(self, name: &str) -> &str {
        match name {
            "firstName" => self.pick("Nombre", "First name"),
            "lastName" => self.pick("Primer apellido", "Last name"),
            "secondLastName" => self.pick("Segundo apellido", "Second last name"),
            "name" => self.pick("Nombre completo", "Full name"),
            "birthday" => self.pick("Nacimiento", "Birthday"),
            "address" => self.pick("Dirección", "Address"),
            "gender" => self.pick("Género", "Gender"),
            "company" => self.pick("Empresa", "Company"),
            "city" => self.pick("Ciudad", "City"),
            "balance" => self.pick("Saldo", "Balance"),
            other => other,
        }
    }
}

macro_rules! phrases {
    ($($name:ident: $es:literal, $en:literal;)+) => {
        impl $crate::views::text::Lang {
            $(#[doc = $en] pub fn $name(self) -> &'static str { self.pick($es, $en) })+
        }

        /// Every phrase in both languages, for tests.
        #[cfg(test)]
        pub const PHRASES: &[(&str, &str, &str)] = &[$((stringify!($name), $es, $en)),+];
    };
}

use phrases;

pub mod review; // what who decides reads
pub mod web; // what developers of websites read

phrases! {
    skip: "Saltar al contenido", "Skip to content";
    main_menu: "Menú principal", "Main menu";
    switch_language: "Cambiar idioma", "Change language";
    user: "Usuario", "User";
    password: "Contraseña", "Password";
    sign_in: "Entrar", "Sign in";
    sign_out: "Salir", "Sign out";
    sign_in_wrong: "El usuario o la contraseña no coinciden. Compruebe mayúsculas y guiones.", "The user and the password do not match. Check capitals and hyphens.";
    sign_in_wait: "Demasiados intentos seguidos. Espere un minuto y pruebe otra vez.", "Too many attempts in a row. Wait a minute and try again.";
    sign_in_lead: "Una sola ficha por persona, venga de la web, de la tienda o de un evento.", "One record per person, whether from the web, the shop or an event.";
    sign_in_help: "¿Sin contraseña? Quien administra el servidor puede darle una: trenza-server user create.", "No password? Whoever runs the server can give you one: trenza-server user create.";
    find: "Buscar", "Find";
    find_title: "Buscar a una persona", "Find a person";
    find_label: "Nombre, correo, teléfono, DNI o número de cuenta", "Name, e-mail, phone, national id or account number";
    find_hint: "De un nombre basta un trozo; correo, teléfono y números, desde el principio. Sin acentos también vale.", "Of a name a fragment is enough; e-mail, phone and numbers from their beginning. Accents do not matter.";
    find_nobody: "Nadie con eso. ¿Buscar por parte del correo?", "Nobody with that. Try part of the e-mail?";
    find_many: "Hay más. Añada otra palabra para acotar.", "There are more. Add another word to narrow it down.";
    find_too_many: "Demasiadas personas tienen esas palabras y no se miraron todas. Escriba un nombre o apellido entero, el correo o el teléfono.", "Too many people have these words and not all were looked at. Type a whole name or surname, the e-mail or the phone.";
    find_empty: "Aún no hay fichas. Los primeros pasos dicen cómo empezar.", "There are no records yet. First steps says how to begin.";
    find_recent: "Con cambios recientes", "Recently changed";
    results: "Resultados", "Results";
    person: "Persona", "Person";
    identifiers: "Identificadores", "Identifiers";
    last_touch: "Último contacto", "Last touch";
    touches: "Contactos", "Touches";
    masked_note: "Su papel es de lectura: los datos personales se muestran abreviados.", "Your role is reader: personal values are shown shortened.";
    record: "Ficha", "Record";
    anonymous: "Visitante sin identificar", "Unidentified visitor";
    record_id: "Identificador de la ficha", "Record id";
    copy_hint: "También llevan aquí los identificadores anteriores de la ficha.", "Earlier ids of this record lead here too.";
    since: "Desde", "Since";
    kind_column: "Tipo", "Kind";
    value: "Valor", "Value";
    first_seen: "Visto por primera vez", "First seen";
    last_seen: "Visto por última vez", "Last seen";
    sources: "Fuentes", "Sources";
    shared: "Compartido", "Shared";
    shared_help: "Lo usan varias personas o se contradice: no une fichas.", "Several people use it, or it contradicts itself: it links no records.";
    own: "Propio", "Own";
    use_column: "Uso", "Use";
    facts: "Datos", "Details";
    no_facts: "Nadie ha contado aún nada de esta persona.", "Nobody has said anything about this person yet.";
    when: "Cuándo", "When";
    other_values: "Otros valores", "Other values";
    interests: "Intereses", "Interests";
    no_interests: "Aún sin temas.", "No topics yet.";
    times: "Veces", "Times";
    topic: "Tema", "Topic";
    consents: "Permisos", "Consents";
    accounts: "Cuentas y hogares", "Accounts and households";
    accounts_menu: "Cuentas", "Accounts";
    accounts_lead: "Organizaciones y hogares, y quién es qué en cada uno. Pertenecer a uno no junta fichas.", "Organisations and households, and who is what in each. Belonging to one never joins records.";
    accounts_find: "Nombre, número de registro o identificador", "Name, number in a register or id";
    accounts_none: "Ninguna cuenta todavía. Llegan con las importaciones y los eventos «group», o se añaden aquí.", "No accounts yet. They come with imports and group events, or are added here.";
    account_new: "Cuenta u hogar nuevo", "New account or household";
    organisation: "Organización", "Organisation";
    a_household: "Hogar", "Household";
    members: "Quién es qué", "Who is what";
    members_more: "Hay más personas de las que se muestran.", "There are more people than are shown.";
    no_members: "No consta que nadie pertenezca.", "Nobody is known to belong to it.";
    member: "Miembro", "Member";
    no_decider: "Sin decisor conocido", "Nobody known who decides";
    group_id: "Identificador de origen", "Id at its source";
    role: "Papel", "Role";
    role_hint: "Con las palabras de la organización: gerente, compras, madre… Vacío: miembro.", "In the words of the organisation: manager, purchasing, mother… Empty: member.";
    role_marks: "Qué hace", "What they do";
    decides: "Decide", "Decides";
    pays: "Paga", "Pays";
    uses: "Usa", "Uses";
    prescribes: "Prescribe", "Prescribes";
    weight: "Peso (0 a 100)", "Weight (0 to 100)";
    first_day: "Primer día", "First day";
    last_day: "Último día", "Last day";
    last_day_hint: "Para terminar un papel, añádalo otra vez con su último día.", "To end a role, add it again with its last day.";
    since_day: "desde", "from";
    to_day: "hasta", "until";
    not_today: "Hoy no", "Not today";
    relation_add: "Añadir relación", "Add relation";
    relation_latest: "De cada persona y papel cuenta lo último que se dijo.", "Of each person and role the latest statement counts.";
    relation_done: "Guardado, a su nombre.", "Saved, under your name.";
    person_hint: "Un correo, un teléfono o el identificador de la ficha.", "An e-mail, a phone or the record id.";
    person_nobody: "Nadie tiene ese dato. Escríbalo entero, o búsquelo primero.", "Nobody has that value. Write the whole of it, or search first.";
    person_several: "Varias personas tienen ese dato. Use el identificador de la ficha.", "Several people have that value. Use the record id.";
    belongs: "Cuentas y hogares de esta persona", "Accounts and households of this person";
    error_relation: "Revise el papel (64 letras), el peso (0 a 100) y los días: el último no puede ir antes del primero.", "Check the role (64 letters), the weight (0 to 100) and the days: the last cannot be before the first.";
    error_nameless: "Ningún dato es solo de esta persona", "No value is this person's alone";
    error_nameless_text: "Sin un correo, teléfono u otro dato propio no se puede anotar nada de ella.", "Without an e-mail, phone or another value of their own nothing can be noted of them.";
    sides: "En casa y en el trabajo", "At home and at work";
    sides_help: "Lo que se permite a un lado no vale para el otro. Un no sin lado vale para todos.", "What one side allows does not hold for the other. A no without a side holds for all.";
    no_consents: "No consta ningún permiso: se trata como un no.", "No consent is on record: that counts as no.";
    granted: "Concedido", "Granted";
    denied: "Denegado", "Denied";
    refused_beside: "Denegado en un contacto que puede ser suyo o de otra persona", "Denied in a touch that may be theirs or another person's";
    unknown: "No consta", "Unknown";
    purpose: "Finalidad", "Purpose";
    channel_word: "Canal", "Channel";
    timeline: "Línea de vida", "Timeline";
    newest_first: "Lo más reciente primero", "Newest first";
    oldest_first: "Lo más antiguo primero", "Oldest first";
    later_page: "Más", "More";
    back_to_start: "Volver al principio", "Back to the start";
    place: "Lugar", "Place";
    late: "Llegó tarde", "Arrived late";
    received: "recibido", "received";
    outbound: "Lo dijimos nosotros", "Said by us";
    device: "Dispositivo", "Device";
    as_table: "Lo mismo en una tabla", "The same as a table";
    strip_title: "Contactos en el tiempo, por canal", "Touches over time, by channel";
    graph_title: "Qué une esta ficha", "What holds this record together";
    graph_left: "Identificadores", "Identifiers";
    graph_right: "Dónde aparecieron", "Where they appeared";
    graph_more: "El dibujo muestra lo principal; la tabla, todo lo cargado.", "The picture shows the main part; the table all that was loaded.";
    first: "Primera vez", "First time";
    last: "Última vez", "Last time";
    why: "¿Por qué una sola?", "Why one?";
    why_lead: "Elija dos datos de la ficha: verá qué los une, con fuente y fecha.", "Choose two values of the record to see what links them, with source and date.";
    why_apart_title: "¿Por qué no son la misma?", "Why are they not the same?";
    why_apart_lead: "Escriba un dato de otra ficha, o su identificador (c_…), y verá qué las separa.", "Type a value of another record, or its id (c_…), to see what keeps them apart.";
    why_single: "Esta ficha tiene un solo dato: no hay nada que unir.", "This record has a single value: there is nothing to link.";
    value_one: "Un dato", "One value";
    value_two: "Otro dato", "Another value";
    value_here: "Dato de esta ficha", "Value of this record";
    value_other: "Dato de la otra (correo, teléfono, DNI, cuenta…)", "Value of the other (e-mail, phone, national id, account…)";
    explain: "Explicar", "Explain";
    compare: "Comparar", "Compare";
    linked: "Una sola persona", "One person";
    not_linked: "No son la misma ficha", "They are not the same record";
    steps: "Pasos", "Steps";
    step: "Paso", "Step";
    from: "De", "From";
    to: "A", "To";
    evidence: "Prueba", "Evidence";
    message: "Mensaje", "Message";
    decision_of: "Decisión de", "Decision by";
    other_left_out: "Si es de una de estas clases, las reglas no la tienen en cuenta; escríbala delante para verlo:", "If it is of one of these kinds, the rules leave it out; write the kind before it to see so:";
    other_unknown: "Nadie tiene ese dato. Compruebe que está escrito entero.", "Nobody holds that value. Check that it is typed in full.";
    undo: "Deshacer", "Undo";
    say_not_same: "No son la misma persona", "They are not the same person";
    say_same: "Son la misma persona", "They are the same person";
    review: "Dudas", "Review";
    review_lead: "Fichas que pueden ser de la misma persona, las más seguras primero. Antes de decidir se ve lo que pasaría.", "Records that may be one person's, the surest first. What a decision would do is shown before it is taken.";
    review_none: "Nada que decidir.", "Nothing to decide.";
    review_more: "Más dudas", "More";
    say_household: "Hogar", "Household";
    later: "Después", "Later";
    later_done: "Aplazada 30 días, solo para usted.", "Put off for 30 days, for you alone.";
    homes_title: "¿Viven juntas?", "Do they live together?";
    homes_lead: "Coinciden la dirección y un apellido, o el teléfono fijo. Un hogar no junta fichas.", "Address and a surname, or the landline, are the same. A household never joins records.";
    homes_none: "Nadie más parece compartir hogar.", "Nobody else seems to share a home.";
    speaks_for: "A favor", "For";
    speaks_against: "En contra", "Against";
    decisions: "Decisiones", "Decisions";
    decisions_lead: "Lo que alguien decidió sobre quién es quién. Nada se borra: se deshace con otra decisión.", "What people decided about who is who. Nothing is erased: a decision is undone by another.";
    decisions_none: "Nadie ha tenido que decidir nada.", "Nobody has had to decide anything.";
    reason: "Motivo", "Reason";
    reason_hint: "Para quien lo mire dentro de un año. Sin datos de salud, religión ni política.", "For whoever looks at it in a year. No health, religion or politics.";
    state: "Estado", "State";
    in_force: "En vigor", "In force";
    undone: "Deshecha", "Undone";
    undo_of: "Deshace otra decisión", "Undoes another decision";
    shared_decision: "Dato compartido", "Shared value";
    household: "Mismo hogar", "Same household";
    preview: "Vista previa", "Preview";
    preview_lead: "Todavía no ha cambiado nada. Esto es lo que pasaría:", "Nothing has changed yet. This is what would happen:";
    preview_nothing: "Hoy no cambiaría ninguna ficha, pero la decisión queda para lo que llegue.", "No record would change today, but the decision stands for what is to come.";
    preview_result: "Así quedarían", "How they would end up";
    would_split: "La ficha se separa en", "The record splits into";
    would_merge: "Se unen en una sola ficha", "These become one record:";
    would_update: "Cambia lo que une la ficha", "What links the record changes";
    would_rename: "La ficha cambia de identificador; el anterior sigue llevando a ella", "The record gets another id; the old one still leads to it";
    would_create: "Aparece una ficha", "A record appears";
    confirm: "Confirmar", "Confirm";
    cancel: "Cancelar", "Cancel";
    decided: "Decisión guardada. Desde aquí se puede deshacer.", "Decision stored. It can be undone from here.";
    fleet: "Flota", "Fleet";
    fleet_lead: "Cada agente numera lo que captura. Aquí se ve que no falta nada.", "Every agent numbers what it captures. Here you see that nothing is missing.";
    fleet_none: "Ninguna tablet. Imprima una invitación.", "No tablets. Print an invitation.";
    head: "Capturado", "Captured";
    acked: "Recibido aquí", "Received here";
    waiting: "Por enviar", "To send";
    gaps: "Huecos", "Gaps";
    nothing_missing: "No falta nada", "Nothing is missing";
    last_contact: "Último contacto", "Last contact";
    never: "Nunca", "Never";
    clock: "Reloj", "Clock";
    clock_ok: "En hora", "On time";
    clock_mended: "sus horas se corrigen", "its times are corrected";
    version: "Versión", "Version";
    active: "Activo", "Active";
    revoked: "Revocado", "Revoked";
    revoke: "Revocar", "Revoke";
    revoke_title: "¿Revocar este agente?", "Revoke this agent?";
    revoke_lead: "Deja de poder enviar en el acto, y su clave de escritura también. Lo que aún no envió se queda, cifrado, en el dispositivo. No se puede deshacer: para volver hace falta una invitación nueva.", "It can no longer send, at once, and neither can its write key. What it has not sent stays, encrypted, on the device. This cannot be undone: to come back it needs a new invitation.";
    copies: "Su disco se restauró o se copió", "Its disk was restored or copied";
    copies_help: "Lo que guardan ambas copias queda una sola vez; lo que no se envió desde un disco que ya no se usa se queda en él. Si las dos siguen en marcha, una se hará un agente propio. Si nadie debía copiarlo, revóquelo.", "What both copies hold is stored once; what was not sent from a disk that is no longer in use stays on it. If both run, one becomes an agent of its own. If nobody should have copied it, revoke it.";
    disk_free: "Espacio libre", "Free space";
    on_device: "siguen en el dispositivo y llegarán", "they are still on the device and will arrive";
    stuck_on_device: "siguen en el dispositivo, que ya no puede enviarlas", "they are still on the device, which can no longer send them";
    not_on_device: "ya no están en el dispositivo: se perdieron", "they are no longer on the device: they were lost";
    invite: "Invitar", "Invite";
    invite_title: "Invitar una tablet", "Invite a tablet";
    invite_lead: "El código vale una vez, durante 24 horas.", "The code works once, for 24 hours.";
    touchpoint: "Lugar (puesto, tienda, puerta…)", "Place (stand, shop, door…)";
    country: "País (dos letras)", "Country (two letters)";
    zone: "Zona horaria", "Time zone";
    venue: "Recinto (sus equipos se ven entre sí sin red; puede quedar vacío)", "Venue (its devices see each other without the server; may stay empty)";
    at_venue: "Recinto", "Venue";
    invite_code: "Código", "Code";
    invite_type: "Escriba esta orden en el dispositivo:", "Type this command on the device:";
    invite_qr: "Código QR con la misma orden", "QR code with the same command";
    invite_until: "Vale hasta", "Works until";
    invite_once: "Este código no se volverá a mostrar.", "This code will not be shown again.";
    print_hint: "Puede imprimir esta página.", "You can print this page.";
    back_fleet: "Volver a la flota", "Back to the fleet";
    first_steps: "Primeros pasos", "First steps";
    first_steps_lead: "Cuatro pasos, en este orden. Lo hecho se marca solo.", "Four steps, in this order. What is done ticks itself.";
    done: "Hecho", "Done";
    to_do: "Por hacer", "To do";
    step_web: "Poner la línea en su web", "Put the line on your website";
    step_web_text: "Pegue esta línea antes de </head> en todas las páginas. No guarda nada en el navegador hasta que la visita lo acepta.", "Paste this line before </head> on every page. It stores nothing in the browser until the visitor agrees.";
    step_web_csp: "Si su web tiene política de seguridad de contenido (CSP), añada:", "If your website has a content security policy (CSP), add:";
    step_web_wait: "Esperando el primer evento…", "Waiting for the first event…";
    step_tablet: "Invitar una tablet o un puesto", "Invite a tablet or a stand";
    step_tablet_text: "Funciona sin red: lo que capture llegará cuando vuelva.", "It works without a network: what it captures arrives when it is back.";
    step_import: "Importar lo que ya tiene", "Import what you have";
    step_import_text: "Un fichero CSV o JSONL de clientes o de eventos. Repetirlo no duplica nada.", "A CSV or JSONL file of customers or events. Repeating it duplicates nothing.";
    step_record: "Mirar la primera ficha", "Look at the first record";
    step_record_text: "Busque por nombre o correo y compruebe de dónde sale cada dato.", "Search by name or e-mail and check where every value comes from.";
    keys_for_admins: "La clave de escritura la ve quien administra.", "The write key is shown to admins.";
    sources_title: "Fuentes", "Sources";
    sources_lead: "Quién puede enviar eventos: webs, aplicaciones, puestos, importaciones.", "Who may send events: websites, apps, stands, imports.";
    source_new: "Nueva fuente", "New source";
    name: "Nombre", "Name";
    origins: "Orígenes permitidos", "Allowed origins";
    origins_hint: "Uno por línea, como https://www.example.org. Vacío: cualquiera.", "One per line, as https://www.example.org. Empty: any.";
    origins_any: "Cualquiera", "Any";
    write_key: "Clave de escritura", "Write key";
    create: "Crear", "Create";
    source_made: "Fuente creada. Su línea para la web:", "Source created. Its line for the website:";
    rules_menu: "Reglas", "Rules";
    rules_title: "Reglas de identidad", "Identity rules";
    rules_lead: "Qué puede probar cada dato sobre quién es quién. Un nombre solo no une nunca. Simule antes de publicar: simular no cambia nada.", "What each kind of value may prove about who is who. A name alone never links. Simulate before you publish: simulating changes nothing.";
    rules_own: "Las del programa", "The program's own";
    rules_in_force: "En vigor", "In force";
    rules_changed: "Reglas cambiadas, sin publicar", "Changed rules, not published";
    rules_class: "Hasta dónde prueba", "How far it proves";
    rules_strength: "Fuerza", "Strength";
    rules_max: "Máximo por persona", "Most per person";
    rules_window: "Ventana (días)", "Window (days)";
    rules_cap: "Personas distintas que puede nombrar un valor y aún unir", "Distinct persons a value may name and still link";
    rules_blocked: "Valores bloqueados: no prueban nada", "Blocked values: they prove nothing";
    rules_shared: "Valores compartidos: se muestran y no unen", "Shared values: shown, and they link nobody";
    rules_list_hint: "Uno por línea, como email: info@* o phone: +34600000000. Un * al principio o al final vale por cualquier cosa.", "One per line, as email: info@* or phone: +34600000000. A * at the beginning or the end stands for anything.";
    rules_matching: "Fichas sin un dato en común", "Records without a common value";
    rules_matching_on: "Comparar nombre, nacimiento y dirección", "Compare name, birthday and address";
    rules_model: "Pesos y frecuencias de nombres", "Weights and frequencies of names";
    rules_ask: "Preguntar desde (bits)", "Ask from (bits)";
    rules_link: "Unir desde (bits)", "Link from (bits)";
    rules_bits_hint: "Cada bit dobla la probabilidad: 0 es igual de probable que no; 11 es 2.048 a 1.", "Each bit doubles the odds: 0 is even; 11 is 2,048 to 1.";
    rules_simulate: "Simular", "Simulate";
    rules_publish: "Publicar", "Publish";
    rules_versions: "Versiones", "Versions";
    rules_back: "Volver a", "Back to";
    rules_done: "Publicadas. Las fichas cambian de una vez, cuando todo está calculado.", "Published. The records change at once, when everything is worked out.";
    rules_publishing: "Reglas nuevas en camino:", "New rules on their way:";
    rules_look: "Ver otra vez", "Look again";
    rules_trying: "Simulando:", "Simulating:";
    rules_again: "Pulse Simular otra vez para ver el resultado.", "Press Simulate again to see the result.";
    rules_wrong: "Así no pueden ser. No se ha cambiado nada:", "They cannot be like this. Nothing was changed:";
    rules_would: "Qué cambiaría", "What would change";
    rules_nothing: "Nada cambiaría.", "Nothing would change.";
    rules_now: "Ahora", "Now";
    rules_then: "Con estas reglas", "By these rules";
    class_exclusive: "De una sola persona, y solo uno", "One person's, and only one each";
    class_owned: "De una sola persona", "One person's";
    class_shareable: "A veces de varias", "Sometimes several persons'";
    class_role_scoped: "De un cargo: une solo dentro de su lado", "Of a role: links only inside its side";
    class_ephemeral: "Por un tiempo", "For a time";
    class_blocked: "No prueba nada", "Proves nothing";
    error: "Error", "Error";
    error_not_found: "Aquí no hay nada", "There is nothing here";
    error_not_found_text: "La dirección no existe, o la ficha ya no está. Vuelva a buscar.", "The address does not exist, or the record is gone. Search again.";
    error_forbidden: "Su papel no permite esto", "Your role does not allow this";
    error_forbidden_text: "Pida a quien administra que lo haga o que le cambie el papel.", "Ask an admin to do it, or to change your role.";
    error_stale: "El formulario ha caducado", "The form has expired";
    error_stale_text: "Vuelva atrás, cargue la página de nuevo y repita. No se ha guardado nada.", "Go back, load the page again and repeat. Nothing was stored.";
    error_bad: "Algo del formulario no vale", "Something in the form is not right";
    error_bad_text: "Vuelva atrás y corríjalo. No se ha guardado nada.", "Go back and correct it. Nothing was stored.";
    error_internal: "Algo ha fallado en el servidor", "Something failed on the server";
    error_internal_text: "No es culpa suya. Pruebe otra vez; si sigue, avise a quien administra, que verá la causa en el registro.", "It is not your fault. Try again; if it stays, tell the administrator, who finds the cause in the log.";
    error_busy: "Ahora mismo no puede ser", "Not right now";
    error_busy_text: "El servidor está ocupado o parándose. Pruebe en unos segundos.", "The server is busy or stopping. Try in a few seconds.";
    error_name: "Escriba un nombre de 1 a 100 caracteres, en una línea, que no esté ya en uso.", "Write a name of 1 to 100 characters, on one line, that is not taken.";
    error_country: "El país son dos letras (ES, MX) y la zona un nombre como Europe/Madrid.", "The country is two letters (ES, MX) and the zone a name such as Europe/Madrid.";
    error_origin: "Un origen es https://SERVIDOR, sin ruta.", "An origin is https://HOST, without a path.";
    error_reason: "Escriba el motivo: hasta 2000 bytes.", "Write the reason: up to 2000 bytes.";
    error_changed: "La ficha ha cambiado entretanto", "The record has changed meanwhile";
    error_changed_text: "Ese dato ya no está en ella. Ábrala de nuevo y vuelva a elegir.", "That value is no longer in it. Open it again and choose anew.";
    home: "Volver a buscar", "Back to search";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_says_something_in_every_language() {
        let all = PHRASES.iter().chain(web::PHRASES).chain(review::PHRASES);
        for (name, es, en) in all {
            assert!(!es.trim().is_empty() && !en.trim().is_empty(), "{name}");
        }
    }

    #[test]
    fn the_language_is_the_one_the_browser_likes_best() {
        for (header, lang) in [
            ("en-GB,en;q=0.9,es;q=0.8", Lang::En),
            ("es-MX", Lang::Es),
            ("fr, en;q=0.3", Lang::En),
            ("fr", Lang::Es),
            ("", Lang::Es),
            ("en;q=0, es;q=0.1", Lang::Es),
        ] {
            assert_eq!(Lang::accepted(header), lang, "{header}");
        }
        assert_eq!(Lang::of_path("/en/find"), Some(Lang::En));
        assert_eq!(Lang::of_path("/v1/customers"), None);
    }
}
