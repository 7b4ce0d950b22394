//! The demo's website: a few pages that embed the snippet with one line.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    response::Html,
    routing::get,
};

struct Site {
    server: String,
    write_key: String,
}

const TOPICS: [(&str, &str); 3] = [
    ("renta-fija", "Renta fija"),
    ("fondos", "Fondos"),
    ("hipotecas", "Hipotecas"),
];

/// Serves the website until the program ends; gives its address.
pub async fn serve(
    addr: SocketAddr,
    server: String,
    write_key: String,
) -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let site = Arc::new(Site { server, write_key });
    let routes = Router::new()
        .route("/", get(home))
        .route("/{topic}", get(topic))
        .route("/site.js", get(script))
        .with_state(site);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(addr)
}

async fn home(State(site): State<Arc<Site>>) -> Html<String> {
    page(
        &site,
        "Caja de Ahorro",
        "<p>Elija un tema. / Choose a topic.</p>",
        "",
    )
}

async fn topic(State(site): State<Arc<Site>>, Path(topic): Path<String>) -> Html<String> {
    let title = TOPICS
        .iter()
        .find(|(path, _)| *path == topic)
        .map_or("?", |(_, title)| *title);
    let form = r#"<form id="guide"><label>Correo para la guía / E-mail for the guide <input name="email" type="email" required></label> <button>Descargar / Download</button></form><p id="done" role="status"></p>"#;
    page(&site, title, form, title)
}

fn page(site: &Site, title: &str, body: &str, topic: &str) -> Html<String> {
    let links: String = TOPICS
        .iter()
        .map(|(path, title)| format!(r#"<li><a href="/{path}">{title}</a></li>"#))
        .collect();
    let Site { server, write_key } = site;
    Html(format!(
        r#"<!doctype html><html lang="es"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<script async src="{server}/t.js" data-write-key="{write_key}"></script><script defer src="/site.js"></script></head>
<body data-topic="{topic}"><h1>{title}</h1><p id="choice">¿Podemos recordar su visita? / May we remember your visit?
<button id="yes">Acepto / I agree</button> <button id="no">No, gracias / No, thanks</button></p><ul>{links}</ul>{body}</body></html>"#
    ))
}

async fn script() -> ([(&'static str, &'static str); 1], &'static str) {
    (
        [("content-type", "text/javascript; charset=utf-8")],
        include_str!("site.js"),
    )
}
