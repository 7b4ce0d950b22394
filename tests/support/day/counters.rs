//! Owns what happens across a counter or on the telephone: visits to a shop, with a clerk in a hurry, and calls.

use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::people::PersonTruth;
use super::sheet::{Hours, Sheet, inbound};
use super::{Place, places, rates, typing};

/// Shops: closed at lunch, as on any Saturday.
pub const SHOP_HOURS: &Hours = &[
    ((570, 660), 16),
    ((660, 840), 44),
    ((1_020, 1_110), 18),
    ((1_110, 1_222), 34),
];

/// The call centre: fewer calls at lunch.
pub const CALL_HOURS: &Hours = &[
    ((540, 660), 34),
    ((660, 840), 40),
    ((840, 960), 13),
    ((960, 1_140), 30),
    ((1_140, 1_195), 8),
];

/// One visit to a shop: greeted, perhaps the card, perhaps an entry by the clerk, perhaps a purchase.
pub fn shop_visit(chance: &mut Chance, sheet: &mut Sheet, person: &PersonTruth) {
    let (shop, own_phone) = *chance.weighted(&[(places::SHOPS[0], 60), (places::SHOPS[1], 40)]);
    let mut at_ms = sheet.moment(chance, SHOP_HOURS);
    // The kiosk makes a new pseudonym for each visit.
    let visit = chance.uuid();
    let card = person.loyalty.as_ref().filter(|_| chance.happens(0.72));
    let mut put = |chance: &mut Chance, mut event: Value| {
        event["anonymousId"] = visit.clone().into();
        let mut context = inbound("store", shop, Map::new());
        if let Some(card) = card {
            context["externalIds"] = json!([{"type": "loyaltyId", "id": card}]);
        }
        event["context"] = context;
        sheet.put(Place::Shop, Some(person.number), at_ms, event);
        at_ms += chance.between(8_000, 150_000);
    };
    if card.is_some() {
        put(
            chance,
            json!({"type": "track", "event": "Loyalty Card Scanned", "properties": {"topic": person.topic}}),
        );
    }
    if card.is_none() || chance.happens(0.2) {
        let traits = clerk_entry(chance, &rates::CARE_SHOP, person, own_phone);
        put(chance, json!({"type": "identify", "traits": traits}));
    }
    if chance.happens(0.55) {
        let event = json!({"type": "track", "event": "Question Asked", "properties": {"topic": person.topic}});
        put(chance, event);
    }
    if chance.happens(0.42) {
        let (sku, name, cents) = *chance.pick(places::PRODUCTS);
        let quantity = *chance.weighted(&[(1_i64, 88), (2, 12)]);
        let order = format!("P-{}", chance.digits(9));
        let total = amount(cents * quantity);
        let price = amount(cents);
        put(
            chance,
            json!({"type": "track", "event": "Order Completed", "properties": {
                "orderId": order, "total": total, "currency": "EUR",
                "products": [{"sku": sku, "name": name, "price": price, "quantity": quantity}]}}),
        );
    }
}

