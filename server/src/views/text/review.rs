//! What who decides reads: two records side by side, how sure it is, why a home is asked about, what a decision does not do.

use trenza_shared::matching::Field;

use super::Lang;

super::phrases! {
    compared_caption: "Las dos fichas, dato a dato", "The two records, value by value";
    compared_value: "Dato", "Value";
    compared_verdict: "Comparación", "Comparison";
    agrees: "Coincide", "Agrees";
    nearly: "Casi coincide", "Nearly agrees";
    differs: "Distinto: en contra", "Differs: against";
    missing: "Falta en una", "Missing in one";
    not_compared: "No se compara", "Not compared";
    missing_here: "No consta", "Not known";
    counted_before: "el mismo en las dos; ya valorado como identificador, aquí no suma", "the same in both; weighed as an identifier already, adds nothing here";
    other_document: "otro documento de la misma clase", "another document of the same kind";
    other_kind: "documentos de clases distintas", "documents of different kinds";
    other_signs: "cada una dice cosas que la otra no", "each says what the other does not";
    other_values_row: "Otros identificadores", "Other identifiers";
    starting_point: "De partida: dos fichas cualesquiera", "To begin with: any two records";
    family_alike: "En una familia también coincide tanto", "In a family that much agrees as well";
    in_all: "En total", "In all";
    sureness: "Certeza", "How sure";
    sure_little: "poca", "not very";
    sure_fairly: "media", "fairly";
    sure_much: "mucha", "very";
    links_from: "Para unirlas sin preguntar haría falta", "To link them without asking it would take";
    links_but: "Bastaría para unirlas sin preguntar, pero otra ficha parecida lo impide.", "That would be enough to link them without asking, but another record like them stands against it.";
    says_nothing: "nada", "nothing";
    home_because: "Se pregunta porque comparten", "Asked because they share";
    home_address: "la misma dirección", "the same address";
    home_surname: "y el apellido", "and the surname";
    home_surnames: "y los apellidos", "and the surnames";
    home_landline: "el mismo teléfono fijo", "the same landline";
    notes_title: "Lo que no hará", "What it will not do";
    home_of: "Hogar de", "Home of";
    home_and: "y", "and";
    home_nobody: "Hogar sin personas conocidas", "Home of nobody known";
    why_heading: "¿Una persona o varias?", "One person or several?";
    why_rule: "Por qué regla", "By which rule";
    why_version: "Reglas en vigor: versión", "Rules in force: version";
    why_against: "Lo que habla en contra", "What speaks against it";
    why_against_none: "Nada habla en contra.", "Nothing speaks against it.";
    why_others: "Entre ellas:", "Among them:";
    male: "hombre", "male";
    female: "mujer", "female";
}

impl Lang {
    /// What a compared field is called.
    pub fn compared(self, field: Field) -> &'static str {
        match field {
            Field::Given => self.pick("Nombre", "Given name"),
            Field::Surname => self.pick("Apellidos", "Surnames"),
            Field::Birth => self.pick("Nacimiento", "Birthday"),
            Field::Place => self.pick("Dirección", "Address"),
            Field::Gender => self.pick("Sexo", "Gender"),
            Field::Document => self.pick("Documento", "National id"),
            Field::Phone => self.pick("Teléfono", "Phone"),
            Field::Email => self.pick("Correo", "E-mail"),
        }
    }
}
