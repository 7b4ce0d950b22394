//! Owns the places of the day: countries, cities, streets, mail providers, companies, stands, shops, talks, pages and
//! products. Tables only. Companies live under the reserved domain `.example` (RFC 2606), so none of them exists.

/// A country the day's people live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Country {
    /// Spain.
    Es,
    /// Mexico.
    Mx,
    /// Colombia.
    Co,
    /// Argentina.
    Ar,
    /// Chile.
    Cl,
    /// Peru.
    Pe,
    /// Brazil.
    Br,
}

/// Where people live, with weights.
#[rustfmt::skip]
pub const COUNTRIES: &[(Country, u32)] = &[
    (Country::Es, 700),
    (Country::Mx, 90),
    (Country::Co, 60),
    (Country::Ar, 60),
    (Country::Cl, 40),
    (Country::Pe, 40),
    (Country::Br, 10),
];

/// A city: name, first digits of its postal codes, state or province.
pub type City = (&'static str, &'static str, &'static str);

impl Country {
    /// ISO 3166-1 alpha-2 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Es => "ES",
            Self::Mx => "MX",
            Self::Co => "CO",
            Self::Ar => "AR",
            Self::Cl => "CL",
            Self::Pe => "PE",
            Self::Br => "BR",
        }
    }

    /// Language tag a browser there sends.
    pub fn locale(self) -> &'static str {
        match self {
            Self::Es => "es-ES",
            Self::Mx => "es-MX",
            Self::Co => "es-CO",
            Self::Ar => "es-AR",
            Self::Cl => "es-CL",
            Self::Pe => "es-PE",
            Self::Br => "pt-BR",
        }
    }

    /// Hours its clocks are behind Spain's in March, before Europe's summer time. For the shape of the day only.
    pub fn hours_behind(self) -> i64 {
        match self {
            Self::Es => 0,
            Self::Mx => 7,
            Self::Co | Self::Pe => 6,
            Self::Ar | Self::Cl | Self::Br => 4,
        }
    }

    /// Its cities, with weights.
    pub fn cities(self) -> &'static [(City, u32)] {
        match self {
            Self::Es => SPANISH_CITIES,
            Self::Mx => &[
                (("Ciudad de México", "06", "CDMX"), 6),
                (("Guadalajara", "44", "Jalisco"), 2),
                (("Monterrey", "64", "Nuevo León"), 2),
                (("Puebla", "72", "Puebla"), 1),
            ],
            Self::Co => &[
                (("Bogotá", "11", "Bogotá D. C."), 5),
                (("Medellín", "05", "Antioquia"), 3),
                (("Cali", "76", "Valle del Cauca"), 2),
            ],
            Self::Ar => &[
                (("Buenos Aires", "14", "CABA"), 6),
                (("Córdoba", "50", "Córdoba"), 2),
                (("Rosario", "20", "Santa Fe"), 2),
            ],
            Self::Cl => &[
                (("Santiago", "83", "Región Metropolitana"), 6),
                (("Valparaíso", "23", "Valparaíso"), 2),
                (("Concepción", "40", "Biobío"), 1),
            ],
            Self::Pe => &[
                (("Lima", "15", "Lima"), 6),
                (("Arequipa", "04", "Arequipa"), 2),
                (("Trujillo", "13", "La Libertad"), 1),
            ],
            Self::Br => &[
                (("São Paulo", "01", "SP"), 3),
                (("Rio de Janeiro", "20", "RJ"), 2),
            ],
        }
    }

    /// Digits of a postal code.
    pub fn postal_digits(self) -> usize {
        match self {
            Self::Es | Self::Mx | Self::Pe => 5,
            Self::Co => 6,
            Self::Ar => 4,
            Self::Cl => 7,
            Self::Br => 8,
        }
    }
}

