//! Owns the names people carry: given names and surnames with weights near those of the national statistics offices
//! (INE in Spain, RENAPER, DANE, INEGI elsewhere), nicknames, and the names of people from abroad. Tables only, set by
//! hand: one entry a line would be a thousand lines.

/// A given name and its weight.
pub type Weighted = (&'static str, u32);

/// Where a person's names come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Spain, any region.
    Spanish,
    /// Spanish-speaking America.
    American,
    /// The British Isles and other English-speaking countries.
    English,
    /// Germany and its neighbours.
    German,
    /// Romania.
    Romanian,
    /// Morocco.
    Moroccan,
}

/// Men's given names in Spain.
#[rustfmt::skip]
pub const SPANISH_MEN: &[Weighted] = &[
    ("Antonio", 640), ("Manuel", 570), ("José", 560), ("Francisco", 480), ("David", 375), ("Juan", 330),
    ("Javier", 310), ("José Antonio", 390), ("Daniel", 300), ("José Luis", 275), ("Francisco Javier", 275),
    ("Carlos", 255), ("Jesús", 250), ("Alejandro", 250), ("Miguel", 240), ("José Manuel", 230), ("Rafael", 225),
    ("Pablo", 220), ("Miguel Ángel", 215), ("Pedro", 210), ("Ángel", 205), ("Sergio", 190), ("José María", 190),
    ("Fernando", 180), ("Jorge", 175), ("Luis", 170), ("Alberto", 160), ("Juan Carlos", 155), ("Álvaro", 150),
    ("Adrián", 145), ("Diego", 140), ("Juan José", 140), ("Raúl", 130), ("Iván", 125), ("Juan Antonio", 120),
    ("Rubén", 115), ("Enrique", 110), ("Óscar", 110), ("Ramón", 105), ("Andrés", 95), ("Juan Manuel", 95),
    ("Santiago", 90), ("Vicente", 90), ("Mario", 90), ("Víctor", 85), ("Joaquín", 85), ("Eduardo", 80),
    ("Roberto", 78), ("Hugo", 75), ("Jaime", 72), ("Francisco José", 70), ("Ignacio", 66), ("Marcos", 65),
    ("Jordi", 62), ("Alfonso", 60), ("Salvador", 55), ("Ricardo", 52), ("Guillermo", 50), ("Emilio", 48),
    ("Gonzalo", 44), ("Julián", 42), ("Gabriel", 42), ("Marc", 40), ("Tomás", 38), ("José Miguel", 38), ("Félix", 30),
    ("Íñigo", 12), ("Iker", 30), ("Mikel", 22), ("Unai", 20), ("Josep", 24), ("Xavier", 26), ("Pau", 20), ("Oriol", 14),
    ("Xosé", 6), ("Brais", 6), ("Martín", 46), ("Lucas", 40), ("Nicolás", 45), ("Samuel", 50),
];

