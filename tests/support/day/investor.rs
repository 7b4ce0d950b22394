//! Owns story A's investor: who she is, and exactly the touches of the story, with values that a test may replace.
//! Her first touch is on the website, her second at the fair, her third in the core system; nothing else names her.

use serde_json::{Value, json};

use super::people::{Address, HouseholdNo, PersonNo, PersonTruth, Sex};
use super::places::Country;
use super::sheet::{inbound, iso, only};

/// Her e-mail: at the website and on the badge.
pub const INVESTOR_EMAIL: &str = "elena.ruiz.santamaria@gmail.com";
/// Her telephone (E.164): on the badge and in the core system.
pub const INVESTOR_PHONE: &str = "+34612847035";
/// Her DNI: in the core system.
pub const INVESTOR_DNI: &str = "50817436V";
/// Her account in the core system.
pub const INVESTOR_ACCOUNT: &str = "CTA-00417325";
/// Her badge at the fair.
pub const INVESTOR_BADGE: &str = "F26-0004173";
/// Her browser.
pub const INVESTOR_VISITOR: &str = "5f0c6a52-7d1e-4c55-9a3b-2e6d1f8a4173";
/// What she reads about.
pub const INVESTOR_TOPIC: &str = "renta fija";
/// What is on her account.
pub const INVESTOR_BALANCE: i64 = 10_000;

/// What story A needs to know; the default is the demo's Elena Ruiz Santamaría on 14 March 2026.
#[derive(Debug, Clone)]
pub struct InvestorValues {
    /// Given name.
    pub first_name: String,
    /// First surname.
    pub last_name: String,
    /// Second surname.
    pub second_last_name: String,
    /// At the website and on the badge.
    pub email: String,
    /// As the badge has it.
    pub phone: String,
    /// The same number as the core system writes it.
    pub phone_in_core: String,
    /// DNI or NIE, in the core system only.
    pub national_id: String,
    /// The browser's pseudonym, in the website's events only.
    pub anonymous_id: String,
    /// The kiosk's pseudonym for the visit, in its events only.
    pub visit_id: String,
    /// Badge number.
    pub badge_id: String,
    /// Account number.
    pub account_id: String,
    /// On the account.
    pub balance: i64,
    /// Topic of the pages, the guide and the talk.
    pub topic: String,
    /// Put before every message id, so that two investors can share a store.
    pub message_prefix: String,
    /// First page view, UTC ms.
    pub web_at_ms: i64,
    /// Badge registration, UTC ms.
    pub kiosk_at_ms: i64,
    /// Account row, UTC ms.
    pub import_at_ms: i64,
}

impl Default for InvestorValues {
    fn default() -> Self {
        Self {
            first_name: "Elena".into(),
            last_name: "Ruiz".into(),
            second_last_name: "Santamaría".into(),
            email: INVESTOR_EMAIL.into(),
            phone: INVESTOR_PHONE.into(),
            phone_in_core: "612 84 70 35".into(),
            national_id: INVESTOR_DNI.into(),
            anonymous_id: INVESTOR_VISITOR.into(),
            visit_id: "c1d7be90-41f3-4b6e-8f52-90a7d3b64173".into(),
            badge_id: INVESTOR_BADGE.into(),
            account_id: INVESTOR_ACCOUNT.into(),
            balance: INVESTOR_BALANCE,
            topic: INVESTOR_TOPIC.into(),
            message_prefix: "story-a".into(),
            // 09:12, 11:58 and 20:30 in Madrid on 14 March 2026.
            web_at_ms: 1_773_475_920_000,
            kiosk_at_ms: 1_773_485_880_000,
            import_at_ms: 1_773_516_600_000,
        }
    }
}

const SECOND_MS: i64 = 1_000;

/// The events of story A: the website's (three page views, a guide and the e-mail it asks for), the kiosk's (badge
/// registration, badge scan at the monthly talk) and the core system's (one row).
pub fn story_a(values: &InvestorValues) -> [Vec<Value>; 3] {
    [website(values), kiosk(values), core(values)]
}

