//! What developers of websites read: sources, what arrives, the consent test.

use trenza_shared::{bot::Bot, event::Needs};

use super::Lang;

super::phrases! {
    live: "En vivo", "Live";
    live_title: "En vivo: lo que llega", "Live: what arrives";
    live_lead: "Cada evento al llegar, y qué fue de él. Lo último, arriba.", "Each event as it arrives, and what became of it. The newest first.";
    live_source: "Fuente", "Source";
    live_all: "Todas, también claves desconocidas", "All, unknown keys too";
    live_show: "Mostrar", "Show";
    live_everything: "Todo", "Everything";
    live_problems: "Solo lo que no fue bien", "Only what went wrong";
    live_text: "Nombre, tipo o messageId", "Name, type or messageId";
    live_filter: "Filtrar", "Filter";
    live_refresh: "Actualizar", "Refresh";
    live_pause: "Pausar", "Pause";
    live_resume: "Seguir", "Resume";
    live_following: "Al día: lo nuevo aparece solo.", "Up to date: what is new appears by itself.";
    live_paused: "En pausa. Nada se pierde: al seguir aparece lo que llegó.", "Paused. Nothing is lost: what came appears when you resume.";
    live_broken: "No llega nada del servidor. Se vuelve a intentar.", "The server does not answer. Trying again.";
    live_none: "Esperando el primer evento…", "Waiting for the first event…";
    live_none_why: "Si ya debería haber llegado alguno, mire estas causas:", "If one should be here already, look at these causes:";
    live_cause_consent: "El visitante no ha elegido: sin trenza.consent(\"granted\") no se guarda ni se envía nada. La consola del navegador lo dice.", "The visitor has not chosen: without trenza.consent(\"granted\") nothing is stored or sent. The browser's console says so.";
    live_cause_blocked: "El script no carga: falta en la política de contenido (CSP) de su web, o lo para un bloqueador. Mire la pestaña Red: /t.js debe responder 200.", "The script does not load: it is missing from your site's content policy (CSP), or a blocker stops it. See the Network tab: /t.js must answer 200.";
    live_cause_cert: "El navegador no acepta el certificado: la consola dice ERR_CERT_AUTHORITY_INVALID. El de fábrica lo firma el propio servidor. Ponga uno público, o pruebe en este equipo por http.", "The browser does not accept the certificate: the console says ERR_CERT_AUTHORITY_INVALID. The one that comes with the server is signed by itself. Put a public one there, or try on this machine over http.";
    live_cause_key: "La clave o el origen no son los de esta fuente. Elija arriba «Todas»: lo que llega con una clave desconocida se ve allí.", "The key or the origin is not this source's. Choose \"All\" above: what comes with an unknown key is shown there.";
    live_nothing_fits: "Nada de lo último cumple el filtro. Se miran los 200 últimos eventos, no más atrás.", "Nothing of the last fits the filter. It looks at the last 200 events and no further back.";
    live_copy: "Copiar", "Copy";
    live_copied: "Copiado", "Copied";
    live_as_curl: "Como curl", "As curl";
    live_masked_curl: "Los datos personales van abreviados: repita la llamada con los suyos.", "Personal values are shortened: repeat the call with your own.";
    live_details: "Qué se envió", "What was sent";
    live_unknown_key: "Clave desconocida", "Unknown key";
    live_consent: "Permiso", "Consent";
    live_no_consent: "no lo dice", "not said";
    live_refused_request: "Petición", "Request";
    live_times: "veces", "times";
    live_stored: "Guardado", "Stored";
    live_stored_why: "Aún no está en su ficha; cambia solo en un momento.", "Not in its record yet; this changes by itself in a moment.";
    live_resolved: "En su ficha", "In its record";
    live_nobody: "Sin dueño", "Nobody's";
    live_nobody_why: "Guardado, pero ningún identificador vale: no hay ficha. Corrija el valor.", "Stored, but no identifier of it can be used: there is no record. Correct the value.";
    live_duplicate: "Repetido", "Duplicate";
    live_duplicate_why: "Era el mismo evento: se guarda una vez. Llegó antes a las", "It was the same event: it is kept once. It came before at";
    live_rejected: "Apartado", "Set aside";
    live_refused: "Denegado", "Refused";
    live_limited: "Demasiados", "Limited";
    live_conflict: "Mismo messageId", "Same messageId";
    live_conflict_why: "Otro evento distinto usa este messageId. Se guardan los dos. Un messageId no se repite.", "A different event uses this messageId. Both are kept. A messageId is for one event alone.";
    bot: "Programa", "Program";
    bot_crawler: "Se llama a sí mismo rastreador o comprobador. Se guarda y se marca.", "It calls itself a crawler or checker. It is stored and flagged.";
    bot_headless: "Navegador sin ventana, movido por un programa. Se guarda y se marca.", "A browser without a window, driven by a program. It is stored and flagged.";
    bot_silent: "Una página vista sin decir con qué navegador. Se guarda y se marca.", "A page was seen and no browser is named. It is stored and flagged.";
    live_fault: "No se usa", "Not used";
    live_unverified: "Clave no verificada", "Unverified key";
    source_namespace: "Espacio de nombres", "Namespace";
    source_environments: "Una fuente por entorno: lo de pruebas con otra clave no se mezcla con lo real.", "One source per environment: with a key of its own, what is a test never mixes with what is real.";
    source_refused: "Origen no permitido", "Origin not allowed";
    source_allow: "Permitir este origen", "Allow this origin";
    source_test: "Enviar evento de prueba", "Send a test event";
    source_line: "La línea que se pega en la web", "The line to paste into the website";
    source_more: "CSP, SRI y bajo su propio nombre", "CSP, SRI, and under your own name";
    reached_here: "Esta dirección http vale solo en este equipo, para probar. Una web de verdad necesita https: ponga un certificado público en web.pem y web.key.pem, y su dirección en public.url de server.toml; la línea cambia sola.", "This http address works on this machine alone, for trying. A real website needs https: put a public certificate into web.pem and web.key.pem, and its address into public.url of server.toml; the line changes by itself.";
    reached_untrusted: "El certificado de esta dirección lo firma el propio servidor y los navegadores lo rechazan (ERR_CERT_AUTHORITY_INVALID): ponga uno público en web.pem y web.key.pem, y su dirección en public.url de server.toml. Para probar sin él, abra esta página por http en el equipo del servidor; curl lo acepta con --cacert y el ca.pem de la carpeta del servidor.", "The certificate of this address is signed by the server itself and browsers refuse it (ERR_CERT_AUTHORITY_INVALID): put a public one into web.pem and web.key.pem, and its address into public.url of server.toml. To try without one, open this page over http on the server's machine; curl takes it with --cacert and the ca.pem of the server's folder.";
    source_revoke: "Retirar la clave", "Take the key back";
    source_revoke_text: "Desde ese momento lo que llegue al servidor con esta clave se rechaza (401), y no hay vuelta atrás: la web necesitará otra. Lo ya recibido se queda. Los agentes la siguen admitiendo, porque sin conexión no pueden saberlo: lo que les llegue con ella queda marcado como no verificado.", "From that moment on what comes to the server with this key is refused (401), and there is no way back: the website will need another. What came already stays. Agents go on taking it in, for without a network they cannot know: what comes to them with it is marked as not verified.";
    source_is_revoked: "Esta clave está retirada: nada de lo que llegue al servidor con ella se guarda. Cree otra fuente para esa web; puede llamarse igual.", "This key is taken back: nothing that comes to the server with it is stored. Create another source for that website; it may have the same name.";
    source_revoke_now: "Retirar para siempre", "Take back for good";
    source_csp: "Política de contenido (CSP)", "Content policy (CSP)";
    source_csp_text: "Si su web tiene una, añada esto a la suya. El script no necesita inline ni eval.", "If your site has one, add this to it. The script needs neither inline code nor eval.";
    source_sri: "La misma, fija e íntegra (SRI)", "The same, fixed and whole (SRI)";
    source_sri_text: "Siempre estos mismos bytes, o ninguno. No se actualiza sola: cámbiela con cada versión del servidor.", "These very bytes for ever, or none. It does not update by itself: change it with each version of the server.";
    source_proxy: "Bajo su propio nombre", "Under your own name";
    source_proxy_text: "Con esto en su nginx, la línea usa src=\"/t.js\" y la CSP queda en 'self'. Los bloqueadores por nombre no la ven.", "With this in your nginx the line uses src=\"/t.js\" and the CSP stays at 'self'. Blockers by name do not see it.";
    source_origins: "Páginas que pueden enviar con esta clave", "Pages that may send with this key";
    source_save: "Guardar", "Save";
    consent_test: "Probar el permiso", "Consent test";
    consent_test_lead: "El script real, contra este servidor: qué se guarda y dónde, según lo que elige el visitante.", "The real script, against this server: what is stored where, by what the visitor chose.";
    consent_choose: "Elegir", "Choose";
    consent_choose_first: "Elija una fuente para ejecutar la prueba. Esto es lo que debe salir.", "Choose a source to run the test. This is what must come out.";
    consent_table: "Qué se guarda", "What is stored";
    consent_run: "Ejecutar la prueba", "Run the test";
    consent_needs_script: "Para ejecutarla hace falta JavaScript. Esto es lo que debe salir.", "Running it takes JavaScript. This is what must come out.";
    consent_running: "En marcha: medio minuto como mucho.", "Running: half a minute at most.";
    consent_good: "Todo es como debe.", "Everything is as it must be.";
    consent_bad: "Algo no es como debe. Mire las filas marcadas.", "Something is not as it must be. See the marked rows.";
    consent_failed: "La prueba no terminó.", "The test did not finish.";
    consent_choice: "Qué elige", "The choice";
    consent_in_browser: "En el navegador", "In the browser";
    consent_on_server: "En el servidor", "On the server";
    consent_expected: "debe ser", "expected";
    consent_found: "es", "found";
    consent_keeps: "cookie trz_vid, localStorage e IndexedDB trz_…", "cookie trz_vid, localStorage and IndexedDB trz_…";
    consent_keeps_nothing: "nada", "nothing";
    consent_no_event: "ningún evento", "no event";
    consent_one_event: "1 evento con", "1 event with";
    consent_cookie: "cookie", "cookie";
    consent_as_expected: "✓ Bien", "✓ Right";
    consent_different: "✗ Distinto", "✗ Different";
    consent_none: "Nada todavía", "Nothing yet";
    consent_none_does: "No responde al aviso.", "Does not answer the banner.";
    consent_partial: "Una parte", "A part";
    consent_partial_does: "Acepta analítica, no publicidad.", "Accepts analytics, not ads.";
    consent_all: "Todo", "All";
    consent_all_does: "Acepta todo.", "Accepts everything.";
    consent_gpc: "Global Privacy Control", "Global Privacy Control";
    consent_gpc_does: "Su navegador dice que no, aunque la web diga que sí (simulado).", "Their browser says no, though the site says yes (simulated).";
    consent_withdrawn: "Se retira", "Withdrawn";
    consent_withdrawn_does: "Acepta, hace algo, se retira y hace otra cosa.", "Accepts, does something, withdraws, does something else.";
    consent_note: "Los eventos de la prueba son todos del visitante trenza-test: una sola ficha. Al terminar se borra lo guardado en este navegador.", "All events of the test are of the visitor trenza-test: one record. What this browser stored is removed at the end.";
    live_record: "Ver ficha", "See record";
}

