//! Where a column goes that nobody named: by the usual names of Spanish and English files.

use trenza_shared::event::IDENTIFIER_TRAITS;

use super::{As, MEMBERS, ROOTS};

/// Traits that are text whatever they look like: person fields of the contract.
const TEXT_TRAITS: [&str; 8] = [
    "firstName",
    "lastName",
    "secondLastName",
    "name",
    "birthday",
    "gender",
    "company",
    "address",
];
/// Members of the event that are a time.
pub(super) const TIMES: [&str; 2] = ["timestamp", "originalTimestamp"];
/// The usual names of columns, folded, and where they go.
const USUAL: [(&str, &str); 86] = [
    ("email", "traits.email"),
    ("mail", "traits.email"),
    ("emailaddress", "traits.email"),
    ("correo", "traits.email"),
    ("correoelectronico", "traits.email"),
    ("phone", "traits.phone"),
    ("phonenumber", "traits.phone"),
    ("mobile", "traits.phone"),
    ("telefono", "traits.phone"),
    ("movil", "traits.phone"),
    ("telefonomovil", "traits.phone"),
    ("telefonofijo", "traits.phone"),
    ("numerodetelefono", "traits.phone"),
    ("telefono1", "traits.phone"),
    ("telefono2", "traits.phone"),
    ("tel", "traits.phone"),
    ("telf", "traits.phone"),
    ("tfno", "traits.phone"),
    ("tlf", "traits.phone"),
    ("tlfn", "traits.phone"),
    ("tlfno", "traits.phone"),
    ("celular", "traits.phone"),
    ("telephone", "traits.phone"),
    ("telephonenumber", "traits.phone"),
    ("phoneno", "traits.phone"),
    ("mobilephone", "traits.phone"),
    ("mobilenumber", "traits.phone"),
    ("cell", "traits.phone"),
    ("cellphone", "traits.phone"),
    ("nationalid", "traits.nationalId"),
    ("dni", "traits.nationalId"),
    ("nie", "traits.nationalId"),
    ("nif", "traits.nationalId"),
    ("rut", "traits.nationalId"),
    ("cuit", "traits.nationalId"),
    ("curp", "traits.nationalId"),
    ("cpf", "traits.nationalId"),
    ("loyaltyid", "traits.loyaltyId"),
    ("badgeid", "traits.badgeId"),
    ("accountid", "traits.accountId"),
    ("firstname", "traits.firstName"),
    ("nombre", "traits.firstName"),
    ("lastname", "traits.lastName"),
    ("apellido", "traits.lastName"),
    ("apellido1", "traits.lastName"),
    ("primerapellido", "traits.lastName"),
    ("secondlastname", "traits.secondLastName"),
    ("apellido2", "traits.secondLastName"),
    ("segundoapellido", "traits.secondLastName"),
    ("name", "traits.name"),
    ("nombrecompleto", "traits.name"),
    ("birthday", "traits.birthday"),
    ("fechadenacimiento", "traits.birthday"),
    ("gender", "traits.gender"),
    ("company", "traits.company"),
    ("empresa", "traits.company"),
    ("postalcode", "traits.address.postalCode"),
    ("codigopostal", "traits.address.postalCode"),
    ("userid", "userId"),
    ("groupid", "groupId"),
    ("anonymousid", "anonymousId"),
    ("messageid", "messageId"),
    ("timestamp", "timestamp"),
    ("originaltimestamp", "originalTimestamp"),
    ("type", "type"),
    ("event", "event"),
    ("cuenta", "traits.accountId"),
    ("numerodecuenta", "traits.accountId"),
    ("accountnumber", "traits.accountId"),
    ("tarjeta", "traits.loyaltyId"),
    ("tarjetadefidelizacion", "traits.loyaltyId"),
    ("loyaltycard", "traits.loyaltyId"),
    ("acreditacion", "traits.badgeId"),
    ("badge", "traits.badgeId"),
    ("apellidos", "traits.lastName"),
    ("surname", "traits.lastName"),
    ("ciudad", "traits.address.city"),
    ("localidad", "traits.address.city"),
    ("city", "traits.address.city"),
    ("provincia", "traits.address.state"),
    ("state", "traits.address.state"),
    ("calle", "traits.address.street"),
    ("direccion", "traits.address.street"),
    ("street", "traits.address.street"),
    ("pais", "traits.address.country"),
    ("country", "traits.address.country"),
];

/// Where a column goes that nobody named.
pub(super) fn by_name(name: &str) -> (Vec<String>, As) {
    let folded: String = trenza_shared::person::fold(name)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let to = match USUAL.iter().find(|(usual, _)| *usual == folded) {
        Some((_, to)) => (*to).to_owned(),
        None if ROOTS.iter().any(|root| name.starts_with(root)) => name.to_owned(),
        None => return (vec!["traits".into(), name.to_owned()], As::Guess),
    };
    let kind = usual_kind(&to);
    (to.split('.').map(str::to_owned).collect(), kind)
}

/// Times are times. Identifiers, person fields and the other members of the event are text; `08001` and `666` may be either elsewhere.
pub(super) fn usual_kind(to: &str) -> As {
    let rest = to
        .strip_prefix("traits.")
        .or_else(|| to.strip_prefix("context.traits."));
    let first = rest.map(|rest| rest.split('.').next().unwrap_or(rest));
    if TIMES.contains(&to) {
        As::Time
    } else if MEMBERS.contains(&to)
        || first
            .is_some_and(|name| IDENTIFIER_TRAITS.contains(&name) || TEXT_TRAITS.contains(&name))
    {
        As::Text
    } else {
        As::Guess
    }
}

/// Whether two names are one to whoever goes by names: by their usual meaning they go to one member.
pub fn is_one(name: &str, other: &str) -> bool {
    by_name(name) == by_name(other)
}