/// Women's given names in Spain.
#[rustfmt::skip]
pub const SPANISH_WOMEN: &[Weighted] = &[
    ("María", 500), ("María Carmen", 560), ("Carmen", 330), ("Ana María", 255), ("Laura", 260), ("Josefa", 210),
    ("María Pilar", 235), ("Isabel", 230), ("María Dolores", 230), ("Cristina", 225), ("Ana", 220), ("Marta", 220),
    ("María Teresa", 220), ("María Ángeles", 200), ("Francisca", 170), ("Lucía", 195), ("María Isabel", 185),
    ("María José", 185), ("Antonia", 175), ("Dolores", 140), ("Paula", 160), ("Sara", 155), ("María Luisa", 150),
    ("Elena", 150), ("Raquel", 135), ("Rosa María", 130), ("Pilar", 125), ("Manuela", 125), ("Concepción", 120),
    ("María Jesús", 115), ("Mercedes", 112), ("Julia", 110), ("Beatriz", 108), ("Nuria", 105), ("Silvia", 102),
    ("Rosario", 100), ("Juana", 98), ("Alba", 98), ("Irene", 96), ("Teresa", 95), ("Encarnación", 90), ("Patricia", 90),
    ("Montserrat", 80), ("Andrea", 88), ("Rocío", 82), ("Mónica", 78), ("Rosa", 75), ("Sonia", 74), ("Alicia", 72),
    ("María Mar", 68), ("Ángela", 66), ("Sandra", 65), ("Susana", 60), ("Marina", 60), ("Margarita", 58),
    ("Yolanda", 56), ("Natalia", 55), ("Claudia", 54), ("Eva", 52), ("María Rosario", 52), ("Inmaculada", 50),
    ("Sofía", 60), ("Ana Isabel", 46), ("Esther", 44), ("Noelia", 42), ("Verónica", 42), ("Ángeles", 38),
    ("Carla", 40), ("Begoña", 26), ("Nerea", 32), ("Ainhoa", 24), ("Itziar", 12), ("Leire", 14), ("Núria", 22),
    ("Mireia", 18), ("Laia", 18), ("Meritxell", 10), ("Uxía", 6), ("Sabela", 4), ("Luz", 14), ("Martina", 40),
    ("Valeria", 34), ("Daniela", 36), ("Emma", 22), ("Begoña María", 4), ("María de los Ángeles", 20), ("Iria", 6),
];

/// Men's given names in Spanish-speaking America.
#[rustfmt::skip]
pub const AMERICAN_MEN: &[Weighted] = &[
    ("José Luis", 260), ("Juan Carlos", 270), ("Luis", 210), ("Carlos", 230), ("Juan", 230), ("José", 210),
    ("Miguel Ángel", 190), ("Jorge", 180), ("Luis Alberto", 120), ("Carlos Alberto", 120), ("Jesús", 110),
    ("Francisco", 150), ("Alejandro", 150), ("Eduardo", 110), ("Fernando", 120), ("Diego", 120), ("Andrés", 120),
    ("Santiago", 110), ("Sebastián", 110), ("Nicolás", 90), ("Matías", 90), ("Facundo", 50), ("Gonzalo", 50),
    ("Héctor", 70), ("Raúl", 70), ("Ricardo", 80), ("Roberto", 80), ("César", 60), ("Víctor", 60), ("Óscar", 60),
    ("Mauricio", 50), ("Julio César", 50), ("Marco Antonio", 60), ("Hernán", 40), ("Rodrigo", 60), ("Camilo", 40),
    ("Cristian", 60), ("Jhon Jairo", 30), ("Wilson", 25), ("Edwin", 25), ("Brayan", 20), ("Gustavo", 50), ("Iván", 40),
];

/// Women's given names in Spanish-speaking America.
#[rustfmt::skip]
pub const AMERICAN_WOMEN: &[Weighted] = &[
    ("María", 210), ("Guadalupe", 130), ("María Guadalupe", 130), ("Juana", 80), ("Margarita", 80), ("Verónica", 90),
    ("Alejandra", 110), ("Leticia", 70), ("Gabriela", 110), ("Luz Marina", 60), ("Ana María", 110), ("Sandra", 90),
    ("Claudia", 100), ("Patricia", 100), ("Adriana", 90), ("Diana", 80), ("Paola", 70), ("Carolina", 100),
    ("Camila", 100), ("Valentina", 90), ("Sofía", 90), ("Daniela", 90), ("Fernanda", 60), ("María Fernanda", 70),
    ("Florencia", 60), ("Julieta", 40), ("Rosa", 80), ("Rosa María", 60), ("Martha", 60), ("Gloria", 60),
    ("Silvia", 60), ("Mónica", 60), ("Catalina", 50), ("Constanza", 30), ("Javiera", 30), ("Milagros", 40),
    ("Yesenia", 25), ("Xiomara", 15), ("Lorena", 50), ("Graciela", 40), ("Beatriz", 40), ("Luciana", 40),
];