fn website(values: &InvestorValues) -> Vec<Value> {
    let stamp = |number: usize, after_s: i64, mut event: Value| {
        let mut context = inbound("web", "www.ahorro.example", serde_json::Map::new());
        context["consent"] =
            json!({"categoryPreferences": {"analytics": true, "marketing": false}});
        context["locale"] = "es-ES".into();
        event["anonymousId"] = values.anonymous_id.clone().into();
        event["context"] = context;
        stamped(
            values,
            format!("web-{number}"),
            values.web_at_ms + after_s * SECOND_MS,
            event,
        )
    };
    let page = |title: &str, path: &str| {
        json!({"type": "page", "name": title, "properties": {
            "title": title, "path": path, "url": format!("https://www.ahorro.example{path}"), "topic": values.topic}})
    };
    vec![
        stamp(1, 0, page("Qué es la renta fija", "/inversion/renta-fija")),
        stamp(
            2,
            95,
            page(
                "Letras del Tesoro y bonos",
                "/inversion/renta-fija/letras-y-bonos",
            ),
        ),
        stamp(
            3,
            240,
            page("Riesgos de la renta fija", "/inversion/renta-fija/riesgos"),
        ),
        stamp(
            4,
            330,
            json!({"type": "identify", "traits": {"email": values.email}}),
        ),
        stamp(
            5,
            331,
            json!({"type": "track", "event": "Guide Downloaded",
                "properties": {"guide": "Guía de renta fija 2026", "topic": values.topic}}),
        ),
    ]
}

fn kiosk(values: &InvestorValues) -> Vec<Value> {
    let stamp = |number: usize, after_s: i64, touchpoint: &str, badge: bool, mut event: Value| {
        let traits = if badge {
            only("badgeId", values.badge_id.clone())
        } else {
            serde_json::Map::new()
        };
        event["anonymousId"] = values.visit_id.clone().into();
        event["context"] = inbound("event", touchpoint, traits);
        stamped(
            values,
            format!("kiosk-{number}"),
            values.kiosk_at_ms + after_s * SECOND_MS,
            event,
        )
    };
    let registration = json!({"type": "identify", "traits": {
        "badgeId": values.badge_id, "email": values.email, "phone": values.phone,
        "firstName": values.first_name, "lastName": values.last_name}});
    let scan = json!({"type": "track", "event": "Badge Scanned",
        "properties": {"talk": "Charla del mes: renta fija sin sustos", "topic": values.topic}});
    vec![
        stamp(1, 0, "Mostrador de acreditación", false, registration),
        stamp(2, 1_140, "Sala de charlas", true, scan),
    ]
}

fn core(values: &InvestorValues) -> Vec<Value> {
    let row = json!({"type": "identify",
        "traits": {
            "accountId": values.account_id, "nationalId": values.national_id, "phone": values.phone_in_core,
            "firstName": values.first_name, "lastName": values.last_name, "secondLastName": values.second_last_name,
            "balance": values.balance, "currency": "EUR"},
        "context": {"trenza": {"touchpoint": "Sistema central"}}});
    vec![stamped(
        values,
        "core-1".to_owned(),
        values.import_at_ms,
        row,
    )]
}

fn stamped(values: &InvestorValues, id: String, at_ms: i64, mut event: Value) -> Value {
    event["messageId"] = format!("{}-{id}", values.message_prefix).into();
    event["timestamp"] = iso(at_ms).into();
    event
}

/// Elena Ruiz Santamaría as she is.
pub fn truth(number: PersonNo, household: HouseholdNo) -> PersonTruth {
    let values = InvestorValues::default();
    PersonTruth {
        number,
        household,
        given: values.first_name,
        surname: values.last_name,
        second_surname: Some(values.second_last_name),
        nickname: None,
        sex: Sex::Woman,
        birthday: "1974-05-09".into(),
        age: 51,
        country: Country::Es,
        address: Address {
            street: "Calle de Narváez 37, 4.º B".into(),
            city: "Madrid".into(),
            postal_code: "28009".into(),
            state: "Madrid".into(),
            country: Country::Es.code(),
        },
        old_address: None,
        emails: vec![values.email],
        work_email: None,
        phones: vec![values.phone],
        landline: None,
        national_ids: vec![values.national_id],
        loyalty: None,
        badge: Some(values.badge_id),
        login: None,
        accounts: vec![values.account_id],
        devices: vec![values.anonymous_id],
        company: None,
        topic: INVESTOR_TOPIC,
    }
}