#[rustfmt::skip]
const SPANISH_CITIES: &[(City, u32)] = &[
    (("Madrid", "28", "Madrid"), 420),
    (("Alcalá de Henares", "28", "Madrid"), 40),
    (("Getafe", "28", "Madrid"), 35),
    (("Las Rozas", "28", "Madrid"), 25),
    (("Barcelona", "08", "Barcelona"), 90),
    (("Valencia", "46", "Valencia"), 50),
    (("Sevilla", "41", "Sevilla"), 45),
    (("Zaragoza", "50", "Zaragoza"), 40),
    (("Málaga", "29", "Málaga"), 30),
    (("Bilbao", "48", "Bizkaia"), 30),
    (("Donostia-San Sebastián", "20", "Gipuzkoa"), 12),
    (("A Coruña", "15", "A Coruña"), 20),
    (("Vigo", "36", "Pontevedra"), 18),
    (("Valladolid", "47", "Valladolid"), 25),
    (("Toledo", "45", "Toledo"), 25),
    (("Guadalajara", "19", "Guadalajara"), 20),
    (("Alacant/Alicante", "03", "Alicante"), 20),
    (("Palma", "07", "Illes Balears"), 15),
    (("Las Palmas de Gran Canaria", "35", "Las Palmas"), 12),
    (("Logroño", "26", "La Rioja"), 8),
];

/// Streets of Spain, without a number.
#[rustfmt::skip]
pub const SPANISH_STREETS: &[&str] = &[
    "Calle Mayor", "Calle de Alcalá", "Calle Real", "Avenida de la Constitución", "Plaza de España", "Calle del Carmen",
    "Calle San José", "Paseo de la Castellana", "Calle de Bravo Murillo", "Calle de Embajadores", "Avenida de Andalucía",
    "Calle de la Iglesia", "Ronda de Segovia", "Calle de Francisco Silvela", "Calle de López de Hoyos", "Calle Goya",
    "Calle de Príncipe de Vergara", "Camino de los Vinateros", "Calle del Doctor Esquerdo", "Avenida de América",
    "Calle de la Fuente", "Travesía del Olivo", "Calle Ramón y Cajal", "Calle Cervantes", "Avenida de Europa",
    "Calle de Santa Engracia", "Calle Ancha", "Carrer de Mallorca", "Gran Vía", "Rúa do Franco", "Kale Nagusia",
    "Calle de Narváez", "Calle de Hermosilla", "Calle del Pez", "Calle Velázquez", "Paseo de Extremadura",
];

/// Streets of Spanish-speaking America, without a number.
#[rustfmt::skip]
pub const AMERICAN_STREETS: &[&str] = &[
    "Avenida Insurgentes Sur", "Calle 5 de Mayo", "Avenida Reforma", "Carrera 7", "Calle 72", "Carrera 43A",
    "Avenida Corrientes", "Avenida Santa Fe", "San Martín", "Belgrano", "Avenida Providencia", "Los Leones",
    "Avenida Arequipa", "Jirón de la Unión", "Avenida Larco", "Benito Juárez", "Hidalgo", "Avenida Libertador",
];

/// Mail providers, with weights.
#[rustfmt::skip]
pub const MAIL_PROVIDERS: &[(&str, u32)] = &[
    ("gmail.com", 560), ("hotmail.com", 170), ("yahoo.es", 60), ("outlook.com", 60), ("icloud.com", 40),
    ("hotmail.es", 40), ("telefonica.net", 20), ("outlook.es", 20), ("yahoo.com", 20), ("live.com", 10),
];

/// How providers are mistyped; such an address is another, dead one.
#[rustfmt::skip]
pub const MISTYPED_PROVIDERS: &[(&str, &str)] = &[
    ("gmail.com", "gmial.com"), ("gmail.com", "gmail.con"), ("gmail.com", "gamil.com"), ("hotmail.com", "hotmial.com"),
    ("hotmail.com", "hotmail.con"), ("yahoo.es", "yaho.es"), ("outlook.com", "outlok.com"), ("icloud.com", "iclod.com"),
];