/// Surnames in Spain; Basque, Catalan and Galician ones among them.
#[rustfmt::skip]
pub const SPANISH_SURNAMES: &[Weighted] = &[
    ("García", 1450), ("Rodríguez", 925), ("González", 923), ("Fernández", 910), ("López", 870), ("Martínez", 830),
    ("Sánchez", 815), ("Pérez", 775), ("Gómez", 490), ("Martín", 485), ("Jiménez", 395), ("Hernández", 390),
    ("Ruiz", 370), ("Díaz", 345), ("Moreno", 320), ("Muñoz", 290), ("Álvarez", 285), ("Romero", 225), ("Gutiérrez", 220),
    ("Alonso", 200), ("Navarro", 185), ("Torres", 180), ("Domínguez", 175), ("Ramos", 160), ("Vázquez", 155),
    ("Ramírez", 150), ("Gil", 150), ("Serrano", 145), ("Morales", 143), ("Molina", 138), ("Blanco", 135),
    ("Suárez", 134), ("Castro", 130), ("Ortega", 130), ("Delgado", 128), ("Ortiz", 126), ("Marín", 120), ("Rubio", 118),
    ("Núñez", 112), ("Medina", 110), ("Sanz", 108), ("Castillo", 106), ("Iglesias", 104), ("Cortés", 100),
    ("Garrido", 98), ("Santos", 97), ("Guerrero", 95), ("Lozano", 94), ("Cano", 93), ("Cruz", 90), ("Méndez", 88),
    ("Flores", 87), ("Prieto", 86), ("Herrera", 85), ("Peña", 84), ("León", 82), ("Márquez", 80), ("Cabrera", 79),
    ("Gallego", 78), ("Calvo", 77), ("Vidal", 75), ("Campos", 74), ("Reyes", 72), ("Vega", 72), ("Fuentes", 70),
    ("Carrasco", 68), ("Aguilar", 66), ("Caballero", 66), ("Nieto", 64), ("Santana", 62), ("Pascual", 60),
    ("Vargas", 60), ("Giménez", 58), ("Montero", 58), ("Hidalgo", 57), ("Lorenzo", 56), ("Santiago", 54), ("Ibáñez", 54),
    ("Benítez", 52), ("Durán", 52), ("Ferrer", 50), ("Arias", 48), ("Mora", 48), ("Vicente", 46), ("Carmona", 46),
    ("Crespo", 44), ("Soto", 44), ("Román", 43), ("Pastor", 43), ("Velasco", 42), ("Sáez", 41), ("Moya", 40),
    ("Soler", 40), ("Parra", 40), ("Bravo", 39), ("Rojas", 38), ("Esteban", 38), ("Peñalver", 8), ("Ibarra", 12),
    ("Etxeberria", 14), ("Aguirre", 24), ("Goikoetxea", 6), ("Zubizarreta", 6), ("Agirre", 6), ("Urrutia", 8),
    ("Mendizábal", 8), ("Garmendia", 7), ("Otxoa", 4), ("Ochoa", 14), ("Iturriaga", 4), ("Arrizabalaga", 3),
    ("Puig", 22), ("Serra", 24), ("Roca", 22), ("Vila", 18), ("Casals", 8), ("Ferrer i Soler", 1), ("Bosch", 12),
    ("Sala", 12), ("Riera", 12), ("Batlle", 6), ("Camps", 9), ("Rovira", 12), ("Figueras", 6), ("Casanovas", 6),
    ("Rey", 24), ("Varela", 20), ("Seoane", 6), ("Fraga", 6), ("Pazos", 6), ("Carballo", 8), ("Ferreiro", 7),
    ("Souto", 5), ("Castiñeira", 3), ("Loureiro", 4), ("Piñeiro", 8), ("Feijóo", 4), ("Outeiriño", 1),
    ("de la Fuente", 22), ("de la Cruz", 20), ("del Río", 16), ("de la Torre", 16), ("del Valle", 8), ("de Miguel", 10),
    ("de Pablo", 4), ("San José", 4), ("de la Rosa", 8), ("de los Santos", 4), ("Santamaría", 14), ("del Olmo", 5),
    ("Sanmartín", 5), ("Ruiz de Alda", 1), ("Fernández de Córdoba", 1), ("Núñez de Balboa", 1), ("Ybarra", 2),
];