impl Lang {
    /// How many deliveries were passed over.
    pub fn live_passed(self, count: u64) -> String {
        match self {
            Self::Es => format!(
                "Llegó demasiado de golpe: {count} envíos no están en esta lista. Están guardados."
            ),
            Self::En => format!(
                "Too much came at once: {count} deliveries are not in this list. They are stored."
            ),
        }
    }

    /// Why an event is taken for a program's.
    pub fn bot_why(self, bot: Bot) -> &'static str {
        match bot {
            Bot::Crawler => self.bot_crawler(),
            Bot::Headless => self.bot_headless(),
            Bot::Silent => self.bot_silent(),
        }
    }

    /// What a member must be that nothing is read of.
    pub fn fault(self, needs: Needs) -> &'static str {
        let es = match needs {
            Needs::Time => {
                "no es fecha y hora ISO 8601, como 2026-01-15T10:20:30.456Z. Se usa otra hora."
            }
            Needs::Object => "debe ser un objeto. Así no se usa nada de él.",
            Needs::Ids => "debe ser una lista de objetos con id. Así no se usa nada de ella.",
            Needs::Id => "debe ser texto o número. Así no dice quién es.",
            Needs::Facet => "debe ser personal o professional. Así no dice de qué lado es.",
            Needs::Consent => {
                "debe ser {purpose, granted, channel}, o una lista de ellos. Así no concede nada."
            }
            Needs::Name => "falta o no es texto: el evento no tiene nombre.",
            Needs::Given => "falta, o no es texto ni número: sin él, el evento no dice nada.",
        };
        self.pick(es, needs.sentence())
    }

    /// What is wrong, in which field, by which rule, and what to do, for the stable name of a refusal.
    pub fn refusal(self, code: &str) -> Option<&'static str> {
        let (es, en) = match code {
            "unknown_write_key" => (
                "writeKey: no es de ninguna fuente. Copie la clave de la página de la fuente, o cree una.",
                "writeKey: it is no source's. Copy the key from the source's page, or create a source.",
            ),
            "no_write_key" => (
                "writeKey: la petición no lleva ninguna. Póngala como usuario de Authorization: Basic, en x-write-key o en el cuerpo.",
                "writeKey: the request has none. Give it as the user of Authorization: Basic, in x-write-key or in the body.",
            ),
            "no_id" => (
                "userId, anonymousId: falta quién. Dé uno de los dos, como texto o número, o un correo, teléfono o documento en traits.",
                "userId, anonymousId: it names nobody. Give one of the two, as a text or a number, or an e-mail, phone or national id in traits.",
            ),
            "no_type" => (
                "type: falta. Use track, identify, page, screen, group o alias.",
                "type: it is missing. Use track, identify, page, screen, group or alias.",
            ),
            "unknown_type" => (
                "type: no existe. Use track, identify, page, screen, group o alias.",
                "type: there is no such type. Use track, identify, page, screen, group or alias.",
            ),
            "type_contradicts_path" => (
                "type: dice otra cosa que la ruta. Quítelo, o llame a la ruta de ese tipo.",
                "type: it says something else than the path. Leave it out, or call the path of that type.",
            ),
            "bad_message_id" => (
                "messageId: debe ser un texto de 1 a 512 bytes. Quítelo y se pondrá uno.",
                "messageId: it must be a text of 1 to 512 bytes. Leave it out and one is given.",
            ),
            "event_too_large" => (
                "El evento pasa de 128 KiB. Envíe lo grande por referencia.",
                "The event is over 128 KiB. Send large content by reference.",
            ),
            "event_too_deep" => (
                "El evento tiene más de 64 niveles. Aplánelo.",
                "The event is nested deeper than 64 levels. Flatten it.",
            ),
            "not_json" => (
                "No es JSON válido. Use JSON.stringify, sin comas de más ni comentarios.",
                "It is not valid JSON. Use JSON.stringify, without stray commas or comments.",
            ),
            "not_utf8" => (
                "No es UTF-8. Envíe el texto en UTF-8.",
                "It is not UTF-8. Send the text in UTF-8.",
            ),
            "not_an_object" => (
                "Debe ser un objeto JSON: {…}.",
                "It must be a JSON object: {…}.",
            ),
            "bad_payload" => (
                "El evento del SDK no tiene la forma de su fabricante.",
                "The SDK's event does not have its vendor's shape.",
            ),
            "no_batch" => (
                "batch: falta o no es una lista de eventos.",
                "batch: it is missing or no list of events.",
            ),
            "too_many_events" => (
                "batch: más de 10.000 eventos. Envíe menos de una vez.",
                "batch: more than 10,000 events. Send fewer at once.",
            ),
            "context_too_large" | "context_too_deep" => (
                "context: el del lote es demasiado grande o profundo para repetirlo en cada evento.",
                "context: the batch's is too large or too deep to be merged into each event.",
            ),
            "too_large" => (
                "La petición pasa de 4 MiB. Envíe menos eventos de una vez.",
                "The request is over 4 MiB. Send fewer events at once.",
            ),
            "too_many" => (
                "La fuente envía más peticiones por segundo de las que puede (capture.requests_per_s_max). Quien respeta Retry-After no pierde nada.",
                "The source sends more requests a second than it may (capture.requests_per_s_max). Who obeys Retry-After loses nothing.",
            ),
            "origin_refused" => (
                "Origen no permitido. Añádalo a la fuente, o use la clave de esa web.",
                "Origin not allowed. Add it to the source, or use that site's key.",
            ),
            "key_revoked" => (
                "writeKey: retirada. Use la de una fuente en uso.",
                "writeKey: revoked. Use one of a source that is in use.",
            ),
            "unknown_encoding" | "bad_gzip" => (
                "Content-Encoding: solo gzip o nada, y el cuerpo debe serlo.",
                "Content-Encoding: gzip or none, and the body must be that.",
            ),
            "full" | "full_for_low_priority" | "closed" => (
                "El servidor no podía guardar en ese momento. El cliente lo envía otra vez.",
                "The server could not store at that moment. The client sends it again.",
            ),
            _ => return None,
        };
        Some(self.pick(es, en))
    }
}