/// One call: mostly theirs, now and then ours.
pub fn call(chance: &mut Chance, sheet: &mut Sheet, person: &PersonTruth) {
    let at_ms = sheet.moment(chance, CALL_HOURS);
    let ours = chance.happens(0.15);
    let number = match (&person.landline, person.phones.first()) {
        (Some(landline), _) if person.age > 45 && chance.happens(0.4) => Some(landline),
        (_, mobile) => mobile,
    };
    let mut traits = Map::new();
    // The line shows the number as the network gives it, unless it is hidden and the agent types something.
    let hidden = !ours && chance.happens(0.08);
    match number {
        Some(number) if !hidden => drop(traits.insert("phone".into(), number.clone().into())),
        _ if chance.happens(rates::OWN_PHONE * 4.0) => {
            traits.insert(
                "phone".into(),
                typing::phone(chance, places::CALL_CENTRE_PHONE).into(),
            );
        }
        _ => {}
    }
    if chance.happens(0.85) || traits.is_empty() {
        typing::name(chance, &rates::CARE_CALL, person, &mut traits);
    }
    if let Some(account) = person.accounts.first().filter(|_| chance.happens(0.35)) {
        traits.insert("accountId".into(), account.clone().into());
    } else if let Some(id) = person.national_ids.first().filter(|_| chance.happens(0.35)) {
        let dummy = chance.happens(rates::DUMMY_DNI);
        let written = if dummy {
            places::DUMMY_DNI.to_owned()
        } else {
            typing::national_id(chance, id)
        };
        traits.insert("nationalId".into(), written.into());
    }
    let call = chance.uuid();
    let mut context = inbound("call", "Centro de llamadas", traits);
    if ours {
        context["trenza"]["direction"] = "out".into();
        context["trenza"]["initiative"] = "proactive".into();
        context["trenza"]["purpose"] = "cita".into();
        context["trenza"]["purposeClass"] = "commercial".into();
    }
    let name = if ours { "Call Made" } else { "Call Received" };
    let reason = *chance.pick(places::CALL_REASONS);
    let event = json!({"type": "track", "event": name, "anonymousId": call, "context": context,
        "properties": {"reason": reason, "topic": person.topic}});
    sheet.put(Place::CallCentre, Some(person.number), at_ms, event);
    let duration_s = chance.between(35, 1_100);
    let outcome = *chance.weighted(&[("resuelta", 70), ("pendiente", 20), ("cortada", 10)]);
    let ended = json!({"type": "track", "event": "Call Ended", "anonymousId": call, "context": context,
        "properties": {"durationSeconds": duration_s, "outcome": outcome}});
    sheet.put(
        Place::CallCentre,
        Some(person.number),
        at_ms + duration_s * 1_000,
        ended,
    );
}

/// A quick entry: a name and one contact datum, seldom more.
fn clerk_entry(
    chance: &mut Chance,
    care: &rates::Care,
    person: &PersonTruth,
    own_phone: &str,
) -> Map<String, Value> {
    let mut traits = Map::new();
    typing::name(chance, care, person, &mut traits);
    let number = typing::number_given(chance, person);
    let lazy = chance.happens(rates::OWN_PHONE);
    match (number, person.emails.first()) {
        _ if lazy => {
            traits.insert("phone".into(), typing::phone(chance, own_phone).into());
        }
        (Some(number), _) if chance.happens(0.68) => {
            traits.insert("phone".into(), typing::phone(chance, number).into());
        }
        (_, Some(address)) => {
            let address = mistyped(chance, care, address);
            traits.insert("email".into(), typing::email(chance, &address).into());
        }
        (Some(number), None) => {
            traits.insert("phone".into(), typing::phone(chance, number).into());
        }
        (None, None) => {}
    }
    if let Some(id) = person.national_ids.last().filter(|_| chance.happens(0.16)) {
        let dummy = lazy || chance.happens(rates::DUMMY_DNI);
        let written = if dummy {
            places::DUMMY_DNI.to_owned()
        } else {
            typing::national_id(chance, id)
        };
        traits.insert("nationalId".into(), written.into());
    }
    if chance.happens(0.2) {
        // Some still give, or the clerk copies, the address before the move.
        let address = person
            .old_address
            .as_ref()
            .filter(|_| chance.happens(0.5))
            .unwrap_or(&person.address);
        traits.insert(
            "address".into(),
            json!({"postalCode": address.postal_code, "city": address.city}),
        );
    }
    traits
}

/// The address, with a slip in the provider now and then: another, dead mailbox.
pub fn mistyped(chance: &mut Chance, care: &rates::Care, address: &str) -> String {
    let wrong = places::MISTYPED_PROVIDERS
        .iter()
        .find(|(right, _)| address.ends_with(right));
    match wrong {
        Some((right, wrong)) if chance.happens(care.wrong_provider) => {
            address.replace(right, wrong)
        }
        _ => address.to_owned(),
    }
}

/// Euros with cents, as a number that prints with two decimals at most.
fn amount(cents: i64) -> Value {
    if cents % 100 == 0 {
        (cents / 100).into()
    } else {
        (cents as f64 / 100.0).into()
    }
}