/// Surnames in Spanish-speaking America.
#[rustfmt::skip]
pub const AMERICAN_SURNAMES: &[Weighted] = &[
    ("Hernández", 560), ("García", 480), ("González", 520), ("Martínez", 450), ("López", 440), ("Rodríguez", 520),
    ("Pérez", 360), ("Sánchez", 340), ("Ramírez", 300), ("Flores", 230), ("Gómez", 260), ("Torres", 210),
    ("Díaz", 230), ("Fernández", 190), ("Quispe", 90), ("Mamani", 60), ("Huamán", 40), ("Condori", 20), ("Rojas", 150),
    ("Muñoz", 150), ("Vargas", 120), ("Castillo", 110), ("Chávez", 110), ("Mendoza", 120), ("Reyes", 110),
    ("Cruz", 120), ("Morales", 120), ("Ortiz", 100), ("Gutiérrez", 110), ("Ruiz", 90), ("Jiménez", 100), ("Silva", 90),
    ("Contreras", 80), ("Sepúlveda", 40), ("Soto", 70), ("Araya", 25), ("Tapia", 40), ("Espinoza", 60), ("Valenzuela", 40),
    ("Restrepo", 40), ("Ospina", 25), ("Arango", 20), ("Zapata", 30), ("Cárdenas", 35), ("Romero", 90), ("Sosa", 60),
    ("Acosta", 60), ("Benítez", 40), ("Bianchi", 15), ("Rossi", 20), ("Ferrari", 12), ("Giménez", 30), ("Aguirre", 40),
    ("Salazar", 60), ("Guzmán", 60), ("Juárez", 50), ("Velázquez", 40), ("Domínguez", 50), ("Ledesma", 20), ("Ayala", 30),
    ("de la Cruz", 50), ("del Carpio", 8), ("Villanueva", 25), ("Peralta", 30), ("Escobar", 35), ("Nuñez", 20),
];

/// Men's and women's given names and the surnames of people from abroad (one surname, as they carry it).
pub fn abroad(
    origin: Origin,
) -> (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
) {
    match origin {
        Origin::German => (
            &[
                "Jürgen", "Klaus", "Thomas", "Stefan", "Lukas", "Uwe", "Björn",
            ],
            &[
                "Sabine", "Ursula", "Petra", "Katrin", "Jutta", "Anke", "Lena",
            ],
            &[
                "Müller",
                "Schmidt",
                "Schneider",
                "Weiß",
                "Schäfer",
                "Köhler",
                "Becker",
                "von der Heide",
            ],
        ),
        Origin::Romanian => (
            &[
                "Ion", "Gheorghe", "Mihai", "Andrei", "Ștefan", "Vasile", "Florin",
            ],
            &[
                "Elena",
                "Mihaela",
                "Ioana",
                "Andreea",
                "Mariana",
                "Ana-Maria",
                "Daniela",
            ],
            &[
                "Popescu",
                "Ionescu",
                "Popa",
                "Dumitrescu",
                "Munteanu",
                "Țăran",
                "Rusu",
                "Stan",
            ],
        ),
        Origin::Moroccan => (
            &[
                "Mohamed", "Ahmed", "Youssef", "Hassan", "Omar", "Rachid", "Abdellah",
            ],
            &[
                "Fatima",
                "Fatima Zahra",
                "Khadija",
                "Aicha",
                "Nadia",
                "Salma",
                "Hanane",
            ],
            &[
                "El Amrani",
                "Benali",
                "El Idrissi",
                "Alaoui",
                "Ben Haddou",
                "Chakir",
                "Bouzid",
                "Tahiri",
            ],
        ),
        Origin::English | Origin::Spanish | Origin::American => (
            &[
                "John",
                "David",
                "Peter",
                "James",
                "Sean",
                "Ian",
                "Christopher",
            ],
            &[
                "Susan",
                "Mary",
                "Emma",
                "Sarah",
                "Jacqueline",
                "Siobhán",
                "Anne-Marie",
            ],
            &[
                "Smith",
                "Jones",
                "Taylor",
                "Brown",
                "O'Connor",
                "McDonald",
                "Wilson",
                "Clarke-Evans",
            ],
        ),
    }
}