/// A company: its name, its domain, the telephone of its reception (E.164).
pub type Company = (&'static str, &'static str, &'static str);

/// Companies people work for.
#[rustfmt::skip]
pub const COMPANIES: &[Company] = &[
    ("Ibervalor Consultores, S. L.", "ibervalor.example", "+34913345600"),
    ("Transportes Meseta, S. A.", "transportesmeseta.example", "+34916732100"),
    ("Clínica San Roque", "clinicasanroque.example", "+34914450210"),
    ("Grupo Hostelero Arganda", "hosteleroarganda.example", "+34918715520"),
    ("Despacho Olmedo y Asociados", "olmedoabogados.example", "+34915218830"),
    ("Ferretería Industrial Duero", "ferreduero.example", "+34983220145"),
    ("Construcciones Alcor, S. L.", "construccionesalcor.example", "+34949231077"),
    ("Colegio Los Tilos", "colegiolostilos.example", "+34917752040"),
    ("Laboratorios Quercus", "laboratoriosquercus.example", "+34918038990"),
    ("Asesoría Fiscal Benavente", "asesoriabenavente.example", "+34914029911"),
    ("Energías del Jiloca", "energiasjiloca.example", "+34976301120"),
    ("Editorial Pliego", "editorialpliego.example", "+34913600475"),
    ("Logística del Ebro", "logisticaebro.example", "+34976455013"),
    ("Taller Mecánico Hermanos Vela", "talleresvela.example", "+34915557201"),
    ("Residencia La Encina", "residencialaencina.example", "+34918564430"),
    ("Sistemas Nortia", "nortia.example", "+34944237788"),
];

/// What people read, ask and buy about, with weights: (`properties.topic`, path on the website).
#[rustfmt::skip]
pub const TOPICS: &[((&str, &str), u32)] = &[
    (("hipotecas", "/hipotecas"), 24),
    (("fondos", "/inversion/fondos"), 18),
    (("cuentas", "/cuentas"), 16),
    (("planes de pensiones", "/ahorro/planes-de-pensiones"), 13),
    (("renta fija", "/inversion/renta-fija"), 10),
    (("seguros", "/seguros"), 12),
    (("tarjetas", "/tarjetas"), 10),
    (("renta variable", "/inversion/renta-variable"), 7),
    (("préstamos", "/prestamos"), 9),
];

/// Campaigns that bring visitors, with weights: (utm source, utm medium, utm campaign).
#[rustfmt::skip]
pub const CAMPAIGNS: &[((&str, &str, &str), u32)] = &[
    (("google", "cpc", "hipoteca-fija-2026"), 5),
    (("newsletter", "email", "boletin-marzo"), 4),
    (("folleto", "print", "feria-ahorro"), 2),
    (("instagram", "social", "jovenes-ahorro"), 3),
];

/// Shops: touchpoint names at the store agent and their own telephones, which hurried clerks type for customers.
pub const SHOPS: &[(&str, &str)] = &[
    ("Oficina Goya", "+34914350071"),
    ("Oficina Alcalá", "+34914350072"),
];

/// The call centre's own number, typed for callers who hide theirs.
pub const CALL_CENTRE_PHONE: &str = "+34910780900";

/// The national id clerks type when the form wants one and the customer does not give it.
pub const DUMMY_DNI: &str = "00000000T";

/// The badge staff show the kiosk with.
pub const DEMO_BADGE: &str = "DEMO-0001";

/// Stands at the fair.
pub const STANDS: &[&str] = &["Stand A", "Stand B", "Stand C", "Mostrador de acreditación"];

/// Talks at the fair: minute of the day at which the doors open, title, topic.
#[rustfmt::skip]
pub const TALKS: &[(i64, &str, &str)] = &[
    (10 * 60 + 45, "Primeros pasos para invertir", "fondos"),
    (12 * 60 + 15, "Charla del mes: renta fija sin sustos", "renta fija"),
    (16 * 60 + 45, "Jubilarse sin sobresaltos", "planes de pensiones"),
    (18 * 60 + 15, "Hipoteca fija o variable", "hipotecas"),
];

/// What staff write at a stand.
#[rustfmt::skip]
pub const NOTES: &[&str] = &[
    "Pide que le llamen por la tarde", "Interesado, vendrá con su pareja", "Quiere comparar comisiones",
    "Ya es cliente, tiene dudas con la app", "Prefiere correo, no teléfono", "Compra vivienda en otoño",
    "Se lleva el folleto", "Asks for documents in English", "Hermano del anterior",
];

/// Why people call.
#[rustfmt::skip]
pub const CALL_REASONS: &[&str] = &[
    "saldo", "cambio de domicilio", "tarjeta bloqueada", "información hipoteca", "recibo devuelto", "cita en oficina",
    "acceso a la app", "reclamación",
];

/// Products of the shops: (SKU, name, cents).
#[rustfmt::skip]
pub const PRODUCTS: &[(&str, &str, i64)] = &[
    ("TAR-CLA", "Tarjeta clásica", 2400), ("TAR-ORO", "Tarjeta oro", 6000), ("SEG-HOG", "Seguro de hogar", 18650),
    ("SEG-VID", "Seguro de vida", 24000), ("SEG-VIA", "Seguro de viaje", 3990), ("CAJ-SEG", "Caja de seguridad", 9000),
    ("MON-INV", "Moneda conmemorativa", 4500), ("ALA-HOG", "Alarma de hogar", 29900),
];