/// What friends, and so clerks and badges, call somebody: (given name, nickname).
#[rustfmt::skip]
pub const NICKNAMES: &[(&str, &str)] = &[
    ("Francisco", "Paco"), ("Francisco", "Fran"), ("Francisco", "Curro"), ("Francisco Javier", "Javi"),
    ("Francisco Javier", "Fran"), ("Francisco José", "Paco"), ("José", "Pepe"), ("José Antonio", "Toni"),
    ("José Antonio", "José"), ("José María", "Chema"), ("José María", "Txema"), ("José Luis", "Pepelu"),
    ("José Manuel", "Josema"), ("José Manuel", "Manolo"), ("José Miguel", "Josemi"),
    ("Manuel", "Manolo"), ("Manuel", "Manu"), ("Antonio", "Toño"),
    ("Antonio", "Toni"), ("Javier", "Javi"), ("Ignacio", "Nacho"), ("Jesús", "Chus"), ("Jesús", "Suso"), ("Rafael", "Rafa"),
    ("Enrique", "Quique"), ("Eduardo", "Edu"), ("Fernando", "Fer"), ("Alberto", "Berto"), ("Roberto", "Rober"),
    ("Juan Carlos", "Juancar"), ("Juan José", "Juanjo"), ("Juan Manuel", "Juanma"), ("Juan Antonio", "Juan"),
    ("Luis", "Lucho"), ("Miguel Ángel", "Míchel"), ("Santiago", "Santi"), ("Alejandro", "Álex"), ("Daniel", "Dani"),
    ("Guillermo", "Guille"), ("Gonzalo", "Gonza"), ("Sebastián", "Seba"), ("Nicolás", "Nico"), ("Salvador", "Salva"),
    ("Ramón", "Moncho"), ("Vicente", "Chente"), ("Jorge", "Coque"),
    ("Dolores", "Lola"), ("María Dolores", "Lola"), ("María Dolores", "Mariló"), ("Concepción", "Concha"),
    ("Concepción", "Conchi"), ("María José", "Pepa"), ("María José", "Marijose"), ("Josefa", "Pepa"),
    ("Francisca", "Paqui"), ("María Teresa", "Maite"), ("Teresa", "Tere"), ("María Isabel", "Maribel"),
    ("Isabel", "Isa"), ("María Luisa", "Marisa"), ("María Jesús", "Chus"), ("María Carmen", "Mamen"),
    ("María Carmen", "Mari Carmen"), ("María Carmen", "Carmen"), ("María Pilar", "Pili"), ("Pilar", "Pili"),
    ("Rosario", "Charo"), ("María Rosario", "Charo"), ("Mercedes", "Merche"), ("Encarnación", "Encarna"),
    ("Inmaculada", "Inma"), ("Montserrat", "Montse"), ("María Ángeles", "Marian"), ("María Ángeles", "Ángeles"),
    ("María Mar", "Mar"), ("Margarita", "Marga"), ("Beatriz", "Bea"), ("Cristina", "Cris"), ("Patricia", "Patri"),
    ("Guadalupe", "Lupe"), ("María Guadalupe", "Lupita"), ("Gabriela", "Gaby"), ("Alejandra", "Ale"),
    ("Manuela", "Manoli"), ("Antonia", "Toñi"), ("Ana María", "Ana"), ("Rosa María", "Rosa"), ("Susana", "Susi"),
    ("Verónica", "Vero"), ("Elena", "Ele"), ("Tomás", "Tom"), ("Christopher", "Chris"),
];
